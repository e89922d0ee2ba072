"""What an instance needs from whoever stores the log, by subject.

Implemented in memory by `_instance.ephemeral` and over a socket by the processes of a location.
Typed Python data only: no protobuf, no connection, no user code.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from atoll._definitions import (
    asset_records,
    backfills,
    events,
    freshness_states,
    keys,
    runs,
    specs,
)


@dataclasses.dataclass(frozen=True)
class EventsQuery:
    """A question for events of the log; all given conditions must hold.

    Attributes:
        event_types: Only these kinds; empty means any.
        run_id: Only events of this run.
        asset_key: Only events about this asset.
        partitions: Only these partitions of the asset; empty means all.
        job_names: Only events of runs of these jobs; empty means any.
        after_id: Only events after this position; 0 means no bound.
        before_id: Only events before this position; 0 means no bound.
        after_timestamp: Only what happened after, in seconds since 1970.
        before_timestamp: Only what happened before, in seconds since 1970.
        storage_ids: Only these; empty means any.
        ascending: Whether the oldest comes first.
        limit: How many at the most.
    """

    event_types: Sequence[events.EventType] = ()
    run_id: str | None = None
    asset_key: keys.AssetKey | None = None
    partitions: Sequence[str] = ()
    job_names: Sequence[str] = ()
    after_id: int = 0
    before_id: int = 0
    after_timestamp: float | None = None
    before_timestamp: float | None = None
    storage_ids: Sequence[int] = ()
    ascending: bool = False
    limit: int = 100


@dataclasses.dataclass(frozen=True)
class RunsQuery:
    """A question for runs.

    Attributes:
        filters: Which runs.
        by_update: Order them by the last change of their status instead of by creation.
        ascending: Whether the oldest comes first.
        after_run_id: Only runs that come after this one in the order.
        limit: How many at the most.
    """

    filters: runs.RunsFilter = dataclasses.field(default_factory=runs.RunsFilter)
    by_update: bool = False
    ascending: bool = False
    after_run_id: str | None = None
    limit: int = 100


@dataclasses.dataclass(frozen=True)
class AssetPartitionsQuery:
    """A question for partitions of one asset.

    Attributes:
        asset_key: The asset.
        partitions: Only these; empty means all.
        after_partition: Only those after this one, in the order of their texts.
        materialized: Only those that were materialized, and only what that took.
        after_id: Only those whose newest materialization is after this position.
        before_id: Look only at what is before this position; 0 means no bound.
        limit: How many at the most.
    """

    asset_key: keys.AssetKey
    partitions: Sequence[str] = ()
    after_partition: str = ""
    materialized: bool = False
    after_id: int = 0
    before_id: int = 0
    limit: int = 10_000


class EventsBackend(Protocol):
    """Answers what user code asks of the log."""

    def log_records(self, query: EventsQuery) -> tuple[Sequence[events.EventLogRecord], bool]:
        """Return events by position, and whether there are more in the same direction."""
        ...

    def report_asset_event(self, event: events.Event) -> int:
        """Store an event about an asset that no run made; return its position."""
        ...


class AssetsBackend(Protocol):
    """Answers what user code asks of assets."""

    def latest_materializations(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, events.EventLogRecord]:
        """Return the newest materialization of each asset that has one."""
        ...

    def latest_partition_materializations(
        self, asset_key: keys.AssetKey, partitions: Sequence[str]
    ) -> Mapping[str, events.EventLogRecord]:
        """Return the newest materialization of each of the partitions that has one."""
        ...

    def asset_keys(
        self, prefix: Sequence[str], after: keys.AssetKey | None, limit: int
    ) -> tuple[Sequence[keys.AssetKey], bool]:
        """Return keys of assets that the log ever spoke of, and whether there are more."""
        ...

    def asset_entries(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, asset_records.AssetEntry]:
        """Return the newest events of each asset that has any."""
        ...

    def asset_partitions(
        self, query: AssetPartitionsQuery
    ) -> tuple[Sequence[asset_records.AssetPartition], bool]:
        """Return partitions of one asset in the order of their texts; whether there are more."""
        ...

    def freshness_states(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, freshness_states.FreshnessStateRecord]:
        """Return the freshness state of each asset for which one was decided."""
        ...

    def asset_specs(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, specs.AssetSpec]:
        """Return what locations define of each asset that some location defines."""
        ...


class ChecksBackend(Protocol):
    """Answers what user code asks of asset checks."""

    def latest_check_evaluations(
        self, check_keys: Sequence[keys.AssetCheckKey]
    ) -> Mapping[keys.AssetCheckKey, events.EventLogRecord]:
        """Return the newest evaluation of each check that was evaluated."""
        ...


class RunsBackend(Protocol):
    """Answers what user code asks of runs."""

    def run_record(self, run_id: str) -> runs.RunRecord | None:
        """Return a run, None where there is none of that id."""
        ...

    def run_records(self, query: RunsQuery) -> tuple[Sequence[runs.RunRecord], bool]:
        """Return runs in the order asked for, and whether there are more."""
        ...

    def runs_count(self, filters: runs.RunsFilter) -> int:
        """Return how many runs there are."""
        ...


@dataclasses.dataclass(frozen=True)
class BackfillsQuery:
    """A question for backfills, newest first.

    Attributes:
        backfill_id: Only this one.
        status: Only those in this state.
        after_backfill_id: Only those that come after this one.
        limit: How many at the most.
    """

    backfill_id: str | None = None
    status: backfills.BulkActionStatus | None = None
    after_backfill_id: str | None = None
    limit: int = 100


class BackfillsBackend(Protocol):
    """Answers what user code asks of backfills."""

    def backfills(
        self, query: BackfillsQuery
    ) -> tuple[Sequence[backfills.PartitionBackfill], bool]:
        """Return backfills, newest first, and whether there are more."""
        ...


class PartitionsBackend(Protocol):
    """Keeps dynamic partitions."""

    def dynamic_partitions(
        self, name: str, after: int, limit: int, *, descending: bool = False
    ) -> tuple[Sequence[str], int, bool]:
        """Return keys in the order of adding, the position of the last, and whether there are more.

        They come after a position; 0 begins.
        """
        ...

    def existing_dynamic_partitions(
        self, name: str, partition_keys: Sequence[str]
    ) -> Sequence[str]:
        """Return those of the keys that there are."""
        ...

    def add_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Add keys; those that are there already stay where they are."""
        ...

    def delete_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Take keys out; those that are not there are left alone."""
        ...


class Backend(
    EventsBackend,
    AssetsBackend,
    ChecksBackend,
    RunsBackend,
    BackfillsBackend,
    PartitionsBackend,
    Protocol,
):
    """Answers what user code asks of the instance, and stores what it tells.

    Every method may raise `errors.InstanceUnavailableError`.
    """


class RecordingBackend(Backend, Protocol):
    """A backend that also stores runs: what runs in this process is recorded in it."""

    def record_event(self, event: events.Event) -> events.EventLogRecord:
        """Store an event and return it at its position."""
        ...

    def record_run(self, run: runs.Run) -> None:
        """Store a run or its new status."""
        ...
