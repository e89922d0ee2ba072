"""Reads from definitions what the agenda and the stores have to know of sensors. Pure.

Called by `leading` and by the API. What a definition of a newer release says that is unknown here
makes no sensor: it is left alone until the host is as new.
"""

import datetime as dt
from collections.abc import Iterator

from atoll.definitions.v1 import snapshot_pb2
from atoll_host.automation.sensors import due
from atoll_host.locations import definitions
from atoll_storage import records

DEFAULT_PERIOD_S = 30.0
SHORTEST_PERIOD_S = 0.05
"""A polling sensor that asks for no pause at all still leaves the others some room."""

_KINDS = {
    snapshot_pb2.SENSOR_KIND_POLLING: due.Kind.POLLING,
    snapshot_pb2.SENSOR_KIND_ASSET: due.Kind.ASSET,
    snapshot_pb2.SENSOR_KIND_MULTI_ASSET: due.Kind.MULTI_ASSET,
    snapshot_pb2.SENSOR_KIND_RUN_STATUS: due.Kind.RUN_STATUS,
    snapshot_pb2.SENSOR_KIND_WEBHOOK: due.Kind.WEBHOOK,
}
LOG_DRIVEN = frozenset({due.Kind.ASSET, due.Kind.MULTI_ASSET, due.Kind.RUN_STATUS})
"""The kinds that have a position in the log."""


def kind_of(definition: snapshot_pb2.SensorDefinition) -> due.Kind | None:
    """Return what makes a sensor due; None for a kind that is unknown here."""
    return _KINDS.get(definition.kind)


def sensor_of(location_name: str, definition: snapshot_pb2.SensorDefinition) -> due.Sensor | None:
    """Return what the agenda has to know of a sensor; None for a kind that is unknown here."""
    kind = kind_of(definition)
    monitored = tuple(tuple(key.path) for key in definition.monitored_assets)
    if kind is None or (kind in {due.Kind.ASSET, due.Kind.MULTI_ASSET} and not monitored):
        return None
    runs = None
    if kind is due.Kind.RUN_STATUS:
        runs = _runs_of(location_name, definition)
        if runs is None:
            return None
    return due.Sensor(
        key=records.SensorKey(location_name, definition.name),
        kind=kind,
        monitored=monitored,
        interval_s=interval_s_of(definition),
        coalesce=definition.coalesce,
        runs_by_default=definition.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING,
        runs=runs,
    )


def interval_s_of(definition: snapshot_pb2.SensorDefinition) -> float:
    """Return the least time between two evaluations."""
    is_polling = definition.kind == snapshot_pb2.SENSOR_KIND_POLLING
    interval_s = DEFAULT_PERIOD_S if is_polling else 0.0
    if definition.HasField("minimum_interval"):
        interval_s = definition.minimum_interval.ToNanoseconds() / 1e9
    return max(SHORTEST_PERIOD_S, interval_s) if is_polling else interval_s


def beginnings(
    location_name: str, defined: definitions.Definitions
) -> tuple[list[records.SensorKey], dict[records.SensorKey, records.StartPosition]]:
    """Return the sensors of a location, and where in the log those begin that say so."""
    keys = {name: records.SensorKey(location_name, name) for name in defined.sensors}
    starts = {
        keys[name]: start_of(sensor.start_position)
        for name, sensor in defined.sensors.items()
        if sensor.HasField("start_position")
    }
    return list(keys.values()), starts


def start_of(position: snapshot_pb2.StartPosition) -> records.StartPosition:
    """Return a position in the log, as storage takes it."""
    match position.WhichOneof("position"):
        case "earliest":
            return records.StartPosition(earliest=True)
        case "time":
            return records.StartPosition(time=position.time.ToDatetime(tzinfo=dt.UTC))
        case _:
            return records.LATEST


def _runs_of(
    location_name: str, definition: snapshot_pb2.SensorDefinition
) -> records.RunChangeQuery | None:
    """Return which runs a sensor watches; None where it names a status that is unknown here."""
    if definition.run_status not in records.RunStatus.__members__:
        return None
    named = tuple(
        (one.location_name or location_name, one.job_name) for one in definition.monitored_jobs
    )
    # All locations and jobs besides: of all there are, the policy leaves these.
    everything = definition.monitors_all_locations
    monitored = None if everything and not named else named or ((location_name, ""),)
    return records.RunChangeQuery(
        status=records.RunStatus(definition.run_status),
        monitored=monitored,
        # Whoever watches everything does not mean what is started because of it.
        ignored_jobs=() if named and not everything else tuple(_jobs_of(location_name, definition)),
        asked_by=records.SensorKey(location_name, definition.name),
    )


def _jobs_of(
    location_name: str, definition: snapshot_pb2.SensorDefinition
) -> Iterator[tuple[str, str]]:
    for name in definition.job_names:
        other, slash, job = name.partition("/")
        yield (other, job) if slash else (location_name, name)
