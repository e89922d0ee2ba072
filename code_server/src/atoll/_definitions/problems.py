"""What is wrong with a set of definitions, all of it at once, with file and line.

Called by `Definitions.validate_loadable`, by `atoll check` and when a location is loaded. It finds
what cannot be seen when a single definition is made; the first problem never hides the others.
"""

import collections
import functools
import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from atoll import errors
from atoll._definitions import (
    asset_graph,
    job_config,
    jobs,
    keys,
    run_status_sensors,
    schedules,
    sensors,
    sources,
    specs,
    unresolved_schedules,
)
from atoll._definitions import assets as asset_definitions
from atoll._definitions.nodes import node
from atoll._definitions.resources import definition as resource_definitions
from atoll._definitions.resources import needs

Schedule = (
    schedules.ScheduleDefinition | unresolved_schedules.UnresolvedPartitionedScheduleDefinition
)
Job = jobs.UnresolvedAssetJobDefinition | jobs.JobDefinition
_IO_MANAGER_METHODS = ("handle_output", "load_input")


class Inspected(Protocol):
    """What is looked at: definitions in the raw."""

    @property
    def raw_assets(self) -> Sequence[Any]:
        """What was given as assets."""
        ...

    @property
    def raw_checks(self) -> Sequence[Any]:
        """What was given as checks."""
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
    def loggers(self) -> Mapping[str, Any]:
        """The loggers by name."""
        ...

    @property
    def raw_schedules(self) -> Sequence[Any]:
        """What was given as schedules."""
        ...

    @property
    def all_resources(self) -> Mapping[str, Any]:
        """The resources by key, the default ones included."""
        ...

    def resolve_asset_graph(self) -> asset_graph.AssetGraph:
        """Return the assets."""
        ...

    def resolve_job(self, one: Job) -> jobs.JobDefinition:
        """Return what a job means."""
        ...

    def resolve_schedule(self, one: Schedule) -> schedules.ScheduleDefinition:
        """Return what a schedule is."""
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
        *_repeated_assets(definitions.resolve_asset_graph(), definitions),
        *_repeated_checks(definitions),
        *_repeated_names("job", jobs_of(definitions)),
        *_repeated_names("sensor", sensors_of(definitions)),
        *_repeated_names("schedule", schedules_of(definitions)),
        *_shared_names(definitions),
        *_circle(definitions.resolve_asset_graph()),
        *_missing_resources(definitions),
        *_unresolvable_jobs(definitions),
        *_unresolvable_sensors(definitions),
        *_unresolvable_schedules(definitions),
        *_wrong_conditions(definitions),
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
            "asset_checks",
            definitions.raw_checks,
            (asset_definitions.AssetsDefinition,),
            "functions decorated with @asset_check or @multi_asset_check",
        ),
        (
            "jobs",
            definitions.raw_jobs,
            (jobs.UnresolvedAssetJobDefinition, jobs.JobDefinition),
            "functions decorated with @job, or results of define_asset_job or to_job",
        ),
        (
            "sensors",
            definitions.raw_sensors,
            (sensors.SensorDefinition,),
            "functions decorated with @sensor, @asset_sensor or @multi_asset_sensor",
        ),
        (
            "schedules",
            definitions.raw_schedules,
            _SCHEDULES,
            "functions decorated with @schedule, or ScheduleDefinitions",
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
    for one in definitions.raw_checks:
        if isinstance(one, asset_definitions.AssetsDefinition) and not one.check_specs:
            yield placed(
                f"{one!r} stands among the asset_checks and evaluates no check. Give it among the "
                "assets.",
                one.source,
            )
    for name, made in definitions.loggers.items():
        # Known by what it can, since loggers would bring `logging` along.
        if not hasattr(made, "logger_fn"):
            yield placed(
                f"{made!r} of type {type(made).__name__} stands among the loggers, as {name!r}. "
                "Give functions decorated with @logger.",
                None,
            )


def _repeated_assets(
    graph: asset_graph.AssetGraph, definitions: Inspected
) -> Iterable[errors.Problem]:
    makers: dict[keys.AssetKey, list[sources.SourcePosition | None]] = collections.defaultdict(list)
    op_names: dict[str, set[keys.AssetKey]] = collections.defaultdict(set)
    executable, external, _ = asset_definitions.executable_and_external(_given(definitions))
    names: dict[str, set[int]] = collections.defaultdict(set)
    for one in executable:
        names[one.op_name].add(id(one))
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
        if len(named) > 1 and len(names[op_name]) > 1:
            named_last = graph.get(max(named))
            yield placed(
                f"The assets {keys.in_words(named)} share the op name {op_name!r}, so that run "
                "configuration cannot "
                "tell them apart. Rename one.",
                named_last.source if named_last is not None else None,
            )


def _given(definitions: Inspected) -> Iterable[Any]:
    """Return what was given as assets and checks, each once."""
    given = (*definitions.raw_assets, *definitions.raw_checks)
    return {id(item): item for item in given}.values()


def _repeated_checks(definitions: Inspected) -> Iterable[errors.Problem]:
    makers: dict[keys.AssetCheckKey, list[sources.SourcePosition | None]] = collections.defaultdict(
        list
    )
    executable, _, _ = asset_definitions.executable_and_external(_given(definitions))
    for one in executable:
        for check in one.check_specs:
            makers[check.key].append(one.source)
    for key, places in makers.items():
        if len(places) > 1:
            yield placed(
                f"The check {key.to_user_string()!r} is defined {len(places)} times. Rename all "
                "but one.",
                places[-1],
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


def _shared_names(definitions: Inspected) -> Iterable[errors.Problem]:
    """Find schedules that are called like a sensor: people start and stop both by name."""
    taken = {one.name for one in sensors_of(definitions)}
    for name, one in {one.name: one for one in schedules_of(definitions)}.items():
        if name in taken:
            yield placed(
                f"A sensor and a schedule have the name {name!r}. Rename one of them.", one.source
            )


def _circle(graph: asset_graph.AssetGraph) -> Iterable[errors.Problem]:
    _, circle = asset_graph.sorted_or_circle(graph.every_def)
    if circle:
        yield placed(asset_graph.circle_in_words(circle), circle[0].source)


def _missing_resources(definitions: Inspected) -> Iterable[errors.Problem]:
    resources = definitions.all_resources
    for one in definitions.resolve_asset_graph().every_def:
        own = {**resources, **one.resource_defs}
        what = "check" if not one.every_spec else "asset"
        yield from _missing(f"The {what} {one.op_name!r}", one.required_resource_keys, own, one)
        yield from _wrong_io_managers(one, own)
    for job in jobs_of(definitions):
        if isinstance(job, jobs.JobDefinition):
            own = {**resources, **job.resource_defs}
            yield from _missing(f"The job {job.name!r}", job.required_resource_keys, own, job)
    yield from _missing_in_ticks("sensor", sensors_of(definitions), resources)
    given = [
        one for one in schedules_of(definitions) if isinstance(one, schedules.ScheduleDefinition)
    ]
    yield from _missing_in_ticks("schedule", given, resources)
    for words in needs.problems_of(definitions.all_resources):
        yield errors.Problem(words)


def _missing_in_ticks(
    kind: str,
    ones: Iterable[sensors.SensorDefinition | schedules.ScheduleDefinition],
    resources: Mapping[str, Any],
) -> Iterable[errors.Problem]:
    for one in ones:
        whose = f"The {kind} {one.name!r}"
        unknown = ", ".join(one.unknown_parameters(resources))
        if unknown:
            yield placed(
                f"{whose} takes too much: {unknown}. Take the parameter of its function away, or "
                "provide a resource of that name with Definitions(resources={...}).",
                one.source,
            )
        yield from _missing(whose, one.required_resource_keys, resources, one)


def _missing(
    whose: str, needed: Iterable[str], there: Mapping[str, Any], placed_at: Any
) -> Iterable[errors.Problem]:
    for key in sorted(set(needed) - set(there)):
        yield placed(
            f"{whose} needs the resource {key!r}, which nobody provides. "
            f"Give Definitions(resources={{{key!r}: ...}}); "
            f"there are {', '.join(sorted(there))}.",
            placed_at.source,
        )


def _wrong_io_managers(
    one: asset_definitions.AssetsDefinition, there: Mapping[str, Any]
) -> Iterable[errors.Problem]:
    keys_used = {
        output.io_manager_key
        for inner in node.ops_in(one.node_def)
        for output in inner.output_definitions
    }
    for key in sorted(keys_used):
        manager = there.get(key)
        if manager is not None and not _is_io_manager(manager):
            yield placed(
                f"The resource {key!r} is used as an IO manager, but "
                f"{type(manager).__name__} has no handle_output and load_input. Give a "
                "subclass of IOManager.",
                one.source,
            )


def _is_io_manager(resource: Any) -> bool:
    # What a definition makes is known only once it is made.
    if isinstance(resource, resource_definitions.ResourceDefinition):
        return True
    if callable(getattr(resource, "get_resource_definition", None)):
        return True
    return all(callable(getattr(resource, method, None)) for method in _IO_MANAGER_METHODS)


def _unresolvable_jobs(definitions: Inspected) -> Iterable[errors.Problem]:
    for unresolved in jobs_of(definitions):
        yield from _attempt(functools.partial(_resolve, definitions, unresolved), unresolved.source)


def _resolve(definitions: Inspected, one: Job) -> None:
    job = definitions.resolve_job(one)
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
        if isinstance(sensor, run_status_sensors.RunStatusSensorDefinition):
            yield from _unknown_monitored_jobs(sensor, known)
        selection = sensor.asset_selection
        if selection is not None:
            yield from _attempt(
                functools.partial(selection.resolve, definitions.resolve_asset_graph().selectable),
                sensor.source,
            )


def _unknown_monitored_jobs(
    sensor: run_status_sensors.RunStatusSensorDefinition, known: Collection[str]
) -> Iterable[errors.Problem]:
    for one in sensor.monitored_jobs:
        if not one.location_name and one.job_name not in known:
            yield placed(
                f"The sensor {sensor.name!r} watches the job {one.job_name!r}, which the "
                "definitions do not hold. Add it to the jobs.",
                sensor.source,
            )


def _unresolvable_schedules(definitions: Inspected) -> Iterable[errors.Problem]:
    known = {one.name for one in jobs_of(definitions)} | {jobs.ASSET_JOB_NAME}
    for schedule in schedules_of(definitions):
        # A name with a slash means a job of another location, which only the host knows.
        if schedule.job_name not in known and "/" not in schedule.job_name:
            listed = ", ".join(sorted(known - {jobs.ASSET_JOB_NAME})) or "none"
            yield placed(
                f"The schedule {schedule.name!r} targets the job {schedule.job_name!r}, which the "
                f"definitions do not hold. They hold {listed}.",
                schedule.source,
            )
        yield from _attempt(
            functools.partial(definitions.resolve_schedule, schedule), schedule.source
        )


def _wrong_conditions(definitions: Inspected) -> Iterable[errors.Problem]:
    """Find automation conditions that cannot be. Without one, what knows them is not loaded."""
    graph = definitions.resolve_asset_graph()
    given = [*graph.specs.values(), *graph.check_specs.values(), *jobs_of(definitions)]
    automation = sensors.SensorType.AUTOMATION
    if any(one.automation_condition is not None for one in given) or any(
        sensor.sensor_type is automation for sensor in sensors_of(definitions)
    ):
        module = importlib.import_module("atoll._definitions.condition_problems")
        for message, source in module.find(graph, jobs_of(definitions), sensors_of(definitions)):
            yield placed(message, source)


def _attempt(
    resolve: Callable[[], Any], source: sources.SourcePosition | None
) -> Iterable[errors.Problem]:
    try:
        resolve()
    except errors.Error as error:
        yield placed(str(error), source)


def jobs_of(definitions: Inspected) -> list[Job]:
    """Return the jobs, those included that only a sensor or a schedule names."""
    given = [*definitions.raw_jobs]
    for sensor in sensors_of(definitions):
        given += sensor.jobs
    for schedule in schedules_of(definitions):
        given += schedule.jobs
    found: list[Job] = [one for one in given if isinstance(one, _JOBS)]
    return list({id(one): one for one in found}.values())


_JOBS = (jobs.UnresolvedAssetJobDefinition, jobs.JobDefinition)
_SCHEDULES = (
    schedules.ScheduleDefinition,
    unresolved_schedules.UnresolvedPartitionedScheduleDefinition,
)


def sensors_of(definitions: Inspected) -> list[sensors.SensorDefinition]:
    found = [one for one in definitions.raw_sensors if isinstance(one, sensors.SensorDefinition)]
    return list({id(one): one for one in found}.values())


def schedules_of(definitions: Inspected) -> list[Schedule]:
    found = [one for one in definitions.raw_schedules if isinstance(one, _SCHEDULES)]
    return list({id(one): one for one in found}.values())
