"""What backfills that have not ended are still to execute. Pure.

Called by `leading` with the backfills as they are stored: their targets and what became of them, as
sets of partitions. Which runs they make stays with `automation.backfills`.
"""

from collections.abc import Iterable, Mapping

from atoll import errors as location_errors
from atoll._conditions import entities, graph
from atoll._partition_messages import subsets as messages
from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import partitions_pb2
from atoll_host.automation.backfills import plans
from atoll_host.automation.conditions import asset_memory
from atoll_storage import backfill_records

Entity = entities.Entity
Value = asset_memory.Value

ACTIVE = (
    backfill_records.BackfillStatus.REQUESTED,
    backfill_records.BackfillStatus.PAUSED,
    backfill_records.BackfillStatus.CANCELING,
)
AT_ONCE_MAX = 1_000
"""So many backfills that have not ended are looked at, the newest."""


def left_of(
    backfills: Iterable[backfill_records.BackfillRecord], known: graph.Graph
) -> Mapping[Entity, Value]:
    """Return what backfills are still to execute, by asset or job.

    Args:
        backfills: Those that have not ended.
        known: The graph, for the partitions that there are now.
    """
    found: dict[Entity, Value] = {}
    for backfill in backfills:
        target = backfills_pb2.BackfillTarget.FromString(backfill.target)
        progress = backfills_pb2.BackfillProgress.FromString(backfill.progress)
        done: list[backfills_pb2.BackfillPartProgress] = list(progress.parts)
        for number, part in enumerate(target.parts):
            entity = entities.job(part.location_name, part.job_name)
            if part.HasField("asset_key"):
                entity = entities.asset(part.asset_key.path)
            of_part = done[number] if number < len(done) else None
            left = _left(part, of_part, known.node(entity).partitions_def)
            before = found.get(entity)
            found[entity] = left if before is None else asset_memory.joined(before, left)
    return found


def _left(
    part: backfills_pb2.BackfillTargetPart,
    done: backfills_pb2.BackfillPartProgress | None,
    partitions_def: asset_memory.PartitionsDefinition | None,
) -> Value:
    # What has no partitions has one that stands for all of it.
    own = partitions_def if part.partitioned else plans.WHOLE
    if own is None:
        return False
    left = _read(part.partitions, own)
    if done is not None:
        left = asset_memory.without(left, _read(done.materialized, own))
        left = asset_memory.without(left, _read(done.failed, own))
    if not part.partitioned:
        return bool(left) if partitions_def is None else partitions_def.empty_subset()
    return left


def _read(
    message: partitions_pb2.PartitionsSubset, partitions_def: asset_memory.PartitionsDefinition
) -> Value:
    try:
        return messages.from_message(message, partitions_def)
    except location_errors.Error:
        # The partitions are defined otherwise by now.
        return partitions_def.empty_subset()
