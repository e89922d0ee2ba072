"""Checks a requested run against what its location defines, and makes the run to queue. Pure.

Called for launches by people and programs (`launch`), and by `automation.sensors.deciding` for what
sensors ask for (`for_sensor`). A run that passes can be handed to its location; whatever is wrong
is said before anything is stored.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.locations import definitions, partitioned
from atoll_host.runs import config_schemas, partitions, run_pools, run_tags, selections
from atoll_storage import records

SENSOR_NAME_TAG = "atoll/sensor_name"
TICK_TAG = "atoll/tick"
RUN_KEY_TAG = "atoll/run_key"
PARTITION_TAG = "atoll/partition"
PARTITION_RANGE_START_TAG = "atoll/asset_partition_range_start"
PARTITION_RANGE_END_TAG = "atoll/asset_partition_range_end"
PARENT_RUN_TAG = "atoll/parent_run_id"
ROOT_RUN_TAG = "atoll/root_run_id"
RESUME_TAG = "atoll/is_resume_retry"

AssetPath = tuple[str, ...]
CheckKey = tuple[AssetPath, str]


@dataclasses.dataclass(frozen=True, slots=True)
class RequestedRun:
    """A run as somebody asks for it. Empty fields mean what the messages of the contracts say."""

    job_name: str = ""
    run_config: values_pb2.UserData | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    asset_selection: tuple[AssetPath, ...] = ()
    partition_key: str = ""
    run_key: str = ""
    request_id: str = ""
    target: records.RunTarget = records.WHOLE_JOB


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a run would take place.

    Attributes:
        location_name: The location.
        definitions: What it defines.
        owner_of: Returns the location that owns an executable asset, empty for none.
        check_owner_of: Returns the location that evaluates a check, empty for none.
        dynamic: What is known of the keys of dynamic partitions.
    """

    location_name: str
    definitions: definitions.Definitions
    owner_of: Callable[[AssetPath], str]
    check_owner_of: Callable[[CheckKey], str] = lambda _: ""
    dynamic: partitions.DynamicKeys = partitions.NO_DYNAMIC


@dataclasses.dataclass(frozen=True, slots=True)
class SensorOrigin:
    """The evaluation that asks for a run.

    Attributes:
        dynamic_partitions: The changes of dynamic partitions that the same evaluation asks for:
            they are made before its runs are, so a run may be for a partition that they add.
    """

    sensor: snapshot_pb2.SensorDefinition
    tick_id: str
    build_id: str
    dynamic_partitions: Sequence[records.DynamicPartitionsChange] = ()


def of_launch(message: runs_pb2.LaunchRunRequest) -> RequestedRun:
    """Return what a launch asks for."""
    return RequestedRun(
        job_name=message.job_name,
        run_config=message.run_config if message.HasField("run_config") else None,
        tags=dict(message.tags),
        asset_selection=_paths(message.asset_selection),
        partition_key=message.partition_key,
        request_id=message.request_id,
        target=records.RunTarget(
            partition_range_start=message.partition_range_start,
            partition_range_end=message.partition_range_end,
            op_selection=tuple(message.op_selection),
            asset_check_selection=_check_keys(message.asset_check_selection),
            step_keys=tuple(message.step_keys),
            parent_run_id=message.parent_run_id,
            root_run_id=message.root_run_id,
        ),
    )


def of_run_request(message: location_pb2.RunRequest) -> RequestedRun:
    """Return what a sensor's run request asks for."""
    return RequestedRun(
        job_name=message.job_name,
        run_config=message.run_config if message.HasField("run_config") else None,
        tags=dict(message.tags),
        asset_selection=_paths(message.asset_selection),
        partition_key=message.partition_key,
        run_key=message.run_key,
        target=records.RunTarget(asset_check_selection=_check_keys(message.asset_check_keys)),
    )


def partition_texts(requested: RequestedRun) -> tuple[str, str, str]:
    """Return the partition keys that a request names, empty where it names none."""
    target = requested.target
    return requested.partition_key, target.partition_range_start, target.partition_range_end


def find_location(
    requested: RequestedRun,
    locations: Mapping[str, definitions.Definitions],
    owner_of: Callable[[AssetPath], str],
    check_owner_of: Callable[[CheckKey], str] = lambda _: "",
) -> str:
    """Return the location of a run for which none was given.

    Raises:
        errors.InvalidRequest: It is not clear, or neither a job nor assets were given.
        errors.UnknownJob: No location has the job.
        errors.UnknownAsset: No location can materialize an asset.
        errors.UnknownCheck: No location can evaluate a check.
    """
    if requested.job_name:
        return location_of_job(requested.job_name, locations)
    checks = requested.target.asset_check_selection
    if not requested.asset_selection and not checks:
        raise errors.InvalidRequest(
            "The launch names neither a job nor assets. Give one of them.", field="job_name"
        )
    owners = {path: owner_of(path) for path in requested.asset_selection}
    for path, owner in owners.items():
        if not owner:
            raise errors.UnknownAsset(
                f"No location can materialize asset {_name(path)!r}. List the assets; an external "
                "one has no code to "
                "run.",
                asset_key=_name(path),
            )
    evaluators = {key: check_owner_of(key) for key in checks}
    for (path, name), owner in evaluators.items():
        if not owner:
            raise errors.UnknownCheck(
                f"No location can evaluate check {name!r} of {_name(path)!r}. List the checks.",
                asset_key=_name(path),
                check_name=name,
            )
    names = sorted({*owners.values(), *evaluators.values()})
    if len(names) > 1:
        raise errors.InvalidRequest(
            "The selected assets and checks belong to the locations "
            f"{', '.join(map(repr, names))}; a run never spans locations. Launch one run for each.",
            field="asset_selection",
        )
    return names[0]


def launch(place: Place, requested: RequestedRun, run_id: str) -> records.NewRun:
    """Check a launch and return the run.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
        errors.UnknownJob: The location has no such job.
        errors.UnknownAsset: The job, or the location, cannot materialize an asset.
        errors.UnknownCheck: The job, or the location, cannot evaluate a check.
        errors.PolicyForbids: It asks for what belongs to another location.
    """
    if requested.job_name:
        job = _job(place, requested.job_name)
    elif requested.asset_selection or requested.target.asset_check_selection:
        job = _implicit_job(place)
    else:
        raise errors.InvalidRequest(
            f"The launch in location {place.location_name!r} names neither a job nor assets. Give "
            "one of them.",
            field="job_name",
        )
    return _checked(place, job, requested, run_id)


def for_sensor(
    place: Place, requested: RequestedRun, origin: SensorOrigin, run_id: str
) -> records.NewRun:
    """Check what a sensor asks for and return the run.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
        errors.UnknownJob: The location has no such job, or the sensor does not target it.
        errors.UnknownAsset: The job, or the location, cannot materialize an asset.
        errors.UnknownCheck: The job, or the location, cannot evaluate a check.
        errors.PolicyForbids: It asks for what belongs to another location.
    """
    place = dataclasses.replace(place, dynamic=place.dynamic.after(origin.dynamic_partitions))
    job, selection = _target(place, requested, origin.sensor)
    run = _checked(place, job, dataclasses.replace(requested, asset_selection=selection), run_id)
    system_tags = {SENSOR_NAME_TAG: origin.sensor.name, TICK_TAG: origin.tick_id}
    if requested.run_key:
        system_tags[RUN_KEY_TAG] = requested.run_key
    return dataclasses.replace(
        run,
        tags={**run.tags, **system_tags},
        requested_build_id=origin.build_id,
        sensor_name=origin.sensor.name,
        tick_id=origin.tick_id,
        run_key=requested.run_key,
    )


def location_of_job(job_name: str, locations: Mapping[str, definitions.Definitions]) -> str:
    """Return the location that has a job.

    Raises:
        errors.InvalidRequest: Several have.
        errors.UnknownJob: None has.
    """
    names = sorted(name for name, known in locations.items() if job_name in known.jobs)
    if not names:
        raise errors.UnknownJob(
            f"No location has a job {job_name!r}. List the locations and their jobs.",
            job_name=job_name,
        )
    if len(names) > 1:
        raise errors.InvalidRequest(
            f"The locations {', '.join(map(repr, names))} each have a job {job_name!r}. Say which "
            "is meant.",
            field="location_name",
        )
    return names[0]


def _target(
    place: Place, requested: RequestedRun, sensor: snapshot_pb2.SensorDefinition
) -> tuple[snapshot_pb2.JobDefinition, tuple[AssetPath, ...]]:
    """Return the job and the assets that a run request of a sensor means."""
    implicit = place.definitions.implicit_job
    if implicit is not None and requested.job_name == implicit.name and not sensor.job_names:
        requested = dataclasses.replace(requested, job_name="")
    checks = requested.target.asset_check_selection
    if checks and not requested.asset_selection and not requested.job_name and not sensor.job_names:
        # Which checks a sensor may ask for is not written down: those of its location.
        return _implicit_job(place), ()
    if requested.job_name:
        job = _job(place, requested.job_name)
        if job.name not in sensor.job_names:
            targets = ", ".join(map(repr, sensor.job_names)) or "no job"
            raise errors.UnknownJob(
                f"Job {job.name!r} is no target of sensor {sensor.name!r}, which targets "
                f"{targets}. Add the job to "
                "the sensor's targets.",
                job_name=job.name,
                location_name=place.location_name,
            )
        return job, requested.asset_selection
    if len(sensor.job_names) == 1:
        return _job(place, sensor.job_names[0]), requested.asset_selection
    if sensor.job_names:
        raise errors.InvalidRequest(
            f"The run request names no job, and sensor {sensor.name!r} targets several: "
            f"{', '.join(map(repr, sensor.job_names))}. Give job_name.",
            field="job_name",
        )
    return _implicit_job(place), _sensor_selection(requested, sensor)


def _sensor_selection(
    requested: RequestedRun, sensor: snapshot_pb2.SensorDefinition
) -> tuple[AssetPath, ...]:
    allowed = _paths(sensor.asset_selection)
    if not allowed:
        raise errors.InvalidRequest(
            f"The run request names no job, and sensor {sensor.name!r} targets neither jobs nor "
            "assets. Give the "
            "sensor a target.",
            field="job_name",
        )
    for path in requested.asset_selection:
        if path not in allowed:
            raise errors.UnknownAsset(
                f"Asset {_name(path)!r} is no target of sensor {sensor.name!r}. Add it to the "
                "sensor's targets.",
                asset_key=_name(path),
            )
    return requested.asset_selection or allowed


def _job(place: Place, job_name: str) -> snapshot_pb2.JobDefinition:
    job = place.definitions.jobs.get(job_name)
    if job is not None:
        return job
    if "/" in job_name:
        raise errors.PolicyForbids(
            f"Job {job_name!r} names a job of another location, which is not allowed by the host's "
            "policy. Launch a "
            f"job of location {place.location_name!r}."
        )
    raise errors.UnknownJob(
        f"Location {place.location_name!r} has no job {job_name!r}; it has "
        f"{selections.some(place.definitions.jobs)}.",
        job_name=job_name,
        location_name=place.location_name,
    )


def _implicit_job(place: Place) -> snapshot_pb2.JobDefinition:
    job = place.definitions.implicit_job
    if job is None:
        raise errors.UnknownJob(
            f"Location {place.location_name!r} has no executable assets, so there is nothing to "
            "materialize in it. "
            "Name a job.",
            job_name="",
            location_name=place.location_name,
        )
    return job


def _checked(
    place: Place, job: snapshot_pb2.JobDefinition, requested: RequestedRun, run_id: str
) -> records.NewRun:
    selection = tuple(dict.fromkeys(requested.asset_selection))
    run_tags.check_text("run_key", requested.run_key)
    run_tags.check_text("partition_key", requested.partition_key)
    _check_target(requested)
    _check_assets(place, job, selection, requested.target.asset_check_selection)
    _check_selections(place, job, requested.target)
    _check_config(place, job, requested, selection)
    tags = {
        **job.run_tags,
        **requested.tags,
        **_tags_of(requested),
        **_check_partitions(place, job, requested, selection),
    }
    run_tags.check(tags)
    config = requested.run_config
    return records.NewRun(
        run_id=run_id,
        location_name=place.location_name,
        job_name=job.name,
        tags=tags,
        run_config=None if config is None else config.data,
        asset_selection=selection,
        partition_key=requested.partition_key,
        request_id=requested.request_id,
        target=requested.target,
        pools=run_pools.pools_of(
            place.definitions, job, selection, requested.target.asset_check_selection
        ),
    )


def _check_target(requested: RequestedRun) -> None:
    """Refuse what can be told to be wrong without looking at the job."""
    target = requested.target
    for field in ("partition_range_start", "partition_range_end", "parent_run_id", "root_run_id"):
        run_tags.check_text(field, getattr(target, field))
    names = (*target.op_selection, *target.step_keys)
    for name in (*names, *(check for _, check in target.asset_check_selection)):
        run_tags.check_text("op_selection, step_keys or asset_check_selection", name)
    start, end = target.partition_range_start, target.partition_range_end
    if bool(start) != bool(end):
        raise errors.InvalidRequest(
            f"The range of partitions begins with {start!r} and ends with {end!r}. Give both.",
            field="partition_range_end" if start else "partition_range_start",
        )
    if start and requested.partition_key:
        raise errors.InvalidRequest(
            f"The run is asked for partition {requested.partition_key!r} and for the range from "
            f"{start!r} to {end!r}. Give one or the other.",
            field="partition_key",
        )


def _tags_of(requested: RequestedRun) -> dict[str, str]:
    """Return the tags by which the fields of a run are found."""
    target = requested.target
    tags = {
        PARTITION_TAG: requested.partition_key,
        PARTITION_RANGE_START_TAG: target.partition_range_start,
        PARTITION_RANGE_END_TAG: target.partition_range_end,
        PARENT_RUN_TAG: target.parent_run_id,
        ROOT_RUN_TAG: target.root_run_id,
    }
    return {key: value for key, value in tags.items() if value}


def _check_selections(
    place: Place, job: snapshot_pb2.JobDefinition, target: records.RunTarget
) -> None:
    selections.check_checks(
        place.location_name,
        place.definitions,
        job,
        target.asset_check_selection,
        place.check_owner_of,
    )
    selections.check_ops(place.definitions, job, target.op_selection)
    selections.check_steps(place.definitions, job, target.step_keys)
    if target.step_keys and not target.parent_run_id:
        raise errors.InvalidRequest(
            f"The run is asked for the steps {', '.join(map(repr, target.step_keys))} alone, and "
            "for no earlier run that has what they need. Give parent_run_id.",
            field="parent_run_id",
        )


def _check_partitions(
    place: Place,
    job: snapshot_pb2.JobDefinition,
    requested: RequestedRun,
    selection: tuple[AssetPath, ...],
) -> dict[str, str]:
    """Refuse partitions that there are not; return the tags of those that there are."""
    wanted = partitions.Wanted(*partition_texts(requested))
    if not wanted.key and not wanted.start:
        return {}
    known = place.definitions.partitions
    whole = known.of_job(job.name)
    checks = requested.target.asset_check_selection
    everything = not selection and not checks
    if whole is not None and everything:
        found = [whole]
    else:
        paths = _paths(job.asset_keys) if everything else selection
        mentioned = _check_keys(job.check_keys) if everything else checks
        all_of_them: list[partitioned.PartitionsDefinition | None] = [
            *(known.of_asset(path) for path in paths),
            *(known.of_check(key) or known.of_asset(key[0]) for key in mentioned),
        ]
        found = list({id(one): one for one in all_of_them if one is not None}.values())
        if not found and whole is not None:
            found = [whole]
    whose = f"Job {job.name!r}"
    if selection:
        whose = f"Asset {_name(selection[0])!r}"
        whose += f" and {len(selection) - 1} more" if len(selection) > 1 else ""
    elif checks:
        whose = f"Check {checks[0][1]!r} of {_name(checks[0][0])!r}"
    return partitions.check(whose, found, wanted, place.dynamic)


def _check_assets(
    place: Place,
    job: snapshot_pb2.JobDefinition,
    selection: tuple[AssetPath, ...],
    checks: tuple[CheckKey, ...],
) -> None:
    # The job that holds all assets of a location may hold tens of thousands.
    of_job = () if job.implicit and (selection or checks) else _paths(job.asset_keys)
    executable = place.definitions.executable if job.implicit else frozenset(of_job)
    for path in selection:
        if path not in executable:
            what = "Location" if job.implicit else "Job"
            name = place.location_name if job.implicit else job.name
            raise errors.UnknownAsset(
                f"{what} {name!r} cannot materialize asset {_name(path)!r}; it has "
                f"{selections.some(map(_name, executable))}.",
                asset_key=_name(path),
                location_name=place.location_name,
            )
    for path in selection or (() if checks else of_job):
        owner = place.owner_of(path)
        if owner and owner != place.location_name:
            raise errors.PolicyForbids(
                f"Asset {_name(path)!r} is materialized by location {owner!r}; location "
                f"{place.location_name!r} "
                "claims it too but does not own it. Launch the run there, or make the asset "
                "external here."
            )


def _check_config(
    place: Place,
    job: snapshot_pb2.JobDefinition,
    requested: RequestedRun,
    selection: tuple[AssetPath, ...],
) -> None:
    config = requested.run_config
    if config is None:
        if job.HasField("default_config"):
            return  # the location accepted its own default when it loaded
        if job.partitioned_config and requested.partition_key:
            return  # the location makes it of the partition
        parsed = {}
    else:
        if config.content_type != config_schemas.CONTENT_TYPE:
            raise errors.InvalidRunConfig(
                f"The run config for job {job.name!r} has the content type "
                f"{config.content_type!r}. Give "
                f"{config_schemas.CONTENT_TYPE!r}.",
                job_name=job.name,
                path="",
            )
        parsed = config_schemas.parse(config.data, job.name)
    config_schemas.check(job, parsed, _running(place, job, requested.target, selection))


def _running(
    place: Place,
    job: snapshot_pb2.JobDefinition,
    target: records.RunTarget,
    selection: tuple[AssetPath, ...],
) -> config_schemas.Running | None:
    """Return what of a job will run, as far as the host can tell; None for all of it."""
    defined = place.definitions
    checks = target.asset_check_selection
    if target.op_selection or target.step_keys:
        # Which ops run is told by the graph of the location: it asks for what they need.
        return config_schemas.Running(frozenset(), frozenset())
    if not selection and not checks:
        return None
    ops = {defined.assets[path].op_name for path in selection}
    ops |= {defined.checks[key].op_name for key in checks}
    if not checks:
        # The checks of selected assets are evaluated along with them.
        ops |= {
            defined.checks[path, name].op_name
            for path in selection
            for name in defined.checks_of.get(path, ())
        }
    # Which resources these need is told by the code; nothing is asked for that others may need.
    return config_schemas.Running(frozenset(ops), frozenset())


def _check_keys(keys: Iterable[values_pb2.AssetCheckKey]) -> tuple[CheckKey, ...]:
    return tuple((tuple(key.asset_key.path), key.name) for key in keys)


def _paths(keys: Iterable[values_pb2.AssetKey]) -> tuple[AssetPath, ...]:
    return tuple(tuple(key.path) for key in keys)


def _name(path: AssetPath) -> str:
    return "/".join(path)
