"""Sensors that evaluate automation conditions: which conditions, how often, and with which labels.

Called by users who want another rate, other labels or another status for some of their conditions
than the default sensor of the location has. The host does what they say; no code runs here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._conditions import conditions, entities
from atoll._definitions import (
    asset_events,
    asset_graph,
    asset_selection,
    automation_conditions,
    condition_entities,
    jobs,
    keys,
    sensors,
    sources,
    tick_targets,
)
from atoll._definitions import metadata as metadata_values

DEFAULT_AUTOMATION_CONDITION_SENSOR_NAME = "default_automation_condition_sensor"
"""The name of the sensor that evaluates what no other does. Each location has one."""


class AutomationConditionSensorDefinition(sensors.SensorDefinition):
    """A sensor that evaluates the automation conditions of its targets.

    Args:
        name: The name of the sensor.
        target: The assets and checks, and jobs of assets. Those without a condition are left out,
            unless there is a default condition.
        tags: Labels of the sensor.
        run_tags: Tags of the runs that it requests.
        default_status: Whether it is evaluated until somebody starts or stops it.
        minimum_interval_seconds: The least time between an evaluation and the next one that only
            follows up on it. What happens is evaluated at once.
        description: What the sensor is for.
        metadata: What to attach to the definition.
        emit_backfills: Is kept, and changes nothing: several partitions are requested as runs.
        use_user_code_server: Whether conditions of the user's own are allowed. Their location
            evaluates them; the host evaluates all others.
        default_condition: The condition of targets that have none.

    Raises:
        InvalidDefinitionError: There is no target, or something of it cannot be.
    """

    sensor_type = sensors.SensorType.AUTOMATION

    def __init__(
        self,
        name: str,
        *,
        target: Any,
        tags: Mapping[str, str] | None = None,
        run_tags: Mapping[str, str] | None = None,
        default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds: float | None = None,
        description: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        emit_backfills: bool = True,
        use_user_code_server: bool = False,
        default_condition: automation_conditions.AutomationCondition[Any] | None = None,
    ) -> None:
        target_jobs, target_assets = _split(name, target)
        super().__init__(
            name,
            evaluation_fn=_evaluated_by_the_host,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            default_status=default_status,
            jobs=target_jobs or None,
            asset_selection=target_assets,
            tags=tags,
            metadata=metadata,
        )
        self.source = sources.of_caller()
        self.run_tags = asset_events.checked_tags(run_tags)
        self.emit_backfills = emit_backfills
        self.use_user_code_server = use_user_code_server
        self.default_condition = default_condition
        # Says now, and not when the location is served, that it is no condition.
        self._default = automation_conditions.data_of(default_condition, f"the sensor {name!r}")

    @property
    def effective_minimum_interval_s(self) -> float:
        """The least time between an evaluation and one that only follows up on it."""
        if self.minimum_interval_seconds is not None:
            return float(self.minimum_interval_seconds)
        return sensors.DEFAULT_MINIMUM_INTERVAL_S

    @property
    def asset_job_keys(self) -> Sequence[keys.AssetJobKey]:
        """The jobs among the targets."""
        return [keys.AssetJobKey(one.name) for one in self.jobs]

    @property
    def default_node(self) -> conditions.Condition | None:
        """The condition of targets that have none, as data."""
        return self._default

    def targets(self, graph: asset_graph.AssetGraph) -> Sequence[entities.Entity]:
        """Return what the sensor evaluates, sorted.

        Args:
            graph: The assets and checks of the location.

        Raises:
            InvalidSubsetError: The sensor names an asset or check that is not there.
        """
        found = {condition_entities.entity_of(key) for key in self.asset_job_keys}
        if self.asset_selection is not None:
            for key in self.asset_selection.resolve(graph.selectable):
                spec = graph.specs[key]
                if spec.automation_condition is not None or (
                    self._default is not None and graph.has_executable(key)
                ):
                    found.add(condition_entities.entity_of(key))
            for check in self.asset_selection.resolve_checks(graph.selectable):
                told = graph.check_specs[check]
                if told.automation_condition is not None or self._default is not None:
                    found.add(condition_entities.entity_of(check))
        return sorted(found)


def _split(
    name: str, target: Any
) -> tuple[Sequence[tick_targets.JobTarget], asset_selection.AssetSelection | None]:
    """Tell jobs from assets and checks among what was given as a target."""
    several = isinstance(target, (list, tuple))
    members: tuple[Any, ...] = (*target,) if several else (target,)  # pyright: ignore[reportUnknownVariableType]
    kinds = (jobs.UnresolvedAssetJobDefinition, jobs.JobDefinition)
    target_jobs = [one for one in members if isinstance(one, kinds)]
    others = [one for one in members if not isinstance(one, kinds)]
    if not members or target is None:
        raise errors.InvalidDefinitionError(
            f"The sensor {name!r} has no target. Give target=AssetSelection.all() for everything"
            " with a condition."
        )
    if not others:
        return target_jobs, None
    chosen: asset_selection.CoercibleToAssetSelection = others if several else target
    return target_jobs, asset_selection.AssetSelection.from_coercible(chosen)


def _evaluated_by_the_host() -> None:
    raise errors.InvalidInvocationError(
        "A sensor of automation conditions is evaluated by the host. In a test, call"
        " evaluate_automation_conditions(defs=..., instance=...)."
    )
