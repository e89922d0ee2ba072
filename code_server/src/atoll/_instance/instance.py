"""The instance as user code sees it: what it may ask and tell, wherever things are stored.

Called by user code through `context.instance`, in assets, sensors and tests. It never blocks on
anything but its backend, and it never shows a connection or a credential. The questions stand in
the modules of their subjects.
"""

import contextlib
import pathlib
import time
import types
from collections.abc import Generator
from typing import Any

from atoll import errors
from atoll._definitions import asset_checks, asset_events, events
from atoll._instance import assets, backfills, ephemeral, log, partitions, runs
from atoll._instance import backend as backends

RecordsFilter = log.RecordsFilter
Reportable = (
    asset_events.AssetMaterialization
    | asset_events.AssetObservation
    | asset_checks.AssetCheckEvaluation
)

_REPORTABLE: tuple[type[object], ...] = (
    asset_events.AssetMaterialization,
    asset_events.AssetObservation,
    asset_checks.AssetCheckEvaluation,
)

# The instances that `Instance.get` may return: that of the process, and those of tests on top.
_current: "list[Instance]" = []


class Instance(
    log.LogQuestions,
    assets.AssetQuestions,
    runs.RunQuestions,
    backfills.BackfillQuestions,
    partitions.PartitionQuestions,
):
    """Answers questions about assets, runs, backfills and partitions; takes what user code reports.

    As a context manager it lets go of what it holds at the end.

    Args:
        backend: Whoever stores the log.
    """

    def __init__(self, backend: backends.Backend) -> None:
        super().__init__(backend)

    @staticmethod
    def ephemeral(
        tempdir: str | None = None, preload: Any = None, settings: Any = None
    ) -> "Instance":
        """Make an instance that keeps everything in memory, for tests.

        Args:
            tempdir: Where values are kept; a folder of its own where not given.
            preload: Not supported.
            settings: Not supported.
        """
        for name, value in (("preload", preload), ("settings", settings)):
            if value:
                raise errors.UnsupportedParameterError(
                    f"An instance in memory has no {name}, got {value!r}. Leave it out.", name
                )
        folder = None if tempdir is None else pathlib.Path(tempdir)
        return Instance(ephemeral.EphemeralBackend(folder))

    @staticmethod
    def get() -> "Instance":
        """Return the instance of this process: in runs, in ticks, and within `instance_for_test`.

        Raises:
            InstanceUnavailableError: This process belongs to no instance.
        """
        if not _current:
            raise errors.InstanceUnavailableError(
                "This process belongs to no instance: it is neither a run nor a tick of a "
                "location. Use context.instance there; in tests use Instance.ephemeral() or "
                "instance_for_test(); elsewhere ask the host through its API or the atoll command.",
                "NO_INSTANCE",
            )
        return _current[-1]

    @property
    def is_ephemeral(self) -> bool:
        """Whether everything is kept in memory only."""
        return isinstance(self._backend, ephemeral.EphemeralBackend)

    @property
    def is_persistent(self) -> bool:
        """Whether things outlive this process."""
        return not self.is_ephemeral

    @property
    def storage_dir(self) -> pathlib.Path | None:
        """Where the default IO manager keeps values; None means where the location says.

        An ephemeral instance has a folder of its own, so that a test never touches values of a
        location.
        """
        if isinstance(self._backend, ephemeral.EphemeralBackend):
            return self._backend.storage_dir
        return None

    def report_runless_asset_event(self, asset_event: Reportable) -> None:
        """Record a materialization, an observation or the evaluation of a check that no run made.

        A location may report on assets that no location materializes, and on its own; the host
        refuses reports on assets of others. Each call is recorded once, also where the host was
        away and had to be told again.

        Args:
            asset_event: What is told of the asset.

        Raises:
            InstanceUnavailableError: The instance did not answer, or refused.
        """
        self._backend.report_asset_event(runless_event(asset_event, time.time()))

    def dispose(self) -> None:
        """Let go of what the instance holds. May be repeated."""
        if isinstance(self._backend, ephemeral.EphemeralBackend):
            self._backend.dispose()

    def __enter__(self) -> "Instance":  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self.dispose()


def set_process_instance(instance: Instance) -> None:
    """Make an instance the one that `Instance.get` returns in this process.

    Args:
        instance: The instance.
    """
    _current[:] = [instance]


@contextlib.contextmanager
def instance_for_test(
    overrides: Any = None,
    set_home: bool = True,  # noqa: FBT001, FBT002 - the field's signature
    temp_dir: str | None = None,
    synchronous_run_coordinator: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    synchronous_run_launcher: bool = False,  # noqa: FBT001, FBT002 - the field's signature
) -> Generator[Instance, None, None]:
    """Give a test an instance of its own, which keeps everything in memory and is gone at the end.

    Args:
        overrides: Not supported: an instance in memory has nothing to configure.
        set_home: Whether `Instance.get` returns it meanwhile.
        temp_dir: Where values are kept; a folder of its own where not given.
        synchronous_run_coordinator: Has no effect: there is no queue.
        synchronous_run_launcher: Has no effect: runs are in this process.

    Yields:
        The instance.
    """
    del synchronous_run_coordinator, synchronous_run_launcher
    if overrides:
        raise errors.UnsupportedParameterError(
            f"An instance in memory cannot be configured, got overrides={overrides!r}. Leave it "
            "out.",
            "overrides",
        )
    with Instance.ephemeral(temp_dir) as instance:
        if set_home:
            _current.append(instance)
        try:
            yield instance
        finally:
            if set_home:
                _current.remove(instance)


def recording_backend(backend: backends.Backend) -> backends.RecordingBackend | None:
    """Return the backend as one that stores runs, None where it only answers."""
    return backend if isinstance(backend, ephemeral.EphemeralBackend) else None


def runless_event(asset_event: Reportable, timestamp: float) -> events.Event:
    """Make the event of something told of an asset that no run made.

    Args:
        asset_event: What is told of the asset.
        timestamp: When, in seconds since 1970.

    Returns:
        The event.
    """
    if not isinstance(asset_event, _REPORTABLE):
        raise errors.InvalidInvocationError(
            "Only materializations, observations and evaluations of checks are reported, got "
            f"{asset_event!r} of type {type(asset_event).__name__}."
        )
    key = asset_event.asset_key.to_user_string()
    data: events.EventSpecificData
    if isinstance(asset_event, asset_events.AssetMaterialization):
        event_type, message = events.EventType.ASSET_MATERIALIZATION, f"Materialized {key}."
        data = events.StepMaterializationData(asset_event)
    elif isinstance(asset_event, asset_events.AssetObservation):
        event_type, message = events.EventType.ASSET_OBSERVATION, f"Observed {key}."
        data = events.AssetObservationData(asset_event)
    else:
        event_type = events.EventType.ASSET_CHECK_EVALUATION
        message = f"Checked {key}: {asset_event.check_name}."
        data = events.AssetCheckEvaluationData(asset_event)
    return events.Event(event_type, message=message, event_specific_data=data, timestamp=timestamp)
