"""Which partitions of an asset are materialized, failed, in progress and missing. Pure.

Called by the servicer of assets with what storage knows. Of what holds for one partition the first
counts: somebody is making it, the newest attempt failed, it was made, it was never made.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from atoll import errors as location_errors
from atoll._partition_messages import subsets as subset_messages
from atoll._partitions import contexts, partition_keys, subsets
from atoll.api.v1 import assets_pb2
from atoll_host.locations import partitioned
from atoll_storage import condition_records, records

State = assets_pb2.PartitionState

IN_PROGRESS = assets_pb2.PARTITION_STATE_IN_PROGRESS
FAILED = assets_pb2.PARTITION_STATE_FAILED
MATERIALIZED = assets_pb2.PARTITION_STATE_MATERIALIZED
MISSING = assets_pb2.PARTITION_STATE_MISSING
ORDER = (IN_PROGRESS, FAILED, MATERIALIZED, MISSING)

SUBSET_BYTES_MAX = 4 * 1024 * 1024
"""A larger set of partitions is not told: there are pages for it."""

_OPEN = frozenset({"QUEUED", "STARTING", "STARTED", "CANCELING"})

ByState = Mapping["State.ValueType", subsets.PartitionsSubset]


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of the partitions of one asset.

    Attributes:
        rows: What the log says of those that it ever spoke of.
        planned_id: The newest plan to make the asset, of whatever partition; 0 for none.
        planned_run_id: The run whose plan that is.
        failed_id: From where on the newest failure counts that was for a range; 0 for none.
        failed_range: The first and the last partition of that range; empty for none.
        runs: The runs that are to make the asset and have not ended.
    """

    rows: Sequence[records.AssetPartition]
    planned_id: int = 0
    planned_run_id: str = ""
    failed_id: int = 0
    failed_range: tuple[str, str] = ("", "")
    runs: Sequence[condition_records.OpenRun] = ()


def by_state(
    partitions_def: partitioned.PartitionsDefinition,
    context: contexts.PartitionLoadingContext,
    known: Known,
) -> ByState:
    """Return the partitions that there are now, by state.

    Args:
        partitions_def: The partitions.
        context: The time and the dynamic partitions to go by.
        known: What is known of them.
    """
    there = partitions_def.subset_with_all_partitions(
        context.effective_dt, context.dynamic_partitions_store
    )
    marked = _Marked(partitions_def, context)
    active = marked.keys(each.partition for each in known.rows if _is_planned(each))
    for run in known.runs:
        active = active | marked.of_run(run, known)
    failed = marked.keys(each.partition for each in known.rows if _has_failed(each))
    if known.failed_id and known.failed_range[0]:
        since = marked.keys(
            each.partition for each in known.rows if each.materialization_id > known.failed_id
        )
        failed = failed | (marked.between(*known.failed_range) - since)
    made = marked.keys(each.partition for each in known.rows if each.materialization_id)
    active = active & there
    failed = (failed & there) - active
    made = (made & there) - failed - active
    return {
        IN_PROGRESS: active,
        FAILED: failed,
        MATERIALIZED: made,
        MISSING: there - made - failed - active,
    }


def message_of(states: ByState) -> list[assets_pb2.PartitionsInState]:
    """Return partitions by state as messages."""
    messages: list[assets_pb2.PartitionsInState] = []
    for state in ORDER:
        subset = states[state]
        told = assets_pb2.PartitionsInState(state=state, count=len(subset))
        if not subset.is_empty:
            encoded = subset_messages.to_message(subset)
            if encoded.ByteSize() <= SUBSET_BYTES_MAX:
                told.subset.CopyFrom(encoded)
        messages.append(told)
    return messages


def concerns(
    run: condition_records.OpenRun, path: records.AssetPath, of_job: Iterable[records.AssetPath]
) -> bool:
    """Tell whether a run is to make an asset.

    Args:
        run: The run.
        path: The asset.
        of_job: The assets of the run's job.
    """
    if run.asset_selection or run.check_selection:
        return path in run.asset_selection
    return path in of_job


class _Marked:
    """Sets of partitions; what the definition no longer has is left out."""

    def __init__(
        self,
        partitions_def: partitioned.PartitionsDefinition,
        context: contexts.PartitionLoadingContext,
    ) -> None:
        self._empty = partitions_def.empty_subset()
        self._context = context

    def keys(self, keys: Iterable[str]) -> subsets.PartitionsSubset:
        named = [key for key in keys if key]
        try:
            return self._empty.with_partition_keys(named)
        except location_errors.Error:
            found = self._empty
            for key in named:
                try:
                    found = found.with_partition_keys([key])
                except location_errors.Error:
                    continue
            return found

    def between(self, start: str, end: str) -> subsets.PartitionsSubset:
        try:
            return self._empty.with_partition_key_range(
                partition_keys.PartitionKeyRange(start, end),
                self._context.dynamic_partitions_store,
            )
        except location_errors.Error:
            return self._empty

    def of_run(self, run: condition_records.OpenRun, known: Known) -> subsets.PartitionsSubset:
        """Return what a run is still to make."""
        if run.partition_range[0]:
            whole = self.between(*run.partition_range)
            if known.planned_run_id != run.run_id:
                return whole
            done = (each for each in known.rows if each.materialization_id > known.planned_id)
            return whole - self.keys(each.partition for each in done)
        # What it planned already is told by the row of the partition.
        if any(each.planned_run_id == run.run_id for each in known.rows):
            return self._empty
        return self.keys([run.partition_key])


def _is_planned(row: records.AssetPartition) -> bool:
    """Tell whether somebody is making a partition; what was reported names no run."""
    if row.planned_id <= row.materialization_id or row.planned_id <= row.failed_id:
        return False
    return not row.planned_run_id or row.planned_run_status in _OPEN


def _has_failed(row: records.AssetPartition) -> bool:
    return row.failed_id > row.materialization_id
