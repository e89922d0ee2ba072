"""Checks a requested run against what its location defines, and makes the run to queue. Pure.

Called for launches by people and programs (`launch`), and by `automation.deciding` for what sensors
ask for (`for_sensor`). A run that passes can be handed to its location; whatever is wrong is said
before anything is stored.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.runs import config_schemas
from atoll_storage import records

SENSOR_NAME_TAG = "atoll/sensor_name"
TICK_TAG = "atoll/tick"
RUN_KEY_TAG = "atoll/run_key"
PARTITION_TAG = "atoll/partition"

TAGS_MAX = 1000
TAG_KEY_LENGTH_MAX = 256
TAG_VALUE_LENGTH_MAX = 65_536

AssetPath = tuple[str, ...]


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


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a run would take place.

    Attributes:
        location_name: The location.
        definitions: What it defines.
        owner_of: Returns the location that owns an executable asset, empty for none.
    """

    location_name: str
    definitions: definitions.Definitions
    owner_of: Callable[[AssetPath], str]


@dataclasses.dataclass(frozen=True, slots=True)
class SensorOrigin:
    """The evaluation that asks for a run."""

    sensor: snapshot_pb2.SensorDefinition
    tick_id: str
    build_id: str


def of_launch(message: runs_pb2.LaunchRunRequest) -> RequestedRun:
    """Return what a launch asks for."""
    return RequestedRun(
        job_name=message.job_name,
        run_config=message.run_config if message.HasField("run_config") else None,
        tags=dict(message.tags),
        asset_selection=_paths(message.asset_selection),
        request_id=message.request_id,
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
    )


def find_location(
    requested: RequestedRun,
    locations: Mapping[str, definitions.Definitions],
    owner_of: Callable[[AssetPath], str],
) -> str:
    """Return the location of a run for which none was given.

    Raises:
        errors.InvalidRequest: It is not clear, or neither a job nor assets were given.
        errors.UnknownJob: No location has the job.
        errors.UnknownAsset: No location can materialize an asset.
    """
    if requested.job_name:
        return _location_of_job(requested.job_name, locations)
    if not requested.asset_selection:
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
    names = sorted(set(owners.values()))
    if len(names) > 1:
        raise errors.InvalidRequest(
            f"The selected assets belong to the locations {', '.join(map(repr, names))}; a run "
            "never spans locations. "
            "Launch one run for each.",
            field="asset_selection",
        )
    return names[0]


def launch(place: Place, requested: RequestedRun, run_id: str) -> records.NewRun:
    """Check a launch and return the run.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
        errors.UnknownJob: The location has no such job.
        errors.UnknownAsset: The job, or the location, cannot materialize an asset.
        errors.PolicyForbids: It asks for what belongs to another location.
    """
    if requested.job_name:
        job = _job(place, requested.job_name)
    elif requested.asset_selection:
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
        errors.PolicyForbids: It asks for what belongs to another location.
    """
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


def _location_of_job(job_name: str, locations: Mapping[str, definitions.Definitions]) -> str:
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
        f"{_some(place.definitions.jobs)}.",
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
    _check_assets(place, job, selection)
    _check_config(place, job, requested.run_config, selection)
    _check_text("run_key", requested.run_key)
    _check_text("partition_key", requested.partition_key)
    tags = {**job.run_tags, **_checked_tags(requested.tags)}
    if requested.partition_key:
        tags[PARTITION_TAG] = requested.partition_key
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
    )


def _check_assets(
    place: Place, job: snapshot_pb2.JobDefinition, selection: tuple[AssetPath, ...]
) -> None:
    of_job = _paths(job.asset_keys)
    executable = place.definitions.executable if job.implicit else frozenset(of_job)
    for path in selection:
        if path not in executable:
            what = "Location" if job.implicit else "Job"
            name = place.location_name if job.implicit else job.name
            raise errors.UnknownAsset(
                f"{what} {name!r} cannot materialize asset {_name(path)!r}; it has "
                f"{_some(map(_name, executable))}.",
                asset_key=_name(path),
                location_name=place.location_name,
            )
    for path in selection or of_job:
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
    config: values_pb2.UserData | None,
    selection: tuple[AssetPath, ...],
) -> None:
    if config is None:
        if job.HasField("default_config"):
            return  # the location accepted its own default when it loaded
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
    assets = place.definitions.assets
    ops = frozenset(assets[path].op_name for path in selection) if selection else None
    config_schemas.check(job, parsed, ops)


def _checked_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    if len(tags) > TAGS_MAX:
        raise errors.InvalidRequest(
            f"The run has {len(tags)} tags; {TAGS_MAX} is the most.", field="tags"
        )
    for key, value in tags.items():
        _check_text("tags", key)
        _check_text("tags", value)
        if not 1 <= len(key) <= TAG_KEY_LENGTH_MAX:
            raise errors.InvalidRequest(
                f"The tag {key[:40]!r} has a key of {len(key)} characters; 1 to "
                f"{TAG_KEY_LENGTH_MAX} are allowed.",
                field="tags",
            )
        if len(value) > TAG_VALUE_LENGTH_MAX:
            raise errors.InvalidRequest(
                f"The value of tag {key!r} has {len(value)} characters; {TAG_VALUE_LENGTH_MAX} is "
                "the most.",
                field="tags",
            )
    return tags


def _check_text(field: str, text: str) -> None:
    # Postgres stores no NUL in text; better said here than by a commit that can never succeed.
    if "\x00" in text:
        raise errors.InvalidRequest(
            f"{field} holds a NUL character: {text[:40]!r}. Leave it out.", field=field
        )


def _paths(keys: Iterable[values_pb2.AssetKey]) -> tuple[AssetPath, ...]:
    return tuple(tuple(key.path) for key in keys)


def _name(path: AssetPath) -> str:
    return "/".join(path)


def _some(names: Iterable[str], at_most: int = 10) -> str:
    """Return the first few names as text, for messages."""
    ordered = sorted(names)
    shown = ", ".join(map(repr, itertools.islice(ordered, at_most)))
    more = len(ordered) - at_most
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"
