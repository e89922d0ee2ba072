"""Definitions: everything that a code location defines, in one object.

Called by users, and by everything that serves, checks or runs what they defined. Cheap to make:
nothing is resolved until somebody asks, and `validate_loadable` tells everything that is wrong at
once.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll._definitions import (
    asset_graph,
    asset_selection,
    errors,
    in_process,
    keys,
    problems,
    specs,
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
    sensors as sensor_definitions,
)


class Definitions:
    """Everything that a code location defines.

    Args:
        assets: Assets, and bare specs of assets that are made elsewhere.
        sensors: Sensors.
        jobs: Jobs, from `define_asset_job`.
        resources: Objects by resource key; an `IOManager` under `io_manager` replaces the default
            one.
        metadata: What to attach to the definitions as a whole.
    """

    def __init__(
        self,
        assets: Iterable[asset_definitions.AssetsDefinition | specs.AssetSpec] | None = None,
        *,
        sensors: Iterable[sensor_definitions.SensorDefinition] | None = None,
        jobs: Iterable[job_definitions.UnresolvedAssetJobDefinition] | None = None,
        resources: Mapping[str, Any] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
    ) -> None:
        self._assets = _listed("assets", assets)
        self._sensors = _listed("sensors", sensors)
        self._jobs = _listed("jobs", jobs)
        self._resources = dict(resources or {})
        self._metadata = metadata_values.normalize(metadata)

    @property
    def assets(self) -> Sequence[Any]:
        """The assets and bare specs, as given."""
        return self._assets

    raw_assets = assets

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
    def metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """What the user attached to the definitions as a whole."""
        return self._metadata

    @functools.cached_property
    def graph(self) -> asset_graph.AssetGraph:
        """The assets and how they depend on each other."""
        executable, external, _ = asset_definitions.executable_and_external(self._assets)
        return asset_graph.AssetGraph(executable, external)

    @staticmethod
    def merge(*def_sets: "Definitions") -> "Definitions":
        """Put several definitions together.

        Args:
            def_sets: The definitions.

        Returns:
            New definitions that hold everything.

        Raises:
            InvalidDefinitionError: A resource key or a metadata entry means different things.
        """
        resources: dict[str, Any] = {}
        metadata: dict[str, metadata_values.MetadataValue[Any]] = {}
        for one in def_sets:
            _add_all("resource", resources, one.resources)
            _add_all("metadata entry", metadata, one.metadata)
        return Definitions(
            assets=_unique(item for one in def_sets for item in one.assets),
            sensors=_unique(item for one in def_sets for item in one.sensors),
            jobs=_unique(item for one in def_sets for item in one.jobs),
            resources=resources,
            metadata=metadata,
        )

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
        for unresolved in problems.jobs_of(self):
            if unresolved.name == name:
                return self.resolve_job(unresolved)
        names = ", ".join(one.name for one in problems.jobs_of(self)) or "none"
        raise errors.InvariantViolationError(
            f"There is no job {name!r}. The definitions hold these jobs: {names}."
        )

    def resolve_job_def(self, name: str) -> job_definitions.JobDefinition:
        """Return a job by name."""
        return self.get_job_def(name)

    def resolve_all_job_defs(self) -> Sequence[job_definitions.JobDefinition]:
        """Return all jobs; where there are assets, also the one that materializes any of them."""
        resolved = [self.resolve_job(one) for one in problems.jobs_of(self)]
        if self.graph.executable_specs:
            resolved.append(self.resolve_implicit_global_asset_job_def())
        return resolved

    def resolve_implicit_global_asset_job_def(self) -> job_definitions.JobDefinition:
        """Return the job that materializes any selection of the assets."""
        return self._implicit_job

    def resolve_job(
        self, unresolved: job_definitions.UnresolvedAssetJobDefinition
    ) -> job_definitions.JobDefinition:
        """Return what a job means among the assets, resolved once."""
        known = self._resolved_jobs.get(id(unresolved))
        if known is None:
            known = job_definitions.JobDefinition(unresolved, self.graph, self)
            self._resolved_jobs[id(unresolved)] = known
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

    def get_assets_def(self, key: keys.CoercibleToAssetKey) -> asset_definitions.AssetsDefinition:
        """Return the definition that materializes an asset.

        Raises:
            InvalidSubsetError: The asset is not made here.
        """
        return self.graph.definitions_of([keys.AssetKey.from_coercible(key)])[0]

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
    ) -> Any:
        """Load the stored value of an asset.

        Args:
            asset_key: The asset.
            python_type: What to load it as, such as `pandas.DataFrame`.
            instance: The `Instance` whose storage to read.

        Returns:
            The value.
        """
        key = keys.AssetKey.from_coercible(asset_key)
        return in_process.executor().load_asset_value(self, key, python_type, instance)

    def map_asset_specs(
        self, *, func: Any, selection: asset_selection.CoercibleToAssetSelection | None = None
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
            chosen = asset_selection.AssetSelection.from_coercible(selection).resolve_specs(
                self.graph.specs
            )

        def mapped(spec: specs.AssetSpec) -> specs.AssetSpec:
            return func(spec) if spec.key in chosen else spec

        return Definitions(
            assets=specs.map_asset_specs(mapped, self._assets),
            sensors=self._sensors,
            jobs=self._jobs,
            resources=self._resources,
            metadata=self._metadata,
        )

    @functools.cached_property
    def _implicit_job(self) -> job_definitions.JobDefinition:
        return job_definitions.implicit_job(self.graph, self)

    @functools.cached_property
    def _resolved_jobs(self) -> dict[int, job_definitions.JobDefinition]:
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


def _unique(items: Iterable[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


def _add_all(kind: str, known: dict[str, Any], added: Mapping[str, Any]) -> None:
    for name, value in added.items():
        if name in known and known[name] is not value and known[name] != value:
            raise errors.InvalidDefinitionError(
                f"The {kind} {name!r} means different things in the definitions that are merged: "
                f"{known[name]!r} and {value!r}. Rename one."
            )
        known[name] = value
