"""A backend in memory, for tests and for runs in the process of whoever asks.

Called through `Instance.ephemeral()`. Keeps everything until it is dropped; not for long-lived
processes.
"""

import collections
import itertools
import pathlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence

from atoll._definitions import events, keys, runs
from atoll._instance import backend

_KINDS = {
    events.EventType.ASSET_MATERIALIZATION: backend.AssetEventKind.MATERIALIZATION,
    events.EventType.ASSET_OBSERVATION: backend.AssetEventKind.OBSERVATION,
}


class EphemeralBackend:
    """Keeps events and runs in memory."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._records: list[events.EventLogRecord] = []
        self._by_asset: collections.defaultdict[
            tuple[keys.AssetKey, backend.AssetEventKind], list[events.EventLogRecord]
        ] = collections.defaultdict(list)
        self._runs: dict[str, runs.Run] = {}
        self._storage_dir: pathlib.Path | None = None

    @property
    def storage_dir(self) -> pathlib.Path:
        """A folder for values that lives as long as this backend."""
        if self._storage_dir is None:
            folder = tempfile.mkdtemp(prefix="atoll-ephemeral-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._storage_dir = pathlib.Path(folder)
        return self._storage_dir

    def record_event(self, event: events.Event) -> events.EventLogRecord:
        """Store an event and return it at its position."""
        record = events.EventLogRecord(next(self._ids), events.EventLogEntry.of(event))
        self._records.append(record)
        kind = _KINDS.get(event.event_type)
        if kind is not None and event.asset_key is not None:
            self._by_asset[event.asset_key, kind].append(record)
        return record

    def record_run(self, run: runs.Run) -> None:
        """Store a run or its new status."""
        self._runs[run.run_id] = run

    def records(self) -> Sequence[events.EventLogRecord]:
        """Return everything stored, oldest first."""
        return tuple(self._records)

    def latest_materializations(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, events.EventLogRecord]:
        """Return the newest materialization of each asset that has one."""
        found = {
            key: self._by_asset.get((key, backend.AssetEventKind.MATERIALIZATION))
            for key in asset_keys
        }
        return {key: records[-1] for key, records in found.items() if records}

    def asset_events(
        self, query: backend.AssetEventsQuery
    ) -> tuple[Sequence[events.EventLogRecord], bool]:
        """Return events of one asset, and whether there are more in the same direction."""
        stored = self._by_asset.get((query.key, query.kind), [])
        matching = [
            record
            for record in (stored if query.ascending else reversed(stored))
            if record.storage_id > query.after_id
            and (not query.before_id or record.storage_id < query.before_id)
            and (not query.partitions or record.partition_key in query.partitions)
        ]
        return matching[: query.limit], len(matching) > query.limit

    def run(self, run_id: str) -> runs.Run | None:
        """Return a run, None where there is none of that id."""
        return self._runs.get(run_id)
