"""Leaves out of a location's definitions what the policy between locations does not allow. Pure.

Called by the registry whenever definitions, owners or rules change. Whatever the host decides by
the definitions of a location, it decides by what is left: so a sensor hears nothing of assets that
it may not watch, a condition knows nothing of them, and an edge to an asset that must not be
depended on is none. Everything else of the location is served, and what was left out is told.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from atoll.definitions.v1 import conditions_pb2, policies_pb2, snapshot_pb2, values_pb2
from atoll_host.locations import definitions
from atoll_host.policy import deciding

Path: TypeAlias = tuple[str, ...]
_WATCH, _DEPEND = deciding.Action.WATCH, deciding.Action.DEPEND
_Conditioned = (
    snapshot_pb2.AssetDefinition | snapshot_pb2.AssetCheckDefinition | snapshot_pb2.JobDefinition
)


@dataclasses.dataclass(frozen=True, slots=True)
class Mesh:
    """What has to be known of all locations.

    Attributes:
        policies: All rules.
        owner: Returns the location that makes an asset, empty for none.
        jobs: The names of the jobs of each location.
    """

    policies: deciding.Policies
    owner: Callable[[Path], str]
    jobs: Mapping[str, Sequence[str]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """What is left of the definitions of a location.

    Attributes:
        definitions: What is left; the very object that was given where that is everything.
        denials: What was left out, and why.
    """

    definitions: definitions.Definitions
    denials: tuple[policies_pb2.PolicyDenial, ...] = ()


def cut(location_name: str, defined: definitions.Definitions, mesh: Mesh) -> Cut:
    """Leave out what is not allowed.

    Args:
        location_name: The location.
        defined: What it defines.
        mesh: What has to be known of all locations.
    """
    if not mesh.policies.may_deny((_WATCH, _DEPEND)):
        return Cut(defined)
    scissors = _Scissors(location_name, defined, mesh)
    scissors.look()
    if not scissors.denials:
        return Cut(defined)
    message = snapshot_pb2.LocationSnapshot()
    message.CopyFrom(defined.message)
    scissors.apply(message)
    told = b"".join(each.SerializeToString(deterministic=True) for each in scissors.denials)
    digest = f"{defined.digest}-{hashlib.sha256(told).hexdigest()[:16]}"
    left = definitions.of_message(digest, message)
    unwatched = frozenset(scissors.unwatched)
    return Cut(dataclasses.replace(left, unwatched=unwatched), tuple(scissors.denials))


class _Scissors:
    """Finds what is denied in one location's definitions, and takes it out of a copy."""

    def __init__(self, location_name: str, defined: definitions.Definitions, mesh: Mesh) -> None:
        self._name = location_name
        self._defined = defined
        self._mesh = mesh
        self._decided: dict[tuple[deciding.Action, Path], deciding.Decision] = {}
        self._jobs_left: dict[str, list[snapshot_pb2.MonitoredJob]] = {}
        self._blind: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str, int, str, Path, str]] = set()
        self.denials: list[policies_pb2.PolicyDenial] = []
        self.unwatched: set[Path] = set()

    def look(self) -> None:
        """Find what is denied."""
        message = self._defined.message
        for asset in message.assets:
            name = "/".join(asset.key.path)
            self._look_at_edges("asset", name, asset.dependencies, asset)
        for check in message.checks:
            of_asset = snapshot_pb2.AssetDependency(asset_key=check.key.asset_key)
            edges = [of_asset, *check.additional_dependencies]
            self._look_at_edges("check", _check_name(check), edges, check)
        for job in message.jobs:
            self._look_at_edges("job", job.name, (), job)
        for sensor in message.sensors:
            self._look_at_sensor(sensor)

    def apply(self, message: snapshot_pb2.LocationSnapshot) -> None:
        """Take out what was found to be denied."""
        for asset in message.assets:
            edges = self._kept(asset.dependencies)
            if len(edges) < len(asset.dependencies):
                del asset.dependencies[:]
                asset.dependencies.extend(edges)
            self._apply_condition("asset", "/".join(asset.key.path), asset)
        for check in message.checks:
            edges = self._kept(check.additional_dependencies)
            if len(edges) < len(check.additional_dependencies):
                del check.additional_dependencies[:]
                check.additional_dependencies.extend(edges)
            self._apply_condition("check", _check_name(check), check)
        for job in message.jobs:
            self._apply_condition("job", job.name, job)
        for sensor in message.sensors:
            self._apply_sensor(sensor)

    # Looking.

    def _decide(self, action: deciding.Action, path: Path) -> deciding.Decision:
        known = self._decided.get((action, path))
        if known is None:
            owner, subject = self._mesh.owner(path), deciding.Subject(asset=path)
            known = deciding.decide(self._mesh.policies, self._name, owner, action, subject)
            self._decided[action, path] = known
        return known

    def _look_at_edges(
        self,
        kind: str,
        name: str,
        edges: Iterable[snapshot_pb2.AssetDependency],
        one: _Conditioned,
    ) -> None:
        """Look at what something is made from, and what its condition hears of."""
        conditioned = one.HasField("automation_condition")
        for edge in edges:
            path = tuple(edge.asset_key.path)
            if not self._allows(kind, name, _DEPEND, path):
                continue
            if conditioned and not self._allows(kind, name, _WATCH, path):
                self.unwatched.add(path)
            elif not self._decide(_WATCH, path).allowed:
                self.unwatched.add(path)  # A sensor may bring a condition for it.
        if conditioned:
            self._look_at_condition(kind, name, one.automation_condition)

    def _look_at_condition(
        self, kind: str, name: str, condition: conditions_pb2.AutomationCondition
    ) -> None:
        for path in asked_by_name(condition):
            if not self._allows(kind, name, _WATCH, path):
                self._blind.add((kind, name))

    def _look_at_sensor(self, sensor: snapshot_pb2.SensorDefinition) -> None:
        for key in sensor.monitored_assets:
            self._allows("sensor", sensor.name, _WATCH, tuple(key.path))
        if sensor.HasField("default_condition"):
            self._look_at_condition("sensor", sensor.name, sensor.default_condition)
        if sensor.kind != snapshot_pb2.SENSOR_KIND_RUN_STATUS:
            return
        watched = list(sensor.monitored_jobs)
        if sensor.monitors_all_locations:
            names = sorted({*self._mesh.jobs, self._name})
            watched = [snapshot_pb2.MonitoredJob(location_name=name) for name in names]
        before = len(self.denials)
        left = [each for one in watched for each in self._runs_left(sensor.name, one)]
        if len(self.denials) > before:
            self._jobs_left[sensor.name] = left

    def _runs_left(
        self, sensor_name: str, one: snapshot_pb2.MonitoredJob
    ) -> list[snapshot_pb2.MonitoredJob]:
        """Return what is left of runs to watch: single jobs where not all of a location are."""
        target = one.location_name or self._name
        if target == self._name:
            return [one]
        names = [one.job_name] if one.job_name else list(self._mesh.jobs.get(target, ()))
        decisions = {name: self._of_runs(target, name) for name in names}
        denied = {name: each for name, each in decisions.items() if not each.allowed}
        if not one.job_name:
            whole = self._of_runs(target, "")
            if whole.allowed and not denied:
                return [one]
            if len(denied) == len(names):
                denied = {"": next(each for each in (whole, *denied.values()) if not each.allowed)}
                names = []
        for name, decision in denied.items():
            self._tell(("sensor", sensor_name), decision, _WATCH, target, job_name=name)
        return [
            snapshot_pb2.MonitoredJob(location_name=target, job_name=name)
            for name in names
            if name not in denied
        ]

    def _of_runs(self, target: str, job_name: str) -> deciding.Decision:
        subject = deciding.Subject(job=job_name)
        return deciding.decide(self._mesh.policies, self._name, target, _WATCH, subject)

    def _allows(self, kind: str, name: str, action: deciding.Action, path: Path) -> bool:
        """Return whether something is allowed; tell it if not."""
        decision = self._decide(action, path)
        if not decision.allowed:
            self._tell((kind, name), decision, action, self._mesh.owner(path), path)
        return decision.allowed

    def _tell(
        self,
        of: tuple[str, str],
        decision: deciding.Decision,
        action: deciding.Action,
        target: str,
        path: Path = (),
        *,
        job_name: str = "",
    ) -> None:
        kind, name = of
        number = deciding.NUMBERS[action]
        told = (kind, name, number, target, path, job_name)
        if told in self._told:
            return
        self._told.add(told)
        self.denials.append(
            policies_pb2.PolicyDenial(
                definition_kind=kind,
                definition_name=name,
                action=number,
                to_location=target,
                asset_key=values_pb2.AssetKey(path=path) if path else None,
                job_name=job_name,
                declared_by=decision.declared_by,
                explanation=decision.explanation,
            )
        )

    # Cutting.

    def _kept(
        self, edges: Iterable[snapshot_pb2.AssetDependency]
    ) -> list[snapshot_pb2.AssetDependency]:
        kept: list[snapshot_pb2.AssetDependency] = []
        for edge in edges:
            if self._decide(_DEPEND, tuple(edge.asset_key.path)).allowed:
                copy = snapshot_pb2.AssetDependency()
                copy.CopyFrom(edge)
                kept.append(copy)
        return kept

    def _apply_condition(self, kind: str, name: str, one: _Conditioned) -> None:
        # What a condition that lost an operand comes to is anybody's guess: it is left out whole.
        if (kind, name) in self._blind:
            one.ClearField("automation_condition")

    def _apply_sensor(self, sensor: snapshot_pb2.SensorDefinition) -> None:
        watched = [tuple(key.path) for key in sensor.monitored_assets]
        kept = [path for path in watched if self._decide(_WATCH, path).allowed]
        if len(kept) < len(watched):
            del sensor.monitored_assets[:]
            sensor.monitored_assets.extend(values_pb2.AssetKey(path=path) for path in kept)
        if ("sensor", sensor.name) in self._blind:
            sensor.ClearField("default_condition")
        left = self._jobs_left.get(sensor.name)
        if left is None:
            return
        del sensor.monitored_jobs[:]
        sensor.monitored_jobs.extend(left)
        if not left:
            sensor.run_status = ""  # No status and no job: it watches nothing at all.


def _check_name(check: snapshot_pb2.AssetCheckDefinition) -> str:
    return f"{'/'.join(check.key.asset_key.path)}:{check.key.name}"


def asked_by_name(condition: conditions_pb2.AutomationCondition) -> Iterator[Path]:
    """Yield the assets that a condition names."""
    for one in nodes_of(condition):
        if one.HasField("asset_matches"):
            yield tuple(one.asset_matches.asset_key.path)


def nodes_of(
    condition: conditions_pb2.AutomationCondition,
) -> Iterator[conditions_pb2.AutomationCondition]:
    """Yield a condition and everything that it is made of."""
    waiting = [condition]
    while waiting:
        one = waiting.pop()
        yield one
        kind = one.WhichOneof("node")
        if kind is None:
            continue
        node = getattr(one, kind)
        fields = node.DESCRIPTOR.fields_by_name
        waiting += (getattr(node, name) for name in _OPERANDS if name in fields)
        waiting += node.operands if "operands" in fields else ()


_OPERANDS = ("operand", "trigger", "reset")
