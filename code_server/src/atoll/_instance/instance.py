"""The instance as user code sees it: questions about assets and runs, wherever they are stored.

Called by user code through `context.instance`, in assets, sensors and tests. It never blocks on
anything but its backend, and it never shows a connection or a credential.
"""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from atoll._definitions import asset_events, errors, events, keys, runs
from atoll._instance import backend as backends
from atoll._instance import ephemeral

RecordsFilter: TypeAlias = keys.AssetKey | events.AssetRecordsFilter
_PAGE_SIZE = 200


class Instance:
    """Answers questions about assets and runs.

    Args:
        backend: Whoever stores the log.
    """

    def __init__(self, backend: backends.Backend) -> None:
        self._backend = backend

    @staticmethod
    def ephemeral() -> "Instance":
        """Make an instance that keeps everything in memory, for tests."""
        return Instance(ephemeral.EphemeralBackend())

    @property
    def backend(self) -> backends.Backend:
        """Whoever stores the log."""
        return self._backend

    @property
    def is_ephemeral(self) -> bool:
        """Whether everything is kept in memory only."""
        return isinstance(self._backend, ephemeral.EphemeralBackend)

    @property
    def storage_dir(self) -> pathlib.Path | None:
        """Where the default IO manager keeps values; None means where the location says.

        An ephemeral instance has a folder of its own, so that a test never touches values of a
        location.
        """
        if isinstance(self._backend, ephemeral.EphemeralBackend):
            return self._backend.storage_dir
        return None

    def get_latest_materialization_event(
        self, asset_key: keys.CoercibleToAssetKey
    ) -> events.EventLogEntry | None:
        """Return the newest materialization of an asset, None where it has none."""
        key = keys.AssetKey.from_coercible(asset_key)
        record = self._backend.latest_materializations([key]).get(key)
        return record.event_log_entry if record is not None else None

    def get_latest_materialization_events(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> dict[keys.AssetKey, events.EventLogEntry | None]:
        """Return the newest materialization of each asset, None for those that have none."""
        records = self.get_latest_materialization_records(asset_keys)
        return {
            key: record.event_log_entry if record is not None else None
            for key, record in records.items()
        }

    def get_latest_materialization_records(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> dict[keys.AssetKey, events.EventLogRecord | None]:
        """Return the newest materialization of each asset with its position, if it has one."""
        found = self._backend.latest_materializations(list(asset_keys))
        return {key: found.get(key) for key in asset_keys}

    def fetch_materializations(
        self,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return materializations of an asset, page by page.

        Args:
            records_filter: The asset, or a filter over its records.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        kind = backends.AssetEventKind.MATERIALIZATION
        return self._fetch(kind, records_filter, limit, cursor, ascending=ascending)

    def fetch_observations(
        self,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return observations of an asset, page by page.

        Args:
            records_filter: The asset, or a filter over its records.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        kind = backends.AssetEventKind.OBSERVATION
        return self._fetch(kind, records_filter, limit, cursor, ascending=ascending)

    def get_run_by_id(self, run_id: str) -> runs.Run | None:
        """Return a run, None where there is none of that id."""
        return self._backend.run(run_id)

    def has_run(self, run_id: str) -> bool:
        """Tell whether there is a run of that id."""
        return self._backend.run(run_id) is not None

    def report_runless_asset_event(
        self, asset_event: asset_events.AssetMaterialization | asset_events.AssetObservation
    ) -> None:
        """Record a materialization or an observation that no run made.

        Raises:
            InstanceUnavailableError: The instance takes no reports from here.
        """
        recording = recording_backend(self._backend)
        if recording is None:
            raise errors.InstanceUnavailableError(
                "This instance takes events from runs only. Report from outside through the host's "
                "API.",
                reason="REPORT_NOT_SUPPORTED",
            )
        recording.record_event(runless_event(asset_event, time.time()))

    def _fetch(
        self,
        kind: backends.AssetEventKind,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None,
        *,
        ascending: bool,
    ) -> events.EventRecordsResult:
        if limit < 1:
            raise errors.InvalidInvocationError(f"The limit is a positive number, got {limit}.")
        chosen = (
            records_filter
            if isinstance(records_filter, events.AssetRecordsFilter)
            else events.AssetRecordsFilter(records_filter)
        )
        after_id, before_id = _bounds(chosen, cursor, ascending=ascending)
        fits = _predicate(chosen)
        # Only position and partition are filters of the backend; the rest is sifted here, page by
        # page.
        page_size = max(limit, _PAGE_SIZE) if fits is not None else limit
        found: list[events.EventLogRecord] = []
        while True:
            query = backends.AssetEventsQuery(
                key=chosen.asset_key,
                kind=kind,
                after_id=after_id,
                before_id=before_id,
                ascending=ascending,
                limit=page_size,
                partitions=tuple(chosen.asset_partitions or ()),
            )
            page, has_more = self._backend.asset_events(query)
            found += [record for record in page if fits is None or fits(record)]
            if len(found) >= limit or not has_more or not page:
                break
            last_id = page[-1].storage_id
            after_id, before_id = (last_id, before_id) if ascending else (after_id, last_id)
        has_more = has_more or len(found) > limit
        found = found[:limit]
        next_cursor = str(found[-1].storage_id) if found else (cursor or "")
        return events.EventRecordsResult(found, next_cursor, has_more)


def recording_backend(backend: backends.Backend) -> backends.RecordingBackend | None:
    """Return the backend as one that stores, None where it only answers."""
    return backend if isinstance(backend, ephemeral.EphemeralBackend) else None


def runless_event(
    asset_event: asset_events.AssetMaterialization | asset_events.AssetObservation, timestamp: float
) -> events.Event:
    """Make the event of a materialization or an observation that no run made.

    Args:
        asset_event: What is told of the asset.
        timestamp: When, in seconds since 1970.

    Returns:
        The event.
    """
    key = asset_event.asset_key.to_user_string()
    if isinstance(asset_event, asset_events.AssetMaterialization):
        return events.Event(
            events.EventType.ASSET_MATERIALIZATION,
            message=f"Materialized {key}.",
            event_specific_data=events.StepMaterializationData(asset_event),
            timestamp=timestamp,
        )
    return events.Event(
        events.EventType.ASSET_OBSERVATION,
        message=f"Observed {key}.",
        event_specific_data=events.AssetObservationData(asset_event),
        timestamp=timestamp,
    )


def _bounds(
    chosen: events.AssetRecordsFilter, cursor: str | None, *, ascending: bool
) -> tuple[int, int]:
    after_id, before_id = chosen.after_storage_id or 0, chosen.before_storage_id or 0
    if not cursor:
        return after_id, before_id
    if not cursor.isdigit():
        raise errors.InvalidInvocationError(
            f"The cursor {cursor!r} does not come from an earlier page. Pass "
            "EventRecordsResult.cursor on."
        )
    position = int(cursor)
    if ascending:
        return max(after_id, position), before_id
    return after_id, min(before_id or position, position)


def _predicate(
    chosen: events.AssetRecordsFilter,
) -> Callable[[events.EventLogRecord], bool] | None:
    after, before, ids = chosen.after_timestamp, chosen.before_timestamp, chosen.storage_ids
    if after is None and before is None and ids is None:
        return None

    def fits(record: events.EventLogRecord) -> bool:
        return (
            (after is None or record.timestamp > after)
            and (before is None or record.timestamp < before)
            and (ids is None or record.storage_id in ids)
        )

    return fits
