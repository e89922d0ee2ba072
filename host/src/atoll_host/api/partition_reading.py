"""Whose partitions are meant, and what is to be known to tell which there are.

Called by the servicers of partitions and assets, and by reports. Definitions come from the graph
and the locations; keys of dynamic partitions are read from storage, all of them, once a call.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from atoll._partitions import contexts
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.locations import definitions, partitioned
from atoll_host.locations import graph as graphs
from atoll_host.runs import requests
from atoll_storage import condition_facts

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What has partitions.

    Attributes:
        told: What it is, for messages.
        location_name: The location whose definition counts.
        partitions_def: Its partitions; None for none.
    """

    told: str
    location_name: str
    partitions_def: partitioned.PartitionsDefinition | None

    @property
    def partitions(self) -> partitioned.PartitionsDefinition:
        """Its partitions.

        Raises:
            errors.InvalidRequest: It has none, or only its location can tell them.
        """
        found = self.partitions_def
        if found is None:
            raise errors.InvalidRequest(f"{self.told} has no partitions. Leave partitions out.")
        if any(each.name is None for each in partitioned.dynamic_parts(found)):
            raise errors.InvalidRequest(
                f"Which partitions {self.told} has is told by a function of location "
                f"{self.location_name!r}, and only the location can call it."
            )
        return found


class _Snapshot:
    """Keys of dynamic partitions as they were read."""

    def __init__(self, keys: Mapping[str, Sequence[str]]) -> None:
        self._keys = keys
        self._sets = {name: frozenset(some) for name, some in keys.items()}

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        return self._keys.get(partitions_def_name, ())

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        return partition_key in self._sets.get(partitions_def_name, ())


def of_asset(
    graph: graphs.AssetGraph, locations: Mapping[str, definitions.Definitions], path: Path
) -> Subject:
    """Return an asset with its partitions, as its owner defines them or the first who does.

    Raises:
        errors.UnknownAsset: No location knows of it.
    """
    name = "/".join(path)
    if path not in graph:
        raise errors.UnknownAsset(
            f"No location defines or depends on an asset {name!r}. List the assets.",
            asset_key=name,
        )
    source = graph.owner(path) or next(iter(graph.definers(path)), "")
    defined = locations.get(source)
    partitions_def = None if defined is None else defined.partitions.of_asset(path)
    return Subject(f"Asset {name!r}", source, partitions_def)


def of_check(
    graph: graphs.AssetGraph,
    locations: Mapping[str, definitions.Definitions],
    key: graphs.CheckKey,
) -> Subject:
    """Return a check with its partitions; one that nobody defines has none."""
    node = graph.check(key)
    told = f"Check {'/'.join(key[0])}:{key[1]}"
    if node is None:
        return Subject(told, "", None)
    source = node.owner or node.locations[0]
    return Subject(told, source, locations[source].partitions.of_check(key))


def of_job(
    locations: Mapping[str, definitions.Definitions], job_name: str, location_name: str
) -> Subject:
    """Return a job with its partitions.

    Raises:
        errors.UnknownLocation: There is no such location.
        errors.UnknownJob: There is no such job, or several have it and none was named.
    """
    name = location_name or requests.location_of_job(job_name, locations)
    defined = locations.get(name)
    if defined is None:
        raise errors.UnknownLocation(name)
    if job_name not in defined.jobs:
        raise errors.UnknownJob(
            f"Location {name!r} has no job {job_name!r}. List its jobs.",
            job_name=job_name,
            location_name=name,
        )
    return Subject(f"Job {job_name!r}", name, defined.partitions.of_job(job_name))


async def context_of(
    facts: condition_facts.ConditionFacts,
    partitions_def: partitioned.PartitionsDefinition,
    clock: clocks.Clock,
) -> contexts.PartitionLoadingContext:
    """Return the time and the dynamic partitions that tell which partitions there are."""
    names = {each.required_name for each in partitioned.dynamic_parts(partitions_def)}
    keys = {name: (await facts.dynamic_partitions(name))[1] for name in sorted(names)}
    return contexts.PartitionLoadingContext(clock.now(), _Snapshot(keys))
