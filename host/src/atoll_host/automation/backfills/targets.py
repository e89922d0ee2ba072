"""Turns what somebody asks for into the parts of a backfill, or says what is wrong with it. Pure.

Called by `api.backfilling` before anything is stored. Partitions that are named are those of the
assets that need no other partitioned one of the selection; those of the others follow through the
mappings between them.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Collection, Mapping, Sequence

from atoll import errors as location_errors
from atoll._partitions import contexts, partition_keys
from atoll._partitions import definitions as partition_definitions
from atoll_host import errors
from atoll_host.automation.backfills import parts, planning, plans
from atoll_host.locations import partitioned

AssetPath = tuple[str, ...]
_NAMED_MAX = 5


class Choice(enum.Enum):
    """Which of the partitions are meant."""

    NAMED = "named"
    ALL = "all"
    MISSING = "missing"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for.

    Attributes:
        paths: The assets.
        job_name: The job, instead of assets.
        location_name: The location of the job.
        partition_keys: Partitions.
        ranges: Ranges of partitions, by the first and the last key.
        choice: Which of them are meant.
    """

    paths: tuple[AssetPath, ...] = ()
    job_name: str = ""
    location_name: str = ""
    partition_keys: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    choice: Choice = Choice.NAMED

    @property
    def names_partitions(self) -> bool:
        """Whether partitions are named."""
        return bool(self.partition_keys or self.ranges)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """What is known of an asset that was to be materialized before.

    An asset without partitions has `plans.WHOLE_KEY` for its partition.
    """

    materialized: Collection[str] = ()
    failed: Collection[str] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Time:
    """By what partitions are looked up."""

    moment: dt.datetime
    keys: plans.KnownKeys

    @property
    def context(self) -> contexts.PartitionLoadingContext:
        """The same, for definitions."""
        return contexts.PartitionLoadingContext(self.moment, self.keys)


def whole_parts(asked: Asked, defined: parts.Defined) -> list[parts.Part]:
    """Return the parts that are asked for, with no partitions yet.

    Args:
        asked: What is asked for.
        defined: What the mesh defines.

    Raises:
        errors.InvalidRequest: It names neither assets nor a job, or both.
        errors.NotFound: Something is not defined, or cannot be executed.
    """
    if bool(asked.paths) is bool(asked.job_name):
        raise errors.InvalidRequest(
            f"The backfill names {'both assets and a job' if asked.paths else 'nothing'}. Name "
            "either assets or one job.",
            field="asset_keys",
        )
    if asked.job_name:
        return [_job(asked, defined)]
    found: dict[AssetPath, parts.Part] = {}
    for path in asked.paths:
        _check_executable(path, defined)
        owner = defined.graph.owner(path)
        for each in defined.locations[owner].made_with(path):
            partitions_def = defined.partitions_of(each)
            found[each] = parts.Part(each, "", owner, partitions_def.empty_subset())
    for part in found.values():
        _check_partitions_known(part)
    return list(found.values())


def resolve(
    asked: Asked,
    whole: Sequence[parts.Part],
    defined: parts.Defined,
    time: Time,
    known: Mapping[AssetPath, Known],
) -> list[parts.Part]:
    """Return the parts of a backfill.

    Args:
        asked: What is asked for.
        whole: The parts without partitions, as `whole_parts` returns them.
        defined: What the mesh defines.
        time: By what partitions are looked up.
        known: What was done before, of each asset; not needed unless the choice is by that.

    Returns:
        The parts that have anything to be requested.

    Raises:
        errors.InvalidRequest: There are no such partitions, or there is nothing to request.
    """
    _check_names_partitions(asked, whole)
    if asked.names_partitions:
        subsets = _named(asked, whole, defined, time)
    else:
        subsets = [_everything(part, time) for part in whole]
    chosen = [
        _chosen(asked.choice, part, subset, known, defined, time)
        for part, subset in zip(whole, subsets, strict=True)
    ]
    found = [
        dataclasses.replace(part, subset=subset)
        for part, subset in zip(whole, chosen, strict=True)
        if subset
    ]
    if not found:
        why = {
            Choice.MISSING: "all of it was materialized before",
            Choice.FAILED: "no newest run of it failed",
        }.get(asked.choice, "there are no partitions yet")
        raise errors.InvalidRequest(
            f"There is nothing to backfill: {why}. Choose other partitions.", field="choice"
        )
    return found


def _job(asked: Asked, defined: parts.Defined) -> parts.Part:
    location_name = asked.location_name
    known = defined.locations.get(location_name)
    if known is None or asked.job_name not in known.jobs:
        raise errors.UnknownJob(
            f"Location {location_name!r} has no job {asked.job_name!r}. List its jobs.",
            job_name=asked.job_name,
            location_name=location_name,
        )
    partitions_def = defined.partitions_of_job(location_name, asked.job_name)
    if partitions_def is plans.WHOLE:
        raise errors.InvalidRequest(
            f"Job {asked.job_name!r} has no partitions, so there is nothing to backfill. Launch "
            "it.",
            field="job_name",
        )
    if (
        asked.choice in {Choice.MISSING, Choice.FAILED}
        and not known.jobs[asked.job_name].asset_keys
    ):
        raise errors.InvalidRequest(
            f"Job {asked.job_name!r} makes no assets, so nothing tells which partitions are "
            f"{asked.choice.value}. Name the partitions, or choose all.",
            field="choice",
        )
    part = parts.Part((), asked.job_name, location_name, partitions_def.empty_subset())
    _check_partitions_known(part)
    return part


def _check_executable(path: AssetPath, defined: parts.Defined) -> None:
    name = "/".join(path)
    node = defined.graph.node(path)
    if node is None:
        raise errors.UnknownAsset(
            f"No location defines an asset {name!r}. List the assets.", asset_key=name
        )
    if not node.executable or node.owner not in defined.locations:
        raise errors.UnknownAsset(
            f"No location can materialize asset {name!r}: it is external. Leave it out.",
            asset_key=name,
        )
    if node.definition.observable:
        raise errors.InvalidRequest(
            f"Running asset {name!r} observes it and materializes nothing. Leave it out.",
            field="asset_keys",
        )


def _check_partitions_known(part: parts.Part) -> None:
    partitions_def = part.subset.partitions_def
    assert isinstance(partitions_def, partition_definitions.PartitionsDefinition)  # noqa: S101
    if any(each.name is None for each in partitioned.dynamic_parts(partitions_def)):
        raise errors.InvalidRequest(
            f"The partitions of {part.name!r} come from a function of its location, so nobody else "
            "knows them. Give it partitions with a name to backfill it.",
            field="asset_keys",
        )


def _check_names_partitions(asked: Asked, whole: Sequence[parts.Part]) -> None:
    with_partitions = [part for part in whole if not part.is_whole]
    if with_partitions and not asked.names_partitions and asked.choice is Choice.NAMED:
        raise errors.InvalidRequest(
            f"{with_partitions[0].name!r} has partitions, and none were given. Name some, or a "
            "range, or choose all, those that are missing or those that failed.",
            field="partition_keys",
        )
    if asked.names_partitions and not with_partitions:
        key = (*asked.partition_keys, *(start for start, _ in asked.ranges))[0]
        raise errors.InvalidRequest(
            f"Nothing of the backfill has partitions, and partition {key!r} was given. Leave it "
            "out.",
            field="partition_keys",
        )


def _everything(part: parts.Part, time: Time) -> plans.Subset:
    partitions_def = _definition(part)
    return partitions_def.subset_with_all_partitions(time.moment, time.keys)


def _definition(part: parts.Part) -> partition_definitions.PartitionsDefinition:
    partitions_def = part.subset.partitions_def
    assert isinstance(partitions_def, partition_definitions.PartitionsDefinition)  # noqa: S101
    return partitions_def


def _named(
    asked: Asked, whole: Sequence[parts.Part], defined: parts.Defined, time: Time
) -> list[plans.Subset]:
    """Return the partitions that are named, and those that follow from them."""
    empty = planning.plan(whole, defined, time.moment, time.keys)
    plan = dataclasses.replace(
        empty.plan,
        units=tuple(
            dataclasses.replace(unit, target=_all_of(unit, time)) for unit in empty.plan.units
        ),
    )
    roots = [
        number
        for number, unit in enumerate(plan.units)
        if not unit.is_whole
        and all(
            edge.upstream == number or plan.units[edge.upstream].is_whole for edge in unit.edges
        )
    ]
    _check_one_definition(plan, roots)
    found: list[plans.Subset] = []
    for number, unit in enumerate(plan.units):
        if unit.is_whole:
            found.append(plans.EVERYTHING)
        elif number in roots:
            found.append(_of_keys(asked, unit.name, unit.partitions_def, time))
        else:
            follow = unit.target.empty_subset()
            for edge in unit.edges:
                if edge.upstream != number and not plan.units[edge.upstream].is_whole:
                    follow = follow | plan.dependents(number, edge, found[edge.upstream])
            found.append(follow)
    return [found[number] for number in empty.units]


def _all_of(unit: plans.Unit, time: Time) -> plans.Subset:
    return unit.partitions_def.subset_with_all_partitions(time.moment, time.keys)


def _check_one_definition(plan: plans.Plan, roots: Sequence[int]) -> None:
    first = plan.units[roots[0]]
    for number in roots[1:]:
        other = plan.units[number]
        if other.partitions_def != first.partitions_def:
            raise errors.InvalidRequest(
                f"{first.name!r} and {other.name!r} have different partitions and neither needs "
                "the other, so the partitions that were given cannot mean both. Leave one of them "
                "out, or choose all partitions, or begin one backfill for each.",
                field="partition_keys",
            )


def _of_keys(
    asked: Asked,
    name: str,
    partitions_def: partition_definitions.PartitionsDefinition,
    time: Time,
) -> plans.Subset:
    ends = [key for pair in asked.ranges for key in pair]
    missing = [
        key
        for key in dict.fromkeys((*asked.partition_keys, *ends))
        if not _has(partitions_def, key, time)
    ]
    if missing:
        why = str(partitions_def.unknown_in(missing[:1], time.context))
        if len(missing) > 1:
            told = ", ".join(map(repr, missing[:_NAMED_MAX]))
            more = f" and {len(missing) - _NAMED_MAX} more" if len(missing) > _NAMED_MAX else ""
            why = f"It has no partition {told}{more}. {why}"
        raise errors.InvalidRequest(f"{name!r}: {why}", field="partition_keys")
    subset = partitions_def.subset_with_partition_keys(asked.partition_keys)
    for start, end in asked.ranges:
        with_range = partitions_def.empty_subset().with_partition_key_range(
            partition_keys.PartitionKeyRange(start, end), time.keys
        )
        if not with_range:
            raise errors.InvalidRequest(
                f"The range of partitions from {start!r} to {end!r} ends before it begins. Give "
                "the earlier one first.",
                field="partition_ranges",
            )
        subset = subset | with_range
    return subset


def _has(partitions_def: partition_definitions.PartitionsDefinition, key: str, time: Time) -> bool:
    try:
        return partitions_def.number_in(key, time.context) is not None
    except location_errors.Error:
        return False


def _chosen(
    choice: Choice,
    part: parts.Part,
    subset: plans.Subset,
    known: Mapping[AssetPath, Known],
    defined: parts.Defined,
    time: Time,
) -> plans.Subset:
    """Return those of some partitions that a choice means."""
    if choice in {Choice.NAMED, Choice.ALL}:
        return subset
    paths = [part.path]
    if part.job_name:
        job = defined.locations[part.location_name].jobs[part.job_name]
        paths = [tuple(key.path) for key in job.asset_keys]
    partitions_def = _definition(part)
    found = subset.empty_subset()
    for path in paths:
        one = known.get(path, Known())
        if choice is Choice.MISSING:
            found = found | (subset - _existing(partitions_def, one.materialized, time))
        else:
            found = found | (subset & _existing(partitions_def, one.failed, time))
    return found


def _existing(
    partitions_def: partition_definitions.PartitionsDefinition,
    keys: Collection[str],
    time: Time,
) -> plans.Subset:
    there = partitions_def.filter_valid_partition_keys(keys, time.moment, time.keys)
    return partitions_def.subset_with_partition_keys(there)
