"""The parts of a backfill as it is stored: assets, or one job, each with its partitions. Pure.

Made by `targets` from what somebody asks for, written and read as messages here, and turned into
units by `planning`. A part is read with what the mesh defines now: code may have changed since.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Protocol

from atoll import errors as location_errors
from atoll._partition_messages import subsets as messages
from atoll._partitions import definitions as partition_definitions
from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import partitions_pb2, values_pb2
from atoll_host import errors
from atoll_host.automation.backfills import plans
from atoll_host.automation.backfills import progress as progresses
from atoll_host.locations import definitions, graph, partitioned
from atoll_storage import records

AssetPath = tuple[str, ...]
_KEYS_PAGE = 10_000


class NotDefined(errors.HostError):
    """The mesh defines no longer, or not yet, what a backfill is made of.

    Attributes:
        passing: Whether it may be defined again without anybody changing code.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """An asset or a job of a backfill.

    Attributes:
        path: The asset; empty for a job.
        job_name: The job; empty for an asset.
        location_name: The location that runs it.
        subset: Its partitions; `plans.EVERYTHING` where it has none.
    """

    path: AssetPath
    job_name: str
    location_name: str
    subset: plans.Subset

    @property
    def name(self) -> str:
        """What messages call it."""
        return "/".join(self.path) or self.job_name

    @property
    def is_whole(self) -> bool:
        """Whether it has no partitions."""
        return self.subset.partitions_def is plans.WHOLE


class Defined:
    """What the mesh defines at one moment, as far as backfills ask. Equal partitions are one."""

    def __init__(
        self, graph_: graph.AssetGraph, locations: Mapping[str, definitions.Definitions]
    ) -> None:
        """Look at what is defined.

        Args:
            graph_: The assets of all locations.
            locations: What each location defines.
        """
        self.graph = graph_
        self.locations = dict(locations)
        self._known: dict[str, partition_definitions.PartitionsDefinition] = {}

    def partitions_of(self, path: AssetPath) -> partition_definitions.PartitionsDefinition:
        """Return the partitions of an asset that some location owns, `WHOLE` for none."""
        defined = self.locations[self.graph.owner(path)]
        return self._one_of_equals(defined.partitions.of_asset(path))

    def partitions_of_job(
        self, location_name: str, job_name: str
    ) -> partition_definitions.PartitionsDefinition:
        """Return the partitions of a job, or of all of its assets that have some; else `WHOLE`."""
        defined = self.locations[location_name]
        found = defined.partitions.of_job(job_name)
        if found is None:
            paths = (tuple(key.path) for key in defined.jobs[job_name].asset_keys)
            of_assets = map(defined.partitions.of_asset, paths)
            found = next((each for each in of_assets if each is not None), None)
        return self._one_of_equals(found)

    def dynamic_names(self, found: Sequence[Part]) -> list[str]:
        """Return the names of the dynamic partitions definitions that parts are of."""
        all_of_them = {id(each.subset.partitions_def): each.subset for each in found}
        names = {
            dynamic.name
            for subset in all_of_them.values()
            if isinstance(subset.partitions_def, partition_definitions.PartitionsDefinition)
            for dynamic in partitioned.dynamic_parts(subset.partitions_def)
        }
        return sorted(name for name in names if name is not None)

    def _one_of_equals(
        self, found: partition_definitions.PartitionsDefinition | None
    ) -> partition_definitions.PartitionsDefinition:
        if found is None:
            return plans.WHOLE
        # Sets of one definition are joined without comparing all that it is made of.
        return self._known.setdefault(_identity(found), found)


@functools.lru_cache(maxsize=1024)
def _identity(partitions_def: partition_definitions.PartitionsDefinition) -> str:
    return partitions_def.get_serializable_unique_identifier()


def target_message(found: Sequence[Part], moment: dt.datetime) -> backfills_pb2.BackfillTarget:
    """Return parts as they are stored.

    Args:
        found: The parts.
        moment: When the backfill was made.
    """
    message = backfills_pb2.BackfillTarget()
    message.moment.FromDatetime(moment)
    for part in found:
        stored = message.parts.add(
            job_name=part.job_name,
            location_name=part.location_name,
            partitioned=not part.is_whole,
            partitions=messages.to_message(part.subset),
        )
        if part.path:
            stored.asset_key.CopyFrom(values_pb2.AssetKey(path=part.path))
    return message


def read_target(message: backfills_pb2.BackfillTarget, defined: Defined) -> list[Part]:
    """Return stored parts.

    Args:
        message: What was stored.
        defined: What the mesh defines now.

    Raises:
        NotDefined: Something of it is not defined now, or has other partitions.
    """
    return [_read_part(stored, defined) for stored in message.parts]


def _read_part(stored: backfills_pb2.BackfillTargetPart, defined: Defined) -> Part:
    path = tuple(stored.asset_key.path)
    name = "/".join(path) or stored.job_name
    location_name = defined.graph.owner(path) if path else stored.location_name
    partitions_def = _partitions_now(path, stored.job_name, location_name, defined)
    if partitions_def is None:
        raise NotDefined(
            f"Location {stored.location_name!r} no longer runs {name!r}, which the backfill is to "
            "request. Define it again, then retry the backfill, or begin another one.",
            passing=_may_return(path, stored.location_name, defined),
        )
    if stored.partitioned is (partitions_def is plans.WHOLE):
        has = "partitions" if stored.partitioned else "no partitions"
        raise NotDefined(
            f"{name!r} had {has} when the backfill was made, and that is no longer so. Begin "
            "another backfill.",
            passing=False,
        )
    subset = _read(stored.partitions, partitions_def, name)
    return Part(path, stored.job_name, location_name, subset)


def _may_return(path: AssetPath, location_name: str, defined: Defined) -> bool:
    """Return whether what no location runs now may be there again by itself.

    So it is while its location is away, and while that defines it and nobody has heard yet who owns
    it: definitions and owners reach a host one after the other.
    """
    known = defined.locations.get(location_name)
    if known is None:
        return True
    return path in known.executable and not defined.graph.is_claimed(path)


def _partitions_now(
    path: AssetPath, job_name: str, location_name: str, defined: Defined
) -> partition_definitions.PartitionsDefinition | None:
    """Return the partitions of what a part is, None where no location has it."""
    if path:
        return defined.partitions_of(path) if location_name else None
    known = defined.locations.get(location_name)
    if known is None or job_name not in known.jobs:
        return None
    return defined.partitions_of_job(location_name, job_name)


def _read(
    message: partitions_pb2.PartitionsSubset,
    partitions_def: partition_definitions.PartitionsDefinition,
    name: str,
) -> plans.Subset:
    try:
        return messages.from_message(message, partitions_def)
    except location_errors.Error as error:
        raise NotDefined(
            f"The partitions of {name!r} were changed after the backfill was made. {error} Begin "
            "another backfill.",
            passing=False,
        ) from error


def progress_message(
    found: Sequence[Part], units: Sequence[int], progress: progresses.Progress
) -> backfills_pb2.BackfillProgress:
    """Return the progress as it is stored: for each part, that of its unit.

    Args:
        found: The parts.
        units: The number of the unit of each part.
        progress: The progress of the units.
    """
    message = backfills_pb2.BackfillProgress()
    for _, number in zip(found, units, strict=True):
        message.parts.add(
            requested=messages.to_message(progress.requested[number]),
            materialized=messages.to_message(progress.materialized[number]),
            failed=messages.to_message(progress.failed[number]),
        )
    return message


def read_progress(
    message: backfills_pb2.BackfillProgress,
    found: Sequence[Part],
    units: Sequence[int],
    plan: plans.Plan,
) -> progresses.Progress:
    """Return the stored progress, by unit.

    Args:
        message: What was stored.
        found: The parts.
        units: The number of the unit of each part: other parts may be made together by now.
        plan: The units.

    Raises:
        NotDefined: The partitions were changed.
    """
    requested, failed = plan.none(), plan.none()
    materialized: list[plans.Subset | None] = [None for _ in plan.units]
    for stored, part, number in zip(message.parts, found, units, strict=False):
        partitions_def = plan.units[number].partitions_def
        requested[number] |= _read(stored.requested, partitions_def, part.name)
        failed[number] |= _read(stored.failed, partitions_def, part.name)
        made = _read(stored.materialized, partitions_def, part.name)
        before = materialized[number]
        materialized[number] = made if before is None else before & made
    begun = progresses.Progress(tuple(requested), tuple(plan.none()), tuple(plan.none()))
    made_ones = [
        none if each is None else each for each, none in zip(materialized, plan.none(), strict=True)
    ]
    return begun.with_ended(made_ones, failed)


class KeyStore(Protocol):
    """What is asked of storage."""

    async def page(
        self, partitions_def_name: str, *, after: int = 0, limit: int, descending: bool = False
    ) -> tuple[list[records.DynamicPartition], bool]:
        """Return keys in order, and whether there are more."""
        ...


async def read_keys(store: KeyStore, names: Sequence[str]) -> plans.KnownKeys:
    """Read all keys of dynamic partitions definitions.

    Args:
        store: Where they are kept.
        names: The definitions.
    """
    keys: dict[str, list[str]] = {}
    for name in names:
        found = keys.setdefault(name, [])
        position, more = 0, True
        while more:
            page, more = await store.page(name, after=position, limit=_KEYS_PAGE)
            found += [each.partition_key for each in page]
            position = page[-1].position if page else 0
    return plans.KnownKeys(keys)
