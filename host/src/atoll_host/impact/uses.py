"""Who of the other locations uses what of a location. Pure."""

import collections
import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from atoll.definitions.v1 import conditions_pb2, snapshot_pb2
from atoll_host.locations import cutting, definitions

Path: TypeAlias = tuple[str, ...]
CheckKey: TypeAlias = tuple[Path, str]


class How(enum.Enum):
    """How something is used; the values are said of whoever does."""

    WATCHES = "watches it"
    DEPENDS = "is made from it"
    CONDITION = "has a condition that names it"
    CHECKS = "checks it"
    LAUNCHES = "asks for runs of it"
    HEARS = "watches its runs"


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """One use.

    Attributes:
        location_name: Whose it is.
        what: What of theirs, such as "sensor on_orders".
        how: How it uses it.
    """

    location_name: str
    what: str
    how: How


class Uses:
    """All uses that other locations make of anything."""

    def __init__(self, others: Mapping[str, definitions.Definitions]) -> None:
        self.of_assets: dict[Path, list[Use]] = collections.defaultdict(list)
        self.of_checks: dict[CheckKey, list[Use]] = collections.defaultdict(list)
        self.of_jobs: dict[tuple[str, str], list[Use]] = collections.defaultdict(list)
        for name, defined in sorted(others.items()):
            self._take(name, defined.message)

    def _take(self, location_name: str, message: snapshot_pb2.LocationSnapshot) -> None:
        for asset in message.assets:
            name = "/".join(asset.key.path)
            use = Use(location_name, f"asset {name}", How.DEPENDS)
            self._take_edges(use, asset.dependencies)
            self._take_condition(use, asset)
        for check in message.checks:
            name = f"{'/'.join(check.key.asset_key.path)}:{check.key.name}"
            use = Use(location_name, f"check {name}", How.CHECKS)
            self.of_assets[tuple(check.key.asset_key.path)].append(use)
            depends = dataclasses.replace(use, how=How.DEPENDS)
            self._take_edges(depends, check.additional_dependencies)
            self._take_condition(use, check)
        for job in message.jobs:
            self._take_condition(Use(location_name, f"job {job.name}", How.CONDITION), job)
        for sensor in message.sensors:
            self._take_sensor(location_name, sensor)

    def _take_edges(self, use: Use, edges: Iterable[snapshot_pb2.AssetDependency]) -> None:
        for edge in edges:
            self.of_assets[tuple(edge.asset_key.path)].append(use)

    def _take_condition(
        self,
        use: Use,
        one: snapshot_pb2.AssetDefinition
        | snapshot_pb2.AssetCheckDefinition
        | snapshot_pb2.JobDefinition,
    ) -> None:
        if not one.HasField("automation_condition"):
            return
        naming = dataclasses.replace(use, how=How.CONDITION)
        for path in cutting.asked_by_name(one.automation_condition):
            self.of_assets[path].append(naming)
        for key in _checks_named(one.automation_condition):
            self.of_checks[key].append(naming)

    def _take_sensor(self, location_name: str, sensor: snapshot_pb2.SensorDefinition) -> None:
        use = Use(location_name, f"sensor {sensor.name}", How.WATCHES)
        for key in sensor.monitored_assets:
            self.of_assets[tuple(key.path)].append(use)
        for name in sensor.job_names:
            target, slash, job_name = name.partition("/")
            if slash:
                launching = dataclasses.replace(use, how=How.LAUNCHES)
                self.of_jobs[target, job_name].append(launching)
        for one in sensor.monitored_jobs:
            hearing = dataclasses.replace(use, how=How.HEARS)
            self.of_jobs[one.location_name or location_name, one.job_name].append(hearing)


def _checks_named(condition: conditions_pb2.AutomationCondition) -> Iterator[CheckKey]:
    """Yield the checks that a condition selects by key."""
    for one in cutting.nodes_of(condition):
        node = getattr(one, one.WhichOneof("node") or "simple")
        for name in ("allow", "ignore"):
            if name in node.DESCRIPTOR.fields_by_name and node.HasField(name):
                yield from _checks_selected(getattr(node, name))


def _checks_selected(selection: conditions_pb2.ConditionSelection) -> Iterator[CheckKey]:
    kind = selection.WhichOneof("kind")
    if kind is None:
        return
    if kind == "checks":
        for key in selection.checks.keys:
            yield tuple(key.asset_key.path), key.name
        return
    node = getattr(selection, kind)
    fields = node.DESCRIPTOR.fields_by_name
    for name in ("child", "left", "right"):
        if name in fields:
            yield from _checks_selected(getattr(node, name))
    for operand in node.operands if "operands" in fields else ():
        yield from _checks_selected(operand)
