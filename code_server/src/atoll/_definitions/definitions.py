"""Definitions: everything that a code location defines, in one object.

Called by users, and by everything that serves, checks or runs what they defined. Cheap to make:
nothing is resolved until somebody asks, and `validate_loadable` tells everything that is wrong at
once.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from atoll import errors
from atoll._definitions import (
    asset_graph,
    asset_selection,
    in_process,
    keys,
    kinds,
    location_policies,
    merging,
    problems,
    specs,
    unresolved_schedules,
)
from atoll._definitions import (
    assets as asset_definitions,
)
from atoll._definitions import (
    jobs as job_definitions,
)
from atoll._definitions import (
    metadata as metadata_values,
)
from atoll._definitions import (
    schedules as schedule_definitions,
)
from atoll._definitions import (
    sensors as sensor_definitions,
)

Schedule: TypeAlias = (
    schedule_definitions.ScheduleDefinition
    | unresolved_schedules.UnresolvedPartitionedScheduleDefinition
)
Job: TypeAlias = job_definitions.UnresolvedAssetJobDefinition | job_definitions.JobDefinition


class Definitions:
    """Everything that a code location defines.

    Args:
        assets: Assets, and bare specs of assets that are made elsewhere.
        schedules: Schedules.
        sensors: Sensors.
        jobs: Jobs, from `job`, `GraphDefinition.to_job` or `define_asset_job`.
        resources: Objects by resource key; an `IOManager` under `io_manager` replaces the default
            one.
        executor: How the steps of jobs are run that name no executor of their own.
        loggers: Loggers by name, for jobs that name none of their own.
        asset_checks: Checks that are defined apart from assets.
        metadata: What to attach to the definitions as a whole.
        policy: What other locations may do with what this one makes; None leaves it to the host.

    Example:
        `defs = Definitions(assets=[orders], resources={"warehouse": Warehouse()})`
    """

    def __init__(
        self,
        assets: Iterable[asset_definitions.AssetsDefinition | specs.AssetSpec] | None = None,
        schedules: Iterable[Schedule] | None = None,
        sensors: Iterable[sensor_definitions.SensorDefinition] | None = None,
        jobs: Iterable[Job] | None = None,
        resources: Mapping[str, Any] | None = None,
        executor: Any = None,
        loggers: Mapping[str, Any] | None = None,
        asset_checks: Iterable[asset_definitions.AssetsDefinition] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        policy: location_policies.LocationPolicy | None = None,
    ) -> None:
        self._assets = _listed("assets", assets)
        self._schedules = _listed("schedules", schedules)
        self._sensors = _listed("sensors", sensors)
        self._jobs = _listed("jobs", jobs)
        kinds.check(resources, Mapping, "The resources", "objects by resource key, as a dict")
        kinds.check(loggers, Mapping, "The loggers", "loggers by name, as a dict")
        self._resources = dict(resources or {})
        self._executor = executor
        self._loggers = dict(loggers or {})
        self._asset_checks = _listed("asset_checks", asset_checks)
        self._metadata = metadata_values.normalize(metadata)
        kinds.check(
            policy, location_policies.LocationPolicy, "The policy", "a LocationPolicy object"
        )
        self._policy = policy

    @property
    def assets(self) -> Sequence[Any]:
        """The assets and bare specs, as given."""
        return self._assets

    raw_assets = assets

    @property
    def asset_checks(self) -> Sequence[Any]:
        """The checks, as given."""
        return self._asset_checks

    raw_checks = asset_checks

    @property
    def schedules(self) -> Sequence[Any]:
        """The schedules, as given."""
        return self._schedules

    raw_schedules = schedules

    @property
    def sensors(self) -> Sequence[Any]:
        """The sensors, as given."""
        return self._sensors

    raw_sensors = sensors

    @property
    def jobs(self) -> Sequence[Any]:
        """The jobs, as given."""
        return self._jobs

    raw_jobs = jobs

    @property
    def resources(self) -> Mapping[str, Any]:
        """The resources by key, as given."""
        return self._resources

    @property
    def all_resources(self) -> Mapping[str, Any]:
        """The resources by key; the default IO manager is there, as None where not replaced."""
        return {asset_definitions.DEFAULT_IO_MANAGER_KEY: None, **self._resources}

    @property
    def executor(self) -> Any:
        """How the steps of jobs are run that name no executor of their own."""
        return self._executor

    @property
    def loggers(self) -> Mapping[str, Any]:
        """Loggers by name, for jobs that name none of their own."""
        return self._loggers

    @property
    def metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """What the user attached to the definitions as a whole."""
        return self._metadata

    @property
    def policy(self) -> location_policies.LocationPolicy | None:
        """What other locations may do with what this one makes."""
        return self._policy

    @property
    def parts(self) -> merging.Parts:
        """Everything that it holds, as given."""
        return merging.Parts(**{name: getattr(self, name) for name in _MERGED})

    @functools.cached_property
    def graph(self) -> asset_graph.AssetGraph:
        """The assets and checks and how they depend on each other."""
        given = (*self._assets, *self._asset_checks)
        executable, external, _ = asset_definitions.executable_and_external(given)
        return asset_graph.AssetGraph(_each_once(executable), external)

    @staticmethod
    def merge(*def_sets: "Definitions") -> "Definitions":
        """Put several definitions together.

        Args:
            def_sets: The definitions.

        Returns:
            New definitions that hold everything.

        Raises:
            InvalidDefinitionError: A resource key or a logger means different things, or there are
                two executors; all of these are told.
        """
        whole = merging.merged([one.parts for one in def_sets])
        return Definitions(**{name: getattr(whole, name) for name in _MERGED})

    def validate_loadable(self) -> None:
        """Check everything that can be checked without running user code.

        Raises:
            InvalidDefinitionError: Something is wrong; its `problems` tell everything that is, with
            file and line.
        """
        found = problems.find(self)
        if not found:
            return
        if len(found) == 1:
            raise errors.InvalidDefinitionError(str(found[0]), found)
        listed = "\n".join(f"  {problem}" for problem in found)
        raise errors.InvalidDefinitionError(f"There are {len(found)} problems:\n{listed}", found)

    def get_job_def(self, name: str) -> job_definitions.JobDefinition:
        """Return a job by name.

        Args:
            name: The name; `__ASSET_JOB` is the job that materializes any selection of assets.

        Returns:
            The job.

        Raises:
            InvariantViolationError: There is no such job.
        """
        if name == job_definitions.ASSET_JOB_NAME:
            return self.resolve_implicit_global_asset_job_def()
        found = self._jobs_by_name.get(name)
        if found is not None:
            return self.resolve_job(found)
        names = ", ".join(self._jobs_by_name) or "none"
        raise errors.InvariantViolationError(
            f"There is no job {name!r}. The definitions hold these jobs: {names}."
        )

    def resolve_job_def(self, name: str) -> job_definitions.JobDefinition:
        """Return a job by name."""
        return self.get_job_def(name)

    def resolve_all_job_defs(self) -> Sequence[job_definitions.JobDefinition]:
        """Return all jobs; where there are assets, also the one that materializes any of them."""
        resolved = [self.resolve_job(one) for one in problems.jobs_of(self)]
        if self.has_implicit_global_asset_job_def():
            resolved.append(self.resolve_implicit_global_asset_job_def())
        return resolved

    def resolve_implicit_global_asset_job_def(self) -> job_definitions.JobDefinition:
        """Return the job that materializes any selection of the assets."""
        return self._implicit_job

    def get_implicit_global_asset_job_def(self) -> job_definitions.JobDefinition:
        """Return the job that materializes any selection of the assets."""
        return self._implicit_job

    def has_implicit_global_asset_job_def(self) -> bool:
        """Tell whether there are assets or checks that a run can be asked for."""
        return bool(self.graph.executable_specs or self.graph.check_specs)

    def resolve_job(self, one: Job) -> job_definitions.JobDefinition:
        """Return what a job means among the assets, resolved once."""
        known = self._resolved_jobs.get(id(one))
        if known is None:
            made = (
                one.resolve(self.graph)
                if isinstance(one, job_definitions.UnresolvedAssetJobDefinition)
                else one
            )
            known = self._completed(made)
            self._resolved_jobs[id(one)] = known
        return known

    def get_sensor_def(self, name: str) -> sensor_definitions.SensorDefinition:
        """Return a sensor by name.

        Raises:
            InvariantViolationError: There is no such sensor.
        """
        found = self._sensors_by_name.get(name)
        if found is None:
            names = ", ".join(sorted(self._sensors_by_name)) or "none"
            raise errors.InvariantViolationError(
                f"There is no sensor {name!r}. The definitions hold these sensors: {names}."
            )
        return found

    def resolve_sensor_def(self, name: str) -> sensor_definitions.SensorDefinition:
        """Return a sensor by name."""
        return self.get_sensor_def(name)

    def get_schedule_def(self, name: str) -> schedule_definitions.ScheduleDefinition:
        """Return a schedule by name.

        Raises:
            InvariantViolationError: There is no such schedule.
            InvalidDefinitionError: It cannot fill the partitions of its job.
        """
        return self.resolve_schedule(self.get_unresolved_schedule_def(name))

    def resolve_schedule_def(self, name: str) -> schedule_definitions.ScheduleDefinition:
        """Return a schedule by name."""
        return self.get_schedule_def(name)

    def get_unresolved_schedule_def(self, name: str) -> Schedule:
        """Return a schedule by name, as it was given.

        Raises:
            InvariantViolationError: There is no such schedule.
        """
        found = self._schedules_by_name.get(name)
        if found is None:
            names = ", ".join(sorted(self._schedules_by_name)) or "none"
            raise errors.InvariantViolationError(
                f"There is no schedule {name!r}. The definitions hold these schedules: {names}."
            )
        return found

    def resolve_schedule(self, one: Schedule) -> schedule_definitions.ScheduleDefinition:
        """Return what a schedule is, now that the assets of its job are known."""
        if isinstance(one, schedule_definitions.ScheduleDefinition):
            return one
        known = self._resolved_schedules.get(id(one))
        if known is None:
            known = self._resolved_schedules[id(one)] = one.resolve(self.resolve_job(one.job))
        return known

    def get_assets_def(self, key: keys.CoercibleToAssetKey) -> asset_definitions.AssetsDefinition:
        """Return the definition that materializes an asset.

        Raises:
            InvalidSubsetError: The asset is not made here.
        """
        return self.graph.definitions_of([keys.AssetKey.from_coercible(key)])[0]

    def get_asset_checks_def(self, key: keys.AssetCheckKey) -> asset_definitions.AssetsDefinition:
        """Return the definition that evaluates a check: checks, or assets with checks of their own.

        Raises:
            InvalidSubsetError: The check is not evaluated here.
        """
        return self.graph.definitions_of((), [key])[0]

    def resolve_assets_def(
        self, key: keys.CoercibleToAssetKey
    ) -> asset_definitions.AssetsDefinition:
        """Return the definition that materializes an asset."""
        return self.get_assets_def(key)

    def resolve_asset_graph(self) -> asset_graph.AssetGraph:
        """Return the assets and how they depend on each other."""
        return self.graph

    def resolve_all_asset_specs(self) -> Sequence[specs.AssetSpec]:
        """Return what is known of every asset, sorted by key."""
        return [self.graph.specs[key] for key in sorted(self.graph.specs)]

    def resolve_all_asset_keys(self) -> Sequence[keys.AssetKey]:
        """Return the keys of all assets, sorted."""
        return sorted(self.graph.specs)

    def load_asset_value(
        self,
        asset_key: keys.CoercibleToAssetKey,
        *,
        python_type: Any = None,
        instance: Any = None,
        partition_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Load the stored value of an asset.

        Args:
            asset_key: The asset.
            python_type: What to load it as, such as `pandas.DataFrame`.
            instance: The `Instance` whose storage to read.
            partition_key: The partition; None loads the whole asset.
            metadata: What the IO manager is given with the input.

        Returns:
            The value.
        """
        with self.get_asset_value_loader(instance) as loader:
            return loader.load_asset_value(
                asset_key, python_type=python_type, partition_key=partition_key, metadata=metadata
            )

    def get_asset_value_loader(self, instance: Any = None) -> Any:
        """Return what loads values of several assets, and keeps their resources until it is closed.

        Args:
            instance: The `Instance` whose storage to read.

        Returns:
            An `AssetValueLoader`, a context manager.
        """
        return in_process.executor().asset_value_loader(self, instance)

    def map_asset_specs(
        self,
        *,
        func: Callable[[specs.AssetSpec], specs.AssetSpec],
        selection: asset_selection.CoercibleToAssetSelection | None = None,
    ) -> "Definitions":
        """Return the definitions with some specs changed.

        Args:
            func: Makes a new spec of a spec. It may not change the key.
            selection: The assets to change; all where not given.

        Returns:
            New definitions.
        """
        chosen = set(self.graph.specs)
        if selection is not None:
            meant = asset_selection.AssetSelection.from_coercible(selection)
            chosen = meant.resolve(self.graph.selectable)

        def mapped(spec: specs.AssetSpec) -> specs.AssetSpec:
            return func(spec) if spec.key in chosen else spec

        return self._with(assets=specs.map_asset_specs(mapped, self._assets))

    def map_resolved_asset_specs(
        self,
        *,
        func: Callable[[specs.AssetSpec], specs.AssetSpec],
        selection: asset_selection.CoercibleToAssetSelection | None = None,
    ) -> "Definitions":
        """Return the definitions with some specs changed, as `map_asset_specs` does."""
        return self.map_asset_specs(func=func, selection=selection)

    def with_resources(self, resources: Mapping[str, Any] | None) -> "Definitions":
        """Return the definitions with further resources, which replace those of the same key."""
        return self._with(resources={**self._resources, **(resources or {})})

    def _with(self, **changes: Any) -> "Definitions":
        given: dict[str, Any] = {
            "assets": self._assets,
            "schedules": self._schedules,
            "sensors": self._sensors,
            "jobs": self._jobs,
            "resources": self._resources,
            "executor": self._executor,
            "loggers": self._loggers,
            "asset_checks": self._asset_checks,
            "metadata": self._metadata,
            "policy": self._policy,
        }
        return Definitions(**{**given, **changes})

    @functools.cached_property
    def _implicit_job(self) -> job_definitions.JobDefinition:
        return self._completed(job_definitions.implicit_job(self.graph))

    def _completed(self, job: job_definitions.JobDefinition) -> job_definitions.JobDefinition:
        """Give a job what it leaves to the definitions that it belongs to."""
        bound = job.of_definitions(self)
        if bound.executor_def is None and self._executor is not None:
            bound = bound.with_executor_def(self._executor)
        if not bound.loggers and self._loggers:
            bound = bound.with_logger_defs(self._loggers)
        return bound

    @functools.cached_property
    def _jobs_by_name(self) -> Mapping[str, Job]:
        return {one.name: one for one in reversed(problems.jobs_of(self))}

    @functools.cached_property
    def _resolved_jobs(self) -> dict[int, job_definitions.JobDefinition]:
        return {}

    @functools.cached_property
    def _schedules_by_name(self) -> Mapping[str, Schedule]:
        return {one.name: one for one in reversed(problems.schedules_of(self))}

    @functools.cached_property
    def _resolved_schedules(self) -> dict[int, schedule_definitions.ScheduleDefinition]:
        return {}

    @functools.cached_property
    def _sensors_by_name(self) -> Mapping[str, sensor_definitions.SensorDefinition]:
        return {one.name: one for one in reversed(problems.sensors_of(self))}


def _listed(name: str, items: Iterable[Any] | None) -> tuple[Any, ...]:
    if items is None:
        return ()
    if isinstance(items, str) or not hasattr(items, "__iter__"):
        raise errors.InvalidDefinitionError(
            f"The {name} are a list, got {items!r}. Put it into brackets."
        )
    return tuple(items)


def _each_once(items: Iterable[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


_MERGED = (
    "assets",
    "schedules",
    "sensors",
    "jobs",
    "resources",
    "executor",
    "loggers",
    "asset_checks",
    "metadata",
    "policy",
)
