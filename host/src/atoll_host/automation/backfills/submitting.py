"""Makes the runs of what was decided. Pure.

Called by `leading`. A run for some units is checked like any launch (`runs.requests`); the others
for the same units differ by their partitions only, and are made of it.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

from atoll._partitions import multi_partitions
from atoll.definitions.v1 import values_pb2
from atoll_host import errors
from atoll_host.automation.backfills import cutting, deciding, parts, plans
from atoll_host.runs import partitions, requests, run_tags
from atoll_storage import backfill_records, records

BACKFILL_TAG = backfill_records.BACKFILL_TAG
PRIORITY = "-1"
"""What a backfill's runs have where nobody says otherwise: whatever else waits goes first."""


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """The backfill that asks for runs."""

    backfill_id: str
    tags: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be requested, and why."""

    chunk: deciding.Chunk
    failure: values_pb2.Failure


def runs_of(
    chunks: Sequence[deciding.Chunk],
    plan: plans.Plan,
    defined: parts.Defined,
    origin: Origin,
    new_run_id: Callable[[], str],
) -> tuple[list[records.NewRun], list[Refusal]]:
    """Return the runs for chunks, and what cannot be requested.

    Args:
        chunks: What to request.
        plan: The backfill's plan.
        defined: What the mesh defines.
        origin: The backfill.
        new_run_id: Makes the ids of the runs.
    """
    templates: dict[tuple[int, ...], records.NewRun | values_pb2.Failure] = {}
    runs: list[records.NewRun] = []
    refusals: list[Refusal] = []
    for chunk in chunks:
        template = templates.get(chunk.units)
        if template is None:
            template = _template(chunk, plan, defined, origin)
            templates[chunk.units] = template
        if isinstance(template, values_pb2.Failure):
            refusals.append(Refusal(chunk, template))
        else:
            runs.append(_with_partitions(template, chunk.piece, new_run_id()))
    return runs, refusals


def first_chunk(number: int, unit: plans.Unit, plan: plans.Plan) -> list[deciding.Chunk]:
    """Return a run of one unit alone, to check whether it could be requested at all.

    Args:
        number: The unit's number.
        unit: The unit.
        plan: The backfill's plan.
    """
    pieces = itertools.islice(cutting.cut(unit.target, unit.per_run_max, plan.keys), 1)
    return [deciding.Chunk((number,), piece) for piece in pieces]


def _template(
    chunk: deciding.Chunk, plan: plans.Plan, defined: parts.Defined, origin: Origin
) -> records.NewRun | values_pb2.Failure:
    """Return the run of a chunk, checked."""
    units = [plan.units[number] for number in chunk.units]
    known = defined.locations[units[0].location_name]
    job = known.jobs.get(units[0].job_name) if units[0].job_name else known.implicit_job
    tags = {**origin.tags, BACKFILL_TAG: origin.backfill_id}
    if job is not None and run_tags.PRIORITY_TAG not in job.run_tags:
        tags.setdefault(run_tags.PRIORITY_TAG, PRIORITY)
    keys = {name: plan.keys.get_dynamic_partitions(name) for name in known.partitions.dynamic_names}
    place = requests.Place(
        units[0].location_name,
        known,
        defined.graph.owner,
        defined.graph.check_owner,
        partitions.DynamicKeys(keys, keys),
    )
    key, target = _target(chunk.piece)
    requested = requests.RequestedRun(
        job_name=units[0].job_name,
        tags=tags,
        asset_selection=tuple(path for unit in units for path in unit.paths),
        partition_key=key,
        target=target,
    )
    try:
        return requests.launch(place, requested, "")
    except errors.HostError as error:
        return values_pb2.Failure(
            type=type(error).__name__,
            message=f"{units[0].name!r} cannot be requested. {error}",
        )


def _target(piece: cutting.Piece) -> tuple[str, records.RunTarget]:
    """Return the partition, or the range of them, that a run is for."""
    if piece.subset.partitions_def is plans.WHOLE:
        return "", records.WHOLE_JOB
    if piece.count == 1:
        return piece.start, records.WHOLE_JOB
    return "", records.RunTarget(partition_range_start=piece.start, partition_range_end=piece.end)


def _with_partitions(template: records.NewRun, piece: cutting.Piece, run_id: str) -> records.NewRun:
    """Return the run for other partitions than those it was checked with."""
    key, target = _target(piece)
    tags = {name: value for name, value in template.tags.items() if not _is_of_partition(name)}
    if key:
        tags |= _tags_of_key(piece, key)
    elif target.partition_range_start:
        tags[requests.PARTITION_RANGE_START_TAG] = target.partition_range_start
        tags[requests.PARTITION_RANGE_END_TAG] = target.partition_range_end
    return dataclasses.replace(template, run_id=run_id, tags=tags, partition_key=key, target=target)


def _is_of_partition(name: str) -> bool:
    return name.startswith(f"{requests.PARTITION_TAG}/") or name in {
        requests.PARTITION_TAG,
        requests.PARTITION_RANGE_START_TAG,
        requests.PARTITION_RANGE_END_TAG,
    }


def _tags_of_key(piece: cutting.Piece, key: str) -> dict[str, str]:
    partitions_def = piece.subset.partitions_def
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        return dict(partitions_def.get_tags_for_partition_key(key))
    return {requests.PARTITION_TAG: str(key)}
