"""Makes the messages of `atoll.api.v1` out of records and views. Pure; called by the servicers."""

import datetime as dt

from atoll.api.v1 import assets_pb2, automation_pb2, checks_pb2, locations_pb2, runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import moments
from atoll_host.automation.sensors import defined
from atoll_host.locations import dialing, graph
from atoll_host.locations import registry as registries
from atoll_storage import records, webhook_records

_RUN_STATUSES = {
    status: runs_pb2.RunStatus.Value(f"RUN_STATUS_{status.value}") for status in records.RunStatus
}
_NO_STATE = events_pb2.FRESHNESS_STATE_NOT_APPLICABLE
_STATUS_OF_NUMBER = {number: status for status, number in _RUN_STATUSES.items()}


def json_data(data: bytes | None) -> values_pb2.UserData | None:
    """Return encoded JSON as user data, None for None."""
    return None if data is None else values_pb2.UserData(content_type="application/json", data=data)


def status_number(status: records.RunStatus) -> runs_pb2.RunStatus.ValueType:
    """Return the enum number of a status."""
    return _RUN_STATUSES[status]


def run_status(number: int) -> records.RunStatus | None:
    """Return the status of an enum number, None for one that names no status."""
    return _STATUS_OF_NUMBER.get(number)  # type: ignore[call-overload, no-any-return]


def run(record: records.RunRecord, *, waiting_reason: str = "") -> runs_pb2.Run:
    """Return a run."""
    return runs_pb2.Run(
        run_id=record.run_id,
        job_name=record.job_name,
        location_name=record.location_name,
        status=_RUN_STATUSES[record.status],
        tags=record.tags,
        run_config=json_data(record.run_config),
        asset_selection=[values_pb2.AssetKey(path=path) for path in record.asset_selection],
        create_time=moments.timestamp(record.create_time),
        start_time=moments.timestamp(record.start_time),
        end_time=moments.timestamp(record.end_time),
        requested_build_id=record.requested_build_id,
        build_id=record.build_id,
        failure=record.failure,
        sensor_name=record.sensor_name,
        tick_id=record.tick_id,
        run_key=record.run_key,
        waiting_reason=waiting_reason,
        partition_key=record.partition_key,
        partition_range_start=record.target.partition_range_start,
        partition_range_end=record.target.partition_range_end,
        op_selection=record.target.op_selection,
        asset_check_selection=[
            values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=path), name=name)
            for path, name in record.target.asset_check_selection
        ],
        step_keys=record.target.step_keys,
        parent_run_id=record.target.parent_run_id,
        root_run_id=record.target.root_run_id,
        update_time=moments.timestamp(record.update_time),
    )


def requested_run(new: records.NewRun) -> runs_pb2.Run:
    """Return a run that nobody has queued: it has no id, no status and no times."""
    return runs_pb2.Run(
        job_name=new.job_name,
        location_name=new.location_name,
        tags=new.tags,
        run_config=json_data(new.run_config),
        asset_selection=[values_pb2.AssetKey(path=path) for path in new.asset_selection],
        requested_build_id=new.requested_build_id,
        sensor_name=new.sensor_name,
        run_key=new.run_key,
        partition_key=new.partition_key,
        asset_check_selection=[
            values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=path), name=name)
            for path, name in new.target.asset_check_selection
        ],
    )


def location(
    view: registries.LocationView,
    merged: graph.AssetGraph,
    *,
    with_job_names: bool = False,
) -> locations_pb2.Location:
    """Return a location; what others evaluate in its place stands in the merged graph."""
    counts = locations_pb2.DefinitionCounts()
    job_names: list[str] = []
    if view.snapshot is not None:
        job_names = [job.name for job in view.snapshot.jobs if not job.implicit]
        counts.assets = len(view.snapshot.assets)
        counts.jobs = len(job_names)
        counts.sensors = len(view.snapshot.sensors)
        counts.schedules = len(view.snapshot.schedules)
        counts.asset_checks = len(view.snapshot.checks)
        counts.resources = len(view.snapshot.resources)
    return locations_pb2.Location(
        name=view.name,
        state=view.state,
        build=view.build,
        load_failure=view.load_failure,
        address=dialing.plain(view.server.address),
        server_id=view.server.server_id,
        version=view.server.version,
        register_time=moments.timestamp(view.server.register_time),
        counts=counts,
        conflicts=_conflicts(view, merged),
        job_names=sorted(job_names) if with_job_names else (),
    )


def _conflicts(
    view: registries.LocationView, merged: graph.AssetGraph
) -> list[locations_pb2.Conflict]:
    assets = [
        locations_pb2.Conflict(asset_key=values_pb2.AssetKey(path=path), owner_location_name=owner)
        for path, owner in sorted(view.conflicts.items())
    ]
    checks = [
        locations_pb2.Conflict(
            asset_key=values_pb2.AssetKey(path=path), check_name=name, owner_location_name=owner
        )
        for (path, name), owner in sorted(merged.check_conflicts(view.name).items())
    ]
    return assets + checks


def asset(
    node: graph.AssetNode,
    latest: events_pb2.StoredEvent | None,
    fresh: "events_pb2.FreshnessState.ValueType" = events_pb2.FRESHNESS_STATE_UNKNOWN,
) -> assets_pb2.Asset:
    """Return an asset."""
    return assets_pb2.Asset(
        freshness_state=fresh if node.definition.HasField("freshness_policy") else _NO_STATE,
        definition=node.definition,
        owner_location_name=node.owner,
        location_names=node.locations,
        downstream_keys=[values_pb2.AssetKey(path=path) for path in node.downstream],
        latest_materialization=latest,
    )


def check(node: graph.CheckNode, latest: events_pb2.StoredEvent | None) -> checks_pb2.AssetCheck:
    """Return a check of an asset."""
    return checks_pb2.AssetCheck(
        definition=node.definition,
        owner_location_name=node.owner,
        location_names=node.locations,
        latest_evaluation=latest,
    )


def sensor(
    location_name: str,
    definition: snapshot_pb2.SensorDefinition,
    state: records.SensorState | None,
    latest_tick: automation_pb2.Tick | None,
    webhook: webhook_records.WebhookState | None = None,
) -> automation_pb2.Sensor:
    """Return a sensor; without a state, as it is by default."""
    status = sensor_status(definition, state)
    rendered = automation_pb2.Sensor(
        location_name=location_name,
        definition=definition,
        status=status,
        cursor=None if state is None else state.cursor,
        latest_tick=latest_tick,
        failure_count=0 if state is None else state.failures,
        waiting_delivery_count=0 if webhook is None else webhook.waiting,
        has_webhook_secret=webhook is not None,
    )
    if state is not None and status == snapshot_pb2.SENSOR_STATUS_RUNNING:
        next_time = _next_evaluation(definition, state)
        if next_time is not None:
            rendered.next_evaluation_time.FromDatetime(next_time)
    return rendered


def sensor_status(
    definition: snapshot_pb2.SensorDefinition, state: records.SensorState | None
) -> "snapshot_pb2.SensorStatus.ValueType":
    """Return whether a sensor is evaluated: as somebody decided, else by default."""
    if state is None or state.running is None:
        return definition.default_status or snapshot_pb2.SENSOR_STATUS_STOPPED
    if state.running:
        return snapshot_pb2.SENSOR_STATUS_RUNNING
    return snapshot_pb2.SENSOR_STATUS_STOPPED


def _next_evaluation(
    definition: snapshot_pb2.SensorDefinition, state: records.SensorState
) -> dt.datetime | None:
    """Return when time alone makes a running sensor due; None where only news do."""
    if state.retry_time is not None:
        return state.retry_time
    if definition.kind == snapshot_pb2.SENSOR_KIND_POLLING and state.last_tick_time is not None:
        return state.last_tick_time + dt.timedelta(seconds=defined.interval_s_of(definition))
    return None
