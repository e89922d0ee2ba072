"""What the code of a location may read of others: a filter over what it asks the instance.

Made by `host`, applied by the instance servicer to the location that calls. Questions about single
things are answered or refused with the reason; long lists leave out what may not be read. Who is no
location reads everything: that is somebody else's rule. Nothing here does I/O.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host import errors
from atoll_host.policy import deciding
from atoll_storage import records

Path: TypeAlias = tuple[str, ...]
_READ = deciding.Action.READ


class View(Protocol):
    """What is asked of a location."""

    @property
    def snapshot(self) -> snapshot_pb2.LocationSnapshot | None:
        """What it defines, as far as the policy allows it."""
        ...


class Locations(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, View]:
        """Return all locations."""
        ...

    def policies(self) -> deciding.Policies:
        """Return all rules."""
        ...

    def claimant(self, path: Path) -> str:
        """Return the location that owns an asset, empty for none."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """What a location declares to watch or to depend on.

    Attributes:
        assets: The assets.
        locations: The locations that make one of them, or whose runs it watches or asks for.
    """

    assets: frozenset[Path]
    locations: frozenset[str]


class Reading:
    """Tells what may be read. See the module."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._runs: dict[
            str, tuple[Mapping[str, View], deciding.Policies, records.ReadableRuns]
        ] = {}
        self._declared: dict[str, tuple[Mapping[str, View], Declared]] = {}

    def require_assets(self, reader: str, paths: Iterable[Path]) -> None:
        """Refuse to tell of assets that may not be read.

        Raises:
            errors.PolicyForbids: One of them may not be.
        """
        if not reader:
            return
        for path in paths:
            decision = self._of_asset(reader, path)
            if not decision.allowed:
                raise errors.PolicyForbids(decision.explanation)

    def require_job(self, reader: str, location_name: str, job_name: str) -> None:
        """Refuse to tell of runs of a job that may not be read.

        Raises:
            errors.PolicyForbids: They may not be.
        """
        if reader:
            decision = self._of_job(reader, location_name, job_name)
            if not decision.allowed:
                raise errors.PolicyForbids(decision.explanation)

    def assets(self, reader: str, paths: Sequence[Path]) -> list[Path]:
        """Return those of some assets that may be read."""
        return [path for path in paths if not reader or self._of_asset(reader, path).allowed]

    def events(
        self, reader: str, events: Sequence[events_pb2.StoredEvent]
    ) -> list[events_pb2.StoredEvent]:
        """Return those of some events that may be read."""
        if not reader:
            return list(events)
        return [event for event in events if self._may_read(reader, event)]

    def runs(self, reader: str) -> records.ReadableRuns | None:
        """Return which runs may be read; None for all."""
        if not reader:
            return None
        views, policies = self._locations.locations(), self._locations.policies()
        known = self._runs.get(reader)
        # Views and rules are replaced as a whole, so what was made of the same ones still holds.
        if known is None or known[0] is not views or known[1] is not policies:
            known = (views, policies, self._readable_runs(reader, views))
            self._runs[reader] = known
        return known[2]

    def _readable_runs(self, reader: str, views: Mapping[str, View]) -> records.ReadableRuns:
        whole: list[str] = [reader]
        some: list[tuple[str, str]] = []
        without: list[tuple[str, str]] = []
        for name, view in views.items():
            if name == reader:
                continue
            is_whole = self._of_job(reader, name, "").allowed
            if is_whole:
                whole.append(name)
            for job in () if view.snapshot is None else view.snapshot.jobs:
                if self._of_job(reader, name, job.name).allowed != is_whole:
                    (without if is_whole else some).append((name, job.name))
        return records.ReadableRuns(tuple(whole), tuple(some), tuple(without))

    def _may_read(self, reader: str, stored: events_pb2.StoredEvent) -> bool:
        source = stored.location_name
        if source in {"", reader}:
            return True
        body = stored.event.WhichOneof("body")
        payload = getattr(stored.event, body) if body else None
        if payload is not None and "asset_key" in payload.DESCRIPTOR.fields_by_name:
            return self._of_asset(reader, tuple(payload.asset_key.path)).allowed
        return self._of_job(reader, source, stored.event.job_name).allowed

    def decide(
        self, source: str, target: str, action: deciding.Action, subject: deciding.Subject
    ) -> deciding.Decision:
        """Return whether a location may do something, knowing what it declares."""
        known = self._declared_by(source)
        is_declared = subject.asset in known.assets if subject.asset else target in known.locations
        return deciding.decide(
            self._locations.policies(), source, target, action, subject, is_declared=is_declared
        )

    def _of_asset(self, reader: str, path: Path) -> deciding.Decision:
        owner = self._locations.claimant(path)
        return self.decide(reader, owner, _READ, deciding.Subject(asset=path))

    def _of_job(self, reader: str, location_name: str, job_name: str) -> deciding.Decision:
        return self.decide(reader, location_name, _READ, deciding.Subject(job=job_name))

    def _declared_by(self, reader: str) -> Declared:
        views = self._locations.locations()
        known = self._declared.get(reader)
        if known is None or known[0] is not views:
            view = views.get(reader)
            found = _NOTHING
            if view is not None and view.snapshot is not None:
                found = declared(view.snapshot, tuple(views), self._locations.claimant)
            known = self._declared[reader] = (views, found)
        return known[1]


def declared(
    snapshot: snapshot_pb2.LocationSnapshot,
    names: Sequence[str],
    owner: Callable[[Path], str],
) -> Declared:
    """Return what definitions declare to watch or to depend on.

    Args:
        snapshot: The definitions, as far as the policy allows them.
        names: All locations.
        owner: Returns the location that owns an asset.
    """
    assets: set[Path] = set()
    locations: set[str] = set()
    for asset in snapshot.assets:
        assets.add(tuple(asset.key.path))
        assets.update(tuple(edge.asset_key.path) for edge in asset.dependencies)
    for check in snapshot.checks:
        assets.add(tuple(check.key.asset_key.path))
        assets.update(tuple(edge.asset_key.path) for edge in check.additional_dependencies)
    for graph in snapshot.graphs:
        for node in graph.nodes:
            assets.update(
                tuple(each.asset_key.path) for each in node.inputs if each.HasField("asset_key")
            )
    for sensor in snapshot.sensors:
        assets.update(tuple(key.path) for key in sensor.monitored_assets)
        locations.update(one.location_name for one in sensor.monitored_jobs)
        locations.update(
            name for name, slash, _ in (each.partition("/") for each in sensor.job_names) if slash
        )
        if sensor.monitors_all_locations and not sensor.monitored_jobs:
            locations.update(names)
    locations.update(map(owner, assets))
    return Declared(frozenset(assets), frozenset(locations - {""}))


_NOTHING = Declared(frozenset(), frozenset())
