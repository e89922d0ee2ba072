"""Running in the process of whoever asks: the port to the execution, and the result.

`JobDefinition.execute_in_process` and `Definitions.load_asset_value` stand here in the bottom
layer, while the execution stands above it. The execution registers itself when it is imported, and
is imported by name when it is first needed; so the arrow between the layers keeps pointing down,
and whoever only defines does not pay for it.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from atoll._definitions import asset_events, errors, events, failures, keys, records, runs


class ExecuteInProcessResult:
    """What became of a run in this process.

    Args:
        run: The run in its final state.
        event_list: Its events in order, log messages included.
        outputs: The values that its steps gave, by step key and output name.
        step_keys: The steps of the assets, by asset.
    """

    def __init__(
        self,
        *,
        run: runs.Run,
        event_list: Sequence[events.Event],
        outputs: Mapping[tuple[str, str], Any],
        step_keys: Mapping[keys.AssetKey, tuple[str, str]],
    ) -> None:
        self._run = run
        self._events = tuple(event_list)
        self._outputs = dict(outputs)
        self._step_keys = dict(step_keys)

    def __repr__(self) -> str:
        return (
            f"ExecuteInProcessResult(run_id={self.run_id!r}, job_name={self._run.job_name!r}, "
            f"success={self.success})"
        )

    @property
    def success(self) -> bool:
        """Whether the run succeeded."""
        return self._run.is_success

    @property
    def run(self) -> runs.Run:
        """The run in its final state."""
        return self._run

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._run.run_id

    @property
    def all_events(self) -> Sequence[events.Event]:
        """The events of the run in order, without log messages."""
        return [one for one in self._events if one.event_type is not events.EventType.LOG_MESSAGE]

    @property
    def all_log_messages(self) -> Sequence[events.Event]:
        """What user code and Atoll logged during the run, in order."""
        return self.filter_events(events.EventType.LOG_MESSAGE)

    def filter_events(self, event_type: events.EventType) -> list[events.Event]:
        """Return the events of one type."""
        return [one for one in self._events if one.event_type is event_type]

    def events_for_node(self, node_name: str) -> list[events.Event]:
        """Return the events of one step."""
        return [one for one in self.all_events if one.step_key == node_name]

    def output_for_node(
        self, node_str: str, output_name: str = asset_events.DEFAULT_OUTPUT_NAME
    ) -> Any:
        """Return the value that a step gave.

        Args:
            node_str: The step: the op name of the asset.
            output_name: The output.

        Returns:
            The value.

        Raises:
            StepOutputNotFoundError: The step gave no such value.
        """
        try:
            return self._outputs[node_str, output_name]
        except KeyError:
            raise errors.StepOutputNotFoundError(
                f"The step {node_str!r} gave no output {output_name!r} in this run.",
                node_str,
                output_name,
            ) from None

    def asset_value(self, asset_key: keys.CoercibleToAssetKey) -> Any:
        """Return the value that an asset was given in this run."""
        key = keys.AssetKey.from_coercible(asset_key)
        if key not in self._step_keys:
            known = ", ".join(repr(one.to_user_string()) for one in sorted(self._step_keys))
            raise errors.StepOutputNotFoundError(
                f"This run does not make the asset {key.to_user_string()!r}. It makes "
                f"{known or 'none'}.",
                keys.op_name_of(key),
                asset_events.DEFAULT_OUTPUT_NAME,
            )
        return self.output_for_node(*self._step_keys[key])

    def asset_materializations_for_node(
        self, node_name: str
    ) -> Sequence[asset_events.AssetMaterialization]:
        """Return the materializations of one step."""
        return [
            event.materialization
            for event in self.events_for_node(node_name)
            if event.materialization is not None
        ]

    def asset_observations_for_node(
        self, node_name: str
    ) -> Sequence[asset_events.AssetObservation]:
        """Return the observations of one step."""
        return [
            event.observation
            for event in self.events_for_node(node_name)
            if event.observation is not None
        ]

    def get_asset_materialization_events(self) -> list[events.Event]:
        """Return the events that tell of materializations."""
        return self.filter_events(events.EventType.ASSET_MATERIALIZATION)

    def get_asset_observation_events(self) -> list[events.Event]:
        """Return the events that tell of observations."""
        return self.filter_events(events.EventType.ASSET_OBSERVATION)

    def get_failed_step_keys(self) -> set[str]:
        """Return the steps that failed."""
        failed = self.filter_events(events.EventType.STEP_FAILURE)
        return {event.step_key for event in failed if event.step_key is not None}

    def failure_data_for_node(self, node_str: str) -> failures.FailureInfo | None:
        """Return why a step failed, None where it did not."""
        for event in self.events_for_node(node_str):
            if event.event_type is events.EventType.STEP_FAILURE:
                return event.failure
        return None


class JobExecution(records.Record):
    """What is to run in this process.

    Attributes:
        job_name: The job.
        run_config: The plain run configuration; the job's own where empty.
        instance: The `Instance` to record in; an ephemeral one where None.
        raise_on_error: Whether a failure of user code is raised.
        asset_selection: Only these assets of the job; None means all.
        run_id: The id of the run; made up where None.
        tags: Labels of the run, beside the job's.
        resources: Objects that replace those of the definitions, by resource key.
    """

    job_name: str
    run_config: Mapping[str, Any]
    instance: Any
    raise_on_error: bool
    asset_selection: Sequence[keys.AssetKey] | None
    run_id: str | None
    tags: Mapping[str, str]
    resources: Mapping[str, Any]


class Executor(Protocol):
    """Runs jobs and loads values; implemented by the execution."""

    def execute_job(self, definitions: Any, execution: JobExecution) -> ExecuteInProcessResult:
        """Run a job to its end."""
        ...

    def load_asset_value(
        self, definitions: Any, asset_key: keys.AssetKey, python_type: Any, instance: Any
    ) -> Any:
        """Load the stored value of an asset."""
        ...


_EXECUTOR_MODULE = "atoll._execution.materialization"
_registered: list[Executor] = []


def register(executor: Executor) -> None:
    """Make an executor the one that `executor` returns."""
    _registered[:] = [executor]


def executor() -> Executor:
    """Return the executor of this process."""
    if not _registered:
        importlib.import_module(_EXECUTOR_MODULE)
    return _registered[0]
