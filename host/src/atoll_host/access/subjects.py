"""Which locations an asset, a check, a job, a run or a backfill belongs to.

Called by `engine` for callers who may not see everything. What is not there belongs to nobody.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import conditions_pb2, values_pb2
from atoll_host import errors
from atoll_host.locations import graph as graphs
from atoll_storage import backfill_store, run_store

_REMEMBERED_MAX = 20_000


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Something that a request is about.

    Attributes:
        owners: The locations that have to agree to a change of it.
        seers: The locations whose viewers may look at it.
        unknown: What to tell a caller who may not know of it, or where it is not there.
    """

    owners: frozenset[str]
    seers: frozenset[str]
    unknown: errors.NotFound


class Subjects:
    """Finds out what things belong to."""

    def __init__(
        self,
        graph: Callable[[], graphs.AssetGraph],
        runs: run_store.RunStore,
        backfills: backfill_store.BackfillStore,
    ) -> None:
        self._graph = graph
        self._runs = runs
        self._backfills = backfills
        # Neither ever moves to another location.
        self._of_runs: collections.OrderedDict[str, str] = collections.OrderedDict()
        self._of_backfills: collections.OrderedDict[str, frozenset[str]] = collections.OrderedDict()

    def of_definition(self, named: Any) -> Subject:
        """Return what an asset key, a check key or a condition entity belongs to."""
        if isinstance(named, conditions_pb2.ConditionEntity):
            kind = named.WhichOneof("kind")
            if kind == "job":
                job = named.job
                owners = frozenset({job.location_name} - {""})
                return Subject(owners, owners, errors.UnknownCondition(job.job_name))
            named = named.asset if kind == "asset" else named.check
        if isinstance(named, values_pb2.AssetCheckKey):
            return self._of_check(tuple(named.asset_key.path), named.name)
        return self._of_asset(tuple(named.path))

    async def of_run(self, run_id: str) -> Subject:
        """Return what a run belongs to."""
        location = self._of_runs.get(run_id)
        if location is None:
            record = await self._runs.get(run_id)
            if record is not None:
                location = record.location_name
                _remember(self._of_runs, run_id, location)
        found = frozenset({location}) if location else frozenset[str]()
        return Subject(found, found, errors.UnknownRun(run_id))

    async def of_backfill(self, backfill_id: str) -> Subject:
        """Return what a backfill belongs to."""
        found = self._of_backfills.get(backfill_id)
        if found is None:
            record = await self._backfills.get(backfill_id)
            found = frozenset[str]()
            if record is not None:
                target = backfills_pb2.BackfillTarget.FromString(record.target)
                found = frozenset(part.location_name for part in target.parts)
                _remember(self._of_backfills, backfill_id, found)
        return Subject(found, found, errors.UnknownBackfill(backfill_id))

    def _of_asset(self, path: tuple[str, ...]) -> Subject:
        name = "/".join(path)
        unknown = errors.UnknownAsset(
            f"There is no asset {name!r} that you may know of. List the assets.", asset_key=name
        )
        node = self._graph().node(path)
        if node is None:
            return Subject(frozenset(), frozenset(), unknown)
        owners = frozenset({node.owner} if node.owner else node.locations)
        return Subject(owners, frozenset(node.locations) | owners, unknown)

    def _of_check(self, path: tuple[str, ...], name: str) -> Subject:
        asset = "/".join(path)
        unknown = errors.UnknownCheck(
            f"Asset {asset!r} has no check {name!r} that you may know of. List the checks.",
            asset_key=asset,
            check_name=name,
        )
        node = self._graph().check((path, name))
        if node is None:
            return Subject(frozenset(), frozenset(), unknown)
        owners = frozenset({node.owner} if node.owner else node.locations)
        return Subject(owners, frozenset(node.locations) | owners, unknown)


def _remember(memory: collections.OrderedDict[str, Any], key: str, value: Any) -> None:
    memory[key] = value
    if len(memory) > _REMEMBERED_MAX:
        memory.popitem(last=False)
