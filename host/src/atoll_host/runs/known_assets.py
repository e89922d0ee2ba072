"""What a run would otherwise have to ask the host for, put into its plan at the hand-over.

Called by `launching`. A run worker never waits on the network, so that runs go on while the host
is away: what it needs to know of assets, which are those that the run computes or checks and what
these depend on, travels with the plan. Deciding which these are is pure; two queries tell the
newest materialization of each, and of those that have none the newest observation.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host.locations import definitions, graph
from atoll_host.locations import registry as registries
from atoll_storage import errors as storage_errors
from atoll_storage import records

_log = logging.getLogger(__name__)

BYTES_MAX = 4 * 1024 * 1024
"""A plan holds no more than this of known assets; of the others the worker has to ask."""

Path = tuple[str, ...]


class Locations(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def graph(self) -> graph.AssetGraph:
        """Return the asset graph of all locations."""
        ...


class AssetEvents(Protocol):
    """What is asked of storage."""

    async def latest_materializations(
        self, asset_keys: Sequence[Path]
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest materialization of each asset that ever had one."""
        ...

    async def latest_observations(self, asset_keys: Sequence[Path]) -> list[events_pb2.StoredEvent]:
        """Return the newest observation of each asset that has one."""
        ...


class KnownAssets:
    """Completes plans.

    Args:
        locations: The definitions of all locations.
        events: The newest materializations.
    """

    def __init__(self, locations: Locations, events: AssetEvents) -> None:
        self._locations = locations
        self._events = events

    async def complete(self, plan: location_pb2.RunPlan, run: records.RunRecord) -> None:
        """Put into a plan what is known of the assets of its run.

        Storage that is away leaves the plan as it is: the worker asks then.

        Args:
            plan: The plan.
            run: The run.
        """
        view = self._locations.locations().get(run.location_name)
        if view is None or view.definitions is None:
            return
        wanted = assets_of(view.definitions, run)
        if not wanted:
            return
        try:
            newest = await self._events.latest_materializations(wanted)
            made = {tuple(one.event.asset_materialization.asset_key.path) for one in newest}
            others = [path for path in wanted if path not in made]
            observed = await self._events.latest_observations(others) if others else []
        except storage_errors.StorageUnavailable:
            _log.warning(
                "plan goes without what is known of its assets",
                extra={"action": "plan_incomplete", "run_id": run.run_id},
            )
            return
        merged = self._locations.graph()

        def foreign(path: Path) -> snapshot_pb2.AssetDefinition | None:
            return definition_of(merged, run.location_name, path)

        fill(plan, wanted, [*newest, *observed], foreign)


def assets_of(defined: definitions.Definitions, run: records.RunRecord) -> list[Path]:
    """Return the assets that a run computes or checks, and those that these depend on.

    Args:
        defined: What the location of the run defines.
        run: The run.
    """
    job = defined.jobs.get(run.job_name)
    chosen: dict[Path, None] = dict.fromkeys(run.asset_selection)
    read: list[Path] = []
    checks: list[tuple[Path, str]] = list(run.target.asset_check_selection)
    if job is not None and not chosen and not checks:
        chosen.update((tuple(key.path), None) for key in job.asset_keys)
        checks = [(tuple(key.asset_key.path), key.name) for key in job.check_keys]
        read = _read_by_graph(defined, job)
    # A function that makes several assets is run for all of them where it cannot be run for some.
    made_along: dict[Path, None] = {}
    for path in chosen:
        made_along.update(dict.fromkeys(defined.made_with(path)))
    chosen.update(made_along)
    for path in list(chosen):
        # Checks of the selected assets are evaluated along with them.
        checks += ((path, name) for name in defined.checks_of.get(path, ()))
    wanted = {**chosen, **dict.fromkeys(read)}
    for path in chosen:
        wanted.update(dict.fromkeys(defined.dependencies.get(path, ())))
    for path, name in checks:
        wanted[path] = None
        check = defined.checks.get((path, name))
        if check is not None:
            wanted.update((tuple(d.asset_key.path), None) for d in check.additional_dependencies)
    return list(wanted)


def _read_by_graph(defined: definitions.Definitions, job: snapshot_pb2.JobDefinition) -> list[Path]:
    """Return the assets whose values the ops of a job take."""
    found: list[Path] = []
    waiting, seen = [job.graph_name], {""}
    while waiting:
        name = waiting.pop()
        if name in seen or name not in defined.graphs:
            continue
        seen.add(name)
        for node in defined.graphs[name].nodes:
            waiting.append(node.definition_name)
            found.extend(
                tuple(each.asset_key.path) for each in node.inputs if each.HasField("asset_key")
            )
    return found


def definition_of(
    merged: graph.AssetGraph, location_name: str, path: Path
) -> snapshot_pb2.AssetDefinition | None:
    """Return what loading the value of another location's asset takes, None for an own asset.

    Args:
        merged: The assets of all locations.
        location_name: The location of the run.
        path: The asset.
    """
    node = merged.node(path)
    if node is None or node.owner in {"", location_name}:
        return None
    whole = node.definition
    part = snapshot_pb2.AssetDefinition(
        key=whole.key, io_manager_key=whole.io_manager_key, metadata=whole.metadata
    )
    if whole.HasField("partitions"):
        part.partitions.CopyFrom(whole.partitions)
    return part


def fill(
    plan: location_pb2.RunPlan,
    wanted: Sequence[Path],
    newest: Sequence[events_pb2.StoredEvent],
    foreign: Callable[[Path], snapshot_pb2.AssetDefinition | None],
) -> None:
    """Put what is known of assets into a plan, as far as there is room.

    Args:
        plan: The plan.
        wanted: The assets.
        newest: The newest materializations; the newest observations of assets without.
        foreign: Returns the definition of an asset of another location, None for others.
    """
    by_path = {tuple(_told_by(one.event).asset_key.path): one for one in newest}
    room = BYTES_MAX
    for path in wanted:
        known = location_pb2.KnownAsset(asset_key=values_pb2.AssetKey(path=path))
        definition = foreign(path)
        if definition is not None:
            known.definition.CopyFrom(definition)
        stored = by_path.get(path)
        if stored is not None:
            known.event_id = stored.id
            known.run_id = stored.event.run_id
            known.timestamp.CopyFrom(stored.event.timestamp)
            known.tags.update(_told_by(stored.event).tags)
            known.observed = stored.event.HasField("asset_observation")
        room -= known.ByteSize()
        if room < 0:
            return
        plan.known_assets.append(known)


def _told_by(
    event: events_pb2.Event,
) -> events_pb2.AssetMaterialization | events_pb2.AssetObservation:
    if event.HasField("asset_observation"):
        return event.asset_observation
    return event.asset_materialization
