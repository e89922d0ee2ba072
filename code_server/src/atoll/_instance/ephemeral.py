"""A backend in memory, for tests and for runs in the process of whoever asks.

Called through `Instance.ephemeral()`. Keeps everything until it is dropped; not for long-lived
processes.
"""

import collections
import dataclasses
import datetime as dt
import itertools
import pathlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence

from atoll._definitions import asset_records, events, freshness_states, keys, specs
from atoll._instance import backend, ephemeral_runs

_MATERIALIZATION = events.EventType.ASSET_MATERIALIZATION
_OBSERVATION = events.EventType.ASSET_OBSERVATION
_PLANNED = events.EventType.ASSET_MATERIALIZATION_PLANNED
# The kinds by which an asset becomes known.
_OF_ASSETS = frozenset({_MATERIALIZATION, _OBSERVATION, _PLANNED})


@dataclasses.dataclass(frozen=True)
class _Stored:
    """An event and its record: the record of a log message does not hold the event."""

    event: events.Event
    record: events.EventLogRecord


class EphemeralBackend(ephemeral_runs.EphemeralRuns):
    """Keeps events, runs and dynamic partitions in memory.

    Args:
        storage_dir: Where values are kept; a folder of its own, removed at the end, where None.
        clock: Tells the time, in seconds since 1970.
    """

    def __init__(
        self, storage_dir: pathlib.Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(clock)
        self._ids = itertools.count(1)
        self._stored: list[_Stored] = []
        self._by_asset: collections.defaultdict[keys.AssetKey, list[_Stored]] = (
            collections.defaultdict(list)
        )
        self._by_run: collections.defaultdict[str, list[_Stored]] = collections.defaultdict(list)
        # By definition and key: the position.
        self._partitions: collections.defaultdict[str, dict[str, int]] = collections.defaultdict(
            dict
        )
        self._positions = itertools.count(1)
        self._storage_dir = storage_dir
        self._remove: weakref.finalize[[str], EphemeralBackend] | None = None

    @property
    def storage_dir(self) -> pathlib.Path:
        """A folder for values that lives as long as this backend."""
        if self._storage_dir is None:
            folder = tempfile.mkdtemp(prefix="atoll-ephemeral-")
            self._remove = weakref.finalize(self, _remove, folder)
            self._storage_dir = pathlib.Path(folder)
        return self._storage_dir

    def dispose(self) -> None:
        """Remove the folder of its own, if it made one. May be repeated."""
        if self._remove is not None:
            self._remove()
            self._remove = self._storage_dir = None

    def record_event(self, event: events.Event) -> events.EventLogRecord:
        """Store an event and return it at its position."""
        record = events.EventLogRecord(next(self._ids), events.EventLogEntry.of(event))
        stored = _Stored(event, record)
        self._stored.append(stored)
        if event.run_id:
            self._by_run[event.run_id].append(stored)
        if event.asset_key is not None:
            self._by_asset[event.asset_key].append(stored)
        return record

    def report_asset_event(self, event: events.Event) -> int:
        """Store an event about an asset that no run made; return its position."""
        return self.record_event(event).storage_id

    def records(self) -> Sequence[events.EventLogRecord]:
        """Return everything stored, oldest first."""
        return tuple(stored.record for stored in self._stored)

    def log_records(
        self, query: backend.EventsQuery
    ) -> tuple[Sequence[events.EventLogRecord], bool]:
        """Return events by position, and whether there are more in the same direction."""
        if query.asset_key is not None:
            candidates = self._by_asset.get(query.asset_key, [])
        elif query.run_id is not None:
            candidates = self._by_run.get(query.run_id, [])
        else:
            candidates = self._stored
        in_order = candidates if query.ascending else reversed(candidates)
        matching = (stored.record for stored in in_order if _fits(stored, query))
        found = list(itertools.islice(matching, query.limit + 1))
        return found[: query.limit], len(found) > query.limit

    def latest_materializations(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, events.EventLogRecord]:
        """Return the newest materialization of each asset that has one."""
        found = {key: self._newest(key, _MATERIALIZATION) for key in asset_keys}
        return {key: stored.record for key, stored in found.items() if stored is not None}

    def latest_partition_materializations(
        self, asset_key: keys.AssetKey, partitions: Sequence[str]
    ) -> Mapping[str, events.EventLogRecord]:
        """Return the newest materialization of each of the partitions that has one."""
        wanted = frozenset(partitions)
        return {
            stored.event.partition: stored.record
            for stored in self._by_asset.get(asset_key, [])
            if stored.event.event_type is _MATERIALIZATION
            and stored.event.partition is not None
            and stored.event.partition in wanted
        }

    def asset_keys(
        self, prefix: Sequence[str], after: keys.AssetKey | None, limit: int
    ) -> tuple[Sequence[keys.AssetKey], bool]:
        """Return keys of assets that the log ever spoke of, and whether there are more."""
        found = sorted(
            key
            for key, stored in self._by_asset.items()
            if key.has_prefix(prefix)
            and (after is None or key > after)
            and any(one.event.event_type in _OF_ASSETS for one in stored)
        )
        return found[:limit], len(found) > limit

    def asset_entries(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, asset_records.AssetEntry]:
        """Return the newest events of each asset that has any."""
        return {key: entry for key in asset_keys if (entry := self._entry(key)) is not None}

    def asset_partitions(
        self, query: backend.AssetPartitionsQuery
    ) -> tuple[Sequence[asset_records.AssetPartition], bool]:
        """Return partitions of one asset in the order of their texts; whether there are more."""
        known = self._partitions_of(query)
        only_materialized = query.materialized or query.after_id or query.before_id
        found = [
            known[partition]
            for partition in sorted(known)
            if partition > query.after_partition
            and (not query.partitions or partition in query.partitions)
            and (not only_materialized or known[partition].materialization_id > query.after_id)
        ]
        return found[: query.limit], len(found) > query.limit

    def freshness_states(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, freshness_states.FreshnessStateRecord]:
        """Return the freshness state of each asset whose events tell of one."""
        found: dict[keys.AssetKey, freshness_states.FreshnessStateRecord] = {}
        for key in asset_keys:
            newest = self._newest(key, events.EventType.FRESHNESS_STATE_CHANGE)
            if newest is not None:
                told: freshness_states.FreshnessStateChange = newest.event.event_specific_data
                found[key] = freshness_states.FreshnessStateRecord(
                    key,
                    told.new_state,
                    dt.datetime.fromtimestamp(told.state_change_timestamp, dt.timezone.utc),
                )
        return found

    def asset_specs(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, specs.AssetSpec]:
        """Return what locations define of assets: there are no locations, so nothing."""
        del asset_keys
        return {}

    def latest_check_evaluations(
        self, check_keys: Sequence[keys.AssetCheckKey]
    ) -> Mapping[keys.AssetCheckKey, events.EventLogRecord]:
        """Return the newest evaluation of each check that was evaluated."""
        found: dict[keys.AssetCheckKey, events.EventLogRecord] = {}
        for key in check_keys:
            for stored in reversed(self._by_asset.get(key.asset_key, [])):
                told = stored.event.asset_check_evaluation
                if told is not None and told.check_name == key.name:
                    found[key] = stored.record
                    break
        return found

    def dynamic_partitions(
        self, name: str, after: int, limit: int, *, descending: bool = False
    ) -> tuple[Sequence[str], int, bool]:
        """Return keys in the order of adding, the position of the last, and whether there are more.

        They come after a position; 0 begins.
        """
        items = list(self._partitions.get(name, {}).items())
        if descending:
            items.reverse()
        beyond = [
            (key, position)
            for key, position in items
            if not after or (position < after if descending else position > after)
        ]
        page = beyond[:limit]
        last = page[-1][1] if page else after
        return [key for key, _ in page], last, len(beyond) > limit

    def existing_dynamic_partitions(
        self, name: str, partition_keys: Sequence[str]
    ) -> Sequence[str]:
        """Return those of the keys that there are."""
        known = self._partitions.get(name, {})
        return [key for key in partition_keys if key in known]

    def add_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Add keys; those that are there already stay where they are."""
        known = self._partitions[name]
        for key in partition_keys:
            if key not in known:
                known[key] = next(self._positions)

    def delete_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Take keys out; those that are not there are left alone."""
        for key in partition_keys:
            self._partitions[name].pop(key, None)

    def _newest(self, key: keys.AssetKey, event_type: events.EventType) -> _Stored | None:
        of_asset: Iterable[_Stored] = reversed(self._by_asset.get(key, []))
        return next((one for one in of_asset if one.event.event_type is event_type), None)

    def _entry(self, key: keys.AssetKey) -> asset_records.AssetEntry | None:
        made, seen, planned = (
            self._newest(key, kind) for kind in (_MATERIALIZATION, _OBSERVATION, _PLANNED)
        )
        if made is None and seen is None and planned is None:
            return None
        return asset_records.AssetEntry(
            asset_key=key,
            last_materialization_record=None if made is None else made.record,
            last_observation_record=None if seen is None else seen.record,
            last_planned_materialization_storage_id=(
                None if planned is None else planned.record.storage_id
            ),
            last_planned_materialization_run_id=(
                None if planned is None else planned.event.run_id or None
            ),
        )

    def _partitions_of(
        self, query: backend.AssetPartitionsQuery
    ) -> dict[str, asset_records.AssetPartition]:
        known: dict[str, asset_records.AssetPartition] = {}
        for stored in self._by_asset.get(query.asset_key, []):
            event, event_id = stored.event, stored.record.storage_id
            partition = event.partition
            if partition is None or (query.before_id and event_id >= query.before_id):
                continue
            before = known.get(partition, asset_records.AssetPartition(partition))
            known[partition] = self._moved_on(before, event, event_id)
        return known

    def _moved_on(
        self, before: asset_records.AssetPartition, event: events.Event, event_id: int
    ) -> asset_records.AssetPartition:
        fields = {name: getattr(before, name) for name in before.record_fields}
        if event.event_type is _MATERIALIZATION:
            fields["materialization_id"] = event_id
            fields["materialization_count"] += 1
        elif event.event_type is _OBSERVATION:
            fields["observation_id"] = event_id
        elif event.event_type is _PLANNED:
            run = self.run_record(event.run_id)
            status = "" if run is None else run.run.status.value
            fields.update(
                planned_id=event_id, planned_run_id=event.run_id, planned_run_status=status
            )
        return asset_records.AssetPartition(**fields)


def _fits(stored: _Stored, query: backend.EventsQuery) -> bool:
    event, event_id = stored.event, stored.record.storage_id
    after, before = query.after_timestamp, query.before_timestamp
    return (
        (not query.event_types or event.event_type in query.event_types)
        and (query.run_id is None or event.run_id == query.run_id)
        and (not query.partitions or event.partition in query.partitions)
        and (not query.job_names or event.job_name in query.job_names)
        and event_id > query.after_id
        and (not query.before_id or event_id < query.before_id)
        and (after is None or event.timestamp > after)
        and (before is None or event.timestamp < before)
        and (not query.storage_ids or event_id in query.storage_ids)
    )


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
