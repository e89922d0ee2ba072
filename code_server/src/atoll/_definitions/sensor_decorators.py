"""The decorators that make sensors of functions.

Called by users.
"""

from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

from atoll import errors
from atoll._definitions import asset_selection, keys, sensors, specs, start_positions
from atoll._definitions import metadata as metadata_values

Decorator = Callable[[sensors.SensorFunction], Any]


def sensor(
    job_name: str | None = None,
    *,
    name: str | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    job: sensors.JobTarget | None = None,
    jobs: Sequence[sensors.JobTarget | str] | None = None,
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    asset_selection: asset_selection.CoercibleToAssetSelection | None = None,
    required_resource_keys: set[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    target: sensors.SensorTarget | None = None,
    owners: Sequence[str] | None = None,
) -> Callable[[sensors.SensorFunction], sensors.SensorDefinition]:
    """Make a sensor that is due by the clock.

    Args:
        job_name: The name of the job that the sensor asks for.
        name: The name of the sensor; the function's where not given.
        minimum_interval_seconds: The least time between two evaluations; 30 where not given.
        description: What the sensor is for; the function's docstring where not given.
        job: The job that the sensor asks for.
        jobs: The jobs that the sensor may ask for; one of another location as "location/job".
        default_status: Whether it is evaluated until somebody starts or stops it.
        asset_selection: The assets that the sensor may ask for directly.
        required_resource_keys: The resources that the function takes from `context.resources`.
        tags: Labels.
        metadata: What to attach to the definition.
        target: The job, the jobs or the assets that the sensor may ask for.
        owners: Who answers for the sensor.

    Returns:
        A decorator that makes the sensor.
    """
    _refuse_function("@sensor()", job_name)

    def decorate(function: sensors.SensorFunction) -> sensors.SensorDefinition:
        return sensors.SensorDefinition(
            name,
            evaluation_fn=function,
            job_name=job_name,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            asset_selection=asset_selection,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
            target=target,
            owners=owners,
        )

    return decorate


def asset_sensor(
    asset_key: keys.CoercibleToAssetKey | specs.HasKey,
    *,
    job_name: str | None = None,
    name: str | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    job: sensors.JobTarget | None = None,
    jobs: Sequence[sensors.JobTarget | str] | None = None,
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    required_resource_keys: set[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    coalesce: bool = False,
    start_at: start_positions.StartAt | None = None,
) -> Callable[[sensors.SensorFunction], sensors.AssetSensorDefinition]:
    """Make a sensor that sees each materialization of an asset, in order, exactly once.

    Args:
        asset_key: The asset that it watches, of this location or another.
        job_name: The name of the job that the sensor asks for.
        name: The name of the sensor; the function's where not given.
        minimum_interval_seconds: The least time between two evaluations; nothing limits it where
            not given.
        description: What the sensor is for; the function's docstring where not given.
        job: The job that the sensor asks for.
        jobs: The jobs that the sensor may ask for; one of another location as "location/job".
        default_status: Whether it is evaluated until somebody starts or stops it.
        required_resource_keys: The resources that the function takes from `context.resources`.
        tags: Labels.
        metadata: What to attach to the definition.
        coalesce: Whether it sees only the newest of several waiting materializations.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.

    Returns:
        A decorator that makes the sensor. The function takes any of context, event and resources.
    """
    _refuse_function("@asset_sensor(asset_key=..., job=...)", asset_key)
    watched = asset_key.single_key() if isinstance(asset_key, specs.HasKey) else asset_key

    def decorate(function: sensors.SensorFunction) -> sensors.AssetSensorDefinition:
        return sensors.AssetSensorDefinition(
            name,
            watched,
            job_name,
            function,
            coalesce=coalesce,
            start_at=start_at,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
        )

    return decorate


def multi_asset_sensor(
    monitored_assets: Sequence[keys.CoercibleToAssetKey],
    *,
    job_name: str | None = None,
    name: str | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    job: sensors.JobTarget | None = None,
    jobs: Sequence[sensors.JobTarget | str] | None = None,
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    request_assets: asset_selection.CoercibleToAssetSelection | None = None,
    required_resource_keys: set[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    start_at: start_positions.StartAt | None = None,
) -> Callable[[sensors.SensorFunction], sensors.MultiAssetSensorDefinition]:
    """Make a sensor that is due when any of several assets was materialized.

    Args:
        monitored_assets: The assets that it watches, of this location or others.
        job_name: The name of the job that the sensor asks for.
        name: The name of the sensor; the function's where not given.
        minimum_interval_seconds: The least time between two evaluations; nothing limits it where
            not given.
        description: What the sensor is for; the function's docstring where not given.
        job: The job that the sensor asks for.
        jobs: The jobs that the sensor may ask for; one of another location as "location/job".
        default_status: Whether it is evaluated until somebody starts or stops it.
        request_assets: The assets that the sensor may ask for directly.
        required_resource_keys: The resources that the function takes from `context.resources`.
        tags: Labels.
        metadata: What to attach to the definition.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.

    Returns:
        A decorator that makes the sensor.
    """
    _refuse_function("@multi_asset_sensor(monitored_assets=[...], job=...)", monitored_assets)

    def decorate(function: sensors.SensorFunction) -> sensors.MultiAssetSensorDefinition:
        return sensors.MultiAssetSensorDefinition(
            name,
            monitored_assets,
            job_name,
            function,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=job,
            jobs=jobs,
            default_status=default_status,
            asset_selection=request_assets,
            start_at=start_at,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
        )

    return decorate


def _refuse_function(written: str, first: object) -> None:
    """Refuse what a decorator without parentheses is given: the function itself.

    Raises:
        InvalidDefinitionError: It is a function.
    """
    if isinstance(first, FunctionType):
        raise errors.InvalidDefinitionError(
            f"The decorator of the sensor {first.__name__!r} needs parentheses. Write {written}."
        )
