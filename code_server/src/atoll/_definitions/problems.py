"""What is wrong with a set of definitions, all of it at once, with file and line.

Called by `Definitions.validate_loadable`, by `atoll check` and when a location is loaded. It finds
what cannot be seen when a single definition is made; the first problem never hides the others.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from atoll._definitions import asset_graph, errors, job_config, jobs, keys, sensors, sources, specs
from atoll._definitions import assets as asset_definitions

_IO_MANAGER_METHODS = ("handle_output", "load_input")


class Inspected(Protocol):
    """What is looked at: definitions in the raw."""

    @property
    def raw_assets(self) -> Sequence[Any]:
        """What was given as assets."""
        ...

    @property
    def raw_jobs(self) -> Sequence[Any]:
        """What was given as jobs."""
        ...

    @property
    def raw_sensors(self) -> Sequence[Any]:
        """What was given as sensors."""
        ...

    @property
    def all_resources(self) -> Mapping[str, Any]:
        """The resources by key, the default ones included."""
        ...

    def resolve_asset_graph(self) -> asset_graph.AssetGraph:
        """Return the assets."""
        ...

    def resolve_job(self, unresolved: jobs.UnresolvedAssetJobDefinition) -> jobs.JobDefinition:
        """Return what a job means."""
        ...


def find(definitions: Inspected) -> list[errors.Problem]:
    """Find everything that is wrong.

    Args:
        definitions: What to look at.

    Returns:
        The problems; empty where there are none.
    """
    return [
        *_wrong_kinds(definitions),
        *_repeated_assets(definitions.resolve_asset_graph(), definitions.raw_assets),
        *_repeated_names("job", jobs_of(definitions)),
        *_repeated_names("sensor", sensors_of(definitions)),
        *_circle(definitions.resolve_asset_graph()),
        *_missing_resources(definitions),
        *_unresolvable_jobs(definitions),
        *_unresolvable_sensors(definitions),
    ]


def placed(message: str, source: sources.SourcePosition | None) -> errors.Problem:
    """Make a problem that stands at a line of the user's code."""
    if source is None:
        return errors.Problem(message)
    return errors.Problem(message, source.file, source.line)


def _wrong_kinds(definitions: Inspected) -> Iterable[errors.Problem]:
    kinds: list[tuple[str, Sequence[Any], tuple[type, ...], str]] = [
        (
            "assets",
            definitions.raw_assets,
            (asset_definitions.AssetsDefinition, specs.AssetSpec),
            "functions decorated with @asset, or AssetSpecs",
        ),
        (
            "jobs",
            definitions.raw_jobs,
            (jobs.UnresolvedAssetJobDefinition,),
            "results of define_asset_job",
        ),
        (
            "sensors",
            definitions.raw_sensors,
            (sensors.SensorDefinition,),
            "functions decorated with @sensor, @asset_sensor or @multi_asset_sensor",
        ),
    ]
    for name, items, allowed, told in kinds:
        for item in items:
            if not isinstance(item, allowed):
                source = sources.of_function(item) if callable(item) else None
                shown = getattr(item, "__name__", None) or repr(item)
                yield placed(
                    f"{shown} of type {type(item).__name__} stands among the {name}. Give {told}.",
                    source,
                )


def _repeated_assets(
    graph: asset_graph.AssetGraph, raw_assets: Sequence[Any]
) -> Iterable[errors.Problem]:
    makers: dict[keys.AssetKey, list[sources.SourcePosition | None]] = collections.defaultdict(list)
    op_names: dict[str, set[keys.AssetKey]] = collections.defaultdict(set)
    unique = {id(item): item for item in raw_assets}.values()
    executable, external, _ = asset_definitions.executable_and_external(unique)
    for one in executable:
        for key in one.keys:
            makers[key].append(one.source)
            op_names[one.op_name].add(key)
    for spec in external:
        makers[spec.key].append(spec.source)
    for key, places in makers.items():
        if len(places) > 1:
            first = (
                f" (first at {places[0].file}:{places[0].line})" if places[0] is not None else ""
            )
            yield placed(
                f"The asset {key.to_user_string()!r} is defined {len(places)} times{first}. Keep "
                "one of them.",
                places[-1],
            )
    for op_name, named in op_names.items():
        if len(named) > 1:
            named_last = graph.get(max(named))
            yield placed(
                f"The assets {keys.in_words(named)} share the op name {op_name!r}, so that run "
                "configuration cannot "
                "tell them apart. Rename one.",
                named_last.source if named_last is not None else None,
            )


def _repeated_names(kind: str, items: Sequence[Any]) -> Iterable[errors.Problem]:
    by_name: dict[str, list[Any]] = collections.defaultdict(list)
    for item in {id(item): item for item in items}.values():
        by_name[item.name].append(item)
    for name, same in by_name.items():
        if len(same) > 1:
            yield placed(
                f"There are {len(same)} {kind}s with the name {name!r}. Rename all but one.",
                same[-1].source,
            )


def _circle(graph: asset_graph.AssetGraph) -> Iterable[errors.Problem]:
    _, circle = asset_graph.sorted_or_circle(graph.assets_defs)
    if circle:
        yield placed(asset_graph.circle_in_words(circle), circle[0].source)


def _missing_resources(definitions: Inspected) -> Iterable[errors.Problem]:
    resources = definitions.all_resources
    managers: dict[str, tuple[str, sources.SourcePosition | None]] = {}
    for one in definitions.resolve_asset_graph().assets_defs:
        own = {**resources, **one.resource_defs}
        missing = sorted(one.required_resource_keys - set(own))
        for key in missing:
            yield placed(
                f"The asset {one.op_name!r} needs the resource {key!r}, which nobody provides. "
                f"Give Definitions(resources={{{key!r}: ...}}); "
                f"there are {', '.join(sorted(own))}.",
                one.source,
            )
        for output in one.computation.outputs:
            manager = own.get(output.io_manager_key)
            if manager is not None and not _is_io_manager(manager):
                managers[output.io_manager_key] = (type(manager).__name__, one.source)
    for key, (kind, source) in managers.items():
        yield placed(
            f"The resource {key!r} is used as an IO manager, but {kind} has no handle_output and "
            "load_input. "
            "Give a subclass of IOManager.",
            source,
        )
    for sensor in sensors_of(definitions):
        unknown = ", ".join(sensor.unknown_parameters(resources))
        if unknown:
            yield placed(
                f"The function of the sensor {sensor.name!r} takes too much: {unknown}. Take the "
                "parameter away, or provide a resource of that name with "
                "Definitions(resources={...}).",
                sensor.source,
            )
        for key in sorted(sensor.required_resource_keys - set(resources)):
            yield placed(
                f"The sensor {sensor.name!r} needs the resource {key!r}, which nobody provides. "
                f"Give Definitions(resources={{{key!r}: ...}}).",
                sensor.source,
            )


def _is_io_manager(resource: Any) -> bool:
    if callable(getattr(resource, "for_run", None)):
        return True
    return all(callable(getattr(resource, method, None)) for method in _IO_MANAGER_METHODS)


def _unresolvable_jobs(definitions: Inspected) -> Iterable[errors.Problem]:
    for unresolved in jobs_of(definitions):
        yield from _attempt(functools.partial(_resolve, definitions, unresolved), unresolved.source)


def _resolve(definitions: Inspected, unresolved: jobs.UnresolvedAssetJobDefinition) -> None:
    job = definitions.resolve_job(unresolved)
    if job.run_config:
        try:
            job_config.check(job, job.run_config)
        except errors.InvalidConfigError as error:
            raise errors.InvalidConfigError(
                f"The configuration of the job {job.name!r} does not fit. {error}",
                error.path,
                error.value,
            ) from error


def _unresolvable_sensors(definitions: Inspected) -> Iterable[errors.Problem]:
    known = {one.name for one in jobs_of(definitions)} | {jobs.ASSET_JOB_NAME}
    for sensor in sensors_of(definitions):
        for name in sensor.job_names:
            # A name with a slash means a job of another location, which only the host knows.
            if name not in known and "/" not in name:
                listed = ", ".join(sorted(known - {jobs.ASSET_JOB_NAME})) or "none"
                yield placed(
                    f"The sensor {sensor.name!r} targets the job {name!r}, which the definitions "
                    "do not hold. "
                    f"They hold {listed}.",
                    sensor.source,
                )
        selection = sensor.asset_selection
        if selection is not None:
            yield from _attempt(
                functools.partial(selection.resolve_specs, definitions.resolve_asset_graph().specs),
                sensor.source,
            )


def _attempt(
    resolve: Callable[[], Any], source: sources.SourcePosition | None
) -> Iterable[errors.Problem]:
    try:
        resolve()
    except errors.Error as error:
        yield placed(str(error), source)


def jobs_of(definitions: Inspected) -> list[jobs.UnresolvedAssetJobDefinition]:
    """Return the jobs, those that only a sensor names included."""
    found = [
        one for one in definitions.raw_jobs if isinstance(one, jobs.UnresolvedAssetJobDefinition)
    ]
    for sensor in sensors_of(definitions):
        found += [one for one in sensor.jobs if isinstance(one, jobs.UnresolvedAssetJobDefinition)]
    return list({id(one): one for one in found}.values())


def sensors_of(definitions: Inspected) -> list[sensors.SensorDefinition]:
    found = [one for one in definitions.raw_sensors if isinstance(one, sensors.SensorDefinition)]
    return list({id(one): one for one in found}.values())
