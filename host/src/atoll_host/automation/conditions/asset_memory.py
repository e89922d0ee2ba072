"""What is remembered of one asset or check, and how an event changes it. Pure.

Part of `knowledge`. Sets of partitions are those of the definition that the graph has. What came in
last is kept as updates, as far back as `recent_from`; what is asked of earlier ones has to be read.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from atoll import errors as location_errors
from atoll._conditions import entity_subsets
from atoll._partitions import contexts, definitions, partition_keys
from atoll.events.v1 import events_pb2

Value = entity_subsets.Value
PartitionsDefinition = definitions.PartitionsDefinition

DATA_VERSION_TAG = "atoll/data_version"
RECENT_MAX = 2_000
"""So many updates of one asset are remembered at the most; older ones have to be read."""

_MOMENT_S = 1e-6


@dataclasses.dataclass(slots=True)
class Recent:
    """An event that may count as an update.

    Attributes:
        event_id: Its position in the log.
        timestamp: When this host heard of it, later than what it had heard of before.
        partition: The partition, empty for none.
        run_id: The run, empty for none.
        version: The data version; None where none was told.
        observed: Whether it is an observation.
    """

    event_id: int
    timestamp: float
    partition: str
    run_id: str
    version: str | None = None
    observed: bool = False


def recent_of(event_id: int, timestamp: float, event: events_pb2.Event) -> Recent:
    """Return what is remembered of a materialization, an observation or an evaluation."""
    kind = event.WhichOneof("body") or ""
    body = getattr(event, kind)
    version = None
    if kind != "asset_check_evaluation":
        version = body.tags.get(DATA_VERSION_TAG)
    observed = kind == "asset_observation"
    return Recent(event_id, timestamp, body.partition, event.run_id, version, observed)


@dataclasses.dataclass(slots=True)
class Memory:
    """What is remembered of an asset or a check.

    Attributes:
        position: Everything up to here is taken into account.
        newest: The newest update; None for none.
        present: What is not missing.
        failed: What failed last: to be executed, for an asset; the check, for a check.
        passed: Of a check, what passed.
        run_ids: Of a check, the run of the newest evaluation of each partition.
        recent: The updates after `recent_from`, oldest first.
        recent_from: From here on updates are remembered.
    """

    position: int
    newest: Recent | None
    present: Value
    failed: Value
    passed: Value = False
    run_ids: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    recent: list[Recent] = dataclasses.field(default_factory=list[Recent])
    recent_from: int = 0

    @property
    def weight(self) -> int:
        """How much room it takes, an asset without partitions being one."""
        sets = (self.present, self.failed, self.passed)
        held = sum(len(each) for each in sets if not isinstance(each, bool))
        return 1 + held // 50 + len(self.recent) // 4 + len(self.run_ids) // 4

    def updated(self, recent: Recent) -> None:
        """Take the newest update into account."""
        self.newest = recent
        self.recent.append(recent)
        if len(self.recent) > RECENT_MAX:
            half = RECENT_MAX // 2
            self.recent_from = self.recent[-half - 1].event_id
            del self.recent[:-half]

    def look_back(self, after: int, found: Iterable[Recent]) -> None:
        """Take over updates that were read, all there are after a position."""
        if after >= self.recent_from:
            return
        earlier = [each for each in found if each.event_id <= self.recent_from]
        known = {each.event_id for each in self.recent}
        earlier = [each for each in earlier if each.event_id not in known]
        self.recent = sorted([*earlier, *self.recent], key=lambda each: each.event_id)
        self.recent_from = after

    def since(self, after: int) -> list[Recent]:
        """Return the updates after a position."""
        return [each for each in self.recent if each.event_id > after]


def empty_value(partitions_def: PartitionsDefinition | None) -> Value:
    """Return the set of nothing."""
    return False if partitions_def is None else partitions_def.empty_subset()


def value_of(partitions_def: PartitionsDefinition | None, keys: Sequence[str]) -> Value:
    """Return a set of partitions by their keys; what the definition cannot have is left out.

    Args:
        partitions_def: The partitions; None for none, where any key means the whole.
        keys: The keys; an empty one stands for no partition.
    """
    if partitions_def is None:
        return bool(keys)
    named = [key for key in keys if key]
    try:
        return partitions_def.subset_with_partition_keys(named)
    except location_errors.Error:
        known = partitions_def.empty_subset()
        for key in named:
            try:
                known = known.with_partition_keys([key])
            except location_errors.Error:
                continue
        return known


def with_partition(
    value: Value, partitions_def: PartitionsDefinition | None, partition: str
) -> Value:
    """Return a set with one partition more."""
    if partitions_def is None:
        return True
    if isinstance(value, bool):
        return value_of(partitions_def, [partition])
    if not partition or partition in value:
        return value
    added = value_of(partitions_def, [partition])
    return value if isinstance(added, bool) else value | added


def without_partition(
    value: Value, partitions_def: PartitionsDefinition | None, partition: str
) -> Value:
    """Return a set without one partition."""
    if partitions_def is None:
        return False
    if isinstance(value, bool) or not partition or partition not in value:
        return value
    taken = value_of(partitions_def, [partition])
    return value if isinstance(taken, bool) else value - taken


def range_of(
    partitions_def: PartitionsDefinition,
    start: str,
    end: str,
    dynamic: contexts.DynamicPartitionsStore,
) -> Value:
    """Return the partitions from one to another; none where they are defined otherwise by now."""
    empty = partitions_def.empty_subset()
    try:
        return empty.with_partition_key_range(partition_keys.PartitionKeyRange(start, end), dynamic)
    except location_errors.Error:
        return empty


def joined(one: Value, other: Value) -> Value:
    """Return what is in any of two sets of partitions of one definition."""
    if isinstance(one, bool) or isinstance(other, bool):
        return (bool(one) or bool(other)) if isinstance(one, bool) else one
    return one | other


def without(one: Value, other: Value) -> Value:
    """Return what is in one set and not in the other."""
    if isinstance(one, bool) or isinstance(other, bool):
        return (one and not other) if isinstance(one, bool) else one
    return one - other


def later(moment: float, before: float) -> float:
    """Return a moment, or the next one after another if that is not later."""
    return max(moment, before + _MOMENT_S)


def is_about_latest(
    event: events_pb2.Event, materialization_id: int, materialization: bytes
) -> bool:
    """Say whether an evaluation of a check is about the latest materialization.

    It is as well where the same run made that one, which had no position yet when it was checked.
    """
    if not materialization_id:
        return True
    checked = event.asset_check_evaluation.checked_materialization
    if checked.event_id >= materialization_id:
        return True
    if not event.run_id:
        return False
    return events_pb2.Event.FromString(materialization).run_id == event.run_id
