"""The snapshot of a location: everything its definitions say, without the code that does it.

Made once by the definitions process after the import. The encoding is deterministic: the same
definitions give the same bytes in every process, so that their digest tells whether anything
changed. Nothing is validated here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf import duration_pb2

from atoll._definitions import (
    asset_checks,
    assets,
    automation_sensors,
    definitions,
    freshness,
    jobs,
    keys,
    run_status_sensors,
    sensors,
    sources,
    specs,
    start_positions,
)
from atoll._definitions.nodes import graph as graphs
from atoll._partition_messages import definitions as partition_definitions
from atoll._partition_messages import mappings as partition_mappings
from atoll._wire import conditions, location_policies, metadata, nodes, runs, schedules, texts
from atoll._wire import freshness as freshness_messages
from atoll._wire import keys as key_messages
from atoll.definitions.v1 import snapshot_pb2, values_pb2

_NANOS = 1_000_000_000

_KINDS = {
    sensors.SensorType.STANDARD: snapshot_pb2.SENSOR_KIND_POLLING,
    sensors.SensorType.ASSET: snapshot_pb2.SENSOR_KIND_ASSET,
    sensors.SensorType.MULTI_ASSET: snapshot_pb2.SENSOR_KIND_MULTI_ASSET,
    sensors.SensorType.RUN_STATUS: snapshot_pb2.SENSOR_KIND_RUN_STATUS,
    sensors.SensorType.WEBHOOK: snapshot_pb2.SENSOR_KIND_WEBHOOK,
    sensors.SensorType.AUTOMATION: snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION,
}
_STATUSES = {
    sensors.DefaultSensorStatus.RUNNING: snapshot_pb2.SENSOR_STATUS_RUNNING,
    sensors.DefaultSensorStatus.STOPPED: snapshot_pb2.SENSOR_STATUS_STOPPED,
}


def encode(defined: definitions.Definitions) -> bytes:
    """Return the encoded snapshot.

    Args:
        defined: The definitions of the location.
    """
    return to_message(defined).SerializeToString(deterministic=True)


def to_message(defined: definitions.Definitions) -> snapshot_pb2.LocationSnapshot:
    """Return the snapshot.

    Args:
        defined: The definitions of the location.
    """
    described = nodes.Nodes()
    resolved = sorted(defined.resolve_all_job_defs(), key=_name)
    for job in resolved:
        if job.graph_def is not None:
            described.add(job.graph_def)
    for one in defined.graph.assets_defs:
        if isinstance(one.node_def, graphs.GraphDefinition):
            described.add(one.node_def)
    message = snapshot_pb2.LocationSnapshot(
        assets=_assets(defined),
        jobs=[_job(job) for job in resolved],
        sensors=[_sensor(sensor, defined) for sensor in _sensors(defined)],
        checks=_checks(defined),
        ops=described.ops(),
        graphs=described.graphs(),
        resources=nodes.resources(defined.resources),
        types=described.types(),
        schedules=schedules.to_messages(defined),
    )
    metadata.fill(message.metadata, defined.metadata)
    if defined.policy is not None:
        message.policy.CopyFrom(location_policies.to_message(defined.policy))
    return message


def _name(job: jobs.JobDefinition) -> str:
    return job.name


def _assets(defined: definitions.Definitions) -> Iterator[snapshot_pb2.AssetDefinition]:
    graph = defined.graph
    for key in sorted(graph.specs, key=key_messages.path):
        yield _asset(graph.specs[key], graph.get(key))


def _asset(
    spec: specs.AssetSpec, made_by: assets.AssetsDefinition | None
) -> snapshot_pb2.AssetDefinition:
    message = snapshot_pb2.AssetDefinition(
        key=key_messages.to_message(spec.key),
        description=texts.valid(spec.description or ""),
        group_name=texts.valid(spec.group_name or specs.DEFAULT_GROUP_NAME),
        owners=[texts.valid(owner) for owner in spec.owners],
        tags=_tags(spec.tags),
        kinds=sorted(texts.valid(kind) for kind in spec.kinds),
        code_version=texts.valid(spec.code_version or ""),
        skippable=spec.skippable,
        source=_source(spec.source if made_by is None else made_by.source or spec.source),
    )
    if spec.partitions_def is not None:
        message.partitions.CopyFrom(partition_definitions.to_message(spec.partitions_def))
    message.is_virtual = spec.is_virtual
    if isinstance(spec.freshness_policy, freshness.FreshnessPolicy):
        message.freshness_policy.CopyFrom(
            freshness_messages.policy_to_message(spec.freshness_policy)
        )
    input_names: dict[keys.AssetKey, str] = {}
    if made_by is not None:
        message.executable = True
        message.op_name = made_by.op_name
        message.io_manager_key = texts.valid(made_by.io_manager_key_of(spec.key))
        message.observable = made_by.is_observable
        message.can_subset = made_by.can_subset
        message.pools.extend(_pools(made_by))
        if made_by.backfill_policy is not None:
            message.backfill_policy.CopyFrom(
                partition_definitions.policy_to_message(made_by.backfill_policy)
            )
        input_names = {key: name for name, key in made_by.keys_by_input_name.items()}
    conditions.fill(message, spec.automation_condition, lambda: f"the asset {spec.key}")
    for dependency in sorted(spec.deps, key=lambda one: key_messages.path(one.asset_key)):
        edge = message.dependencies.add()
        _fill_dependency(edge, dependency, input_names)
    metadata.fill(message.metadata, spec.metadata)
    return message


def _fill_dependency(
    edge: snapshot_pb2.AssetDependency,
    dependency: specs.AssetDep,
    input_names: Mapping[keys.AssetKey, str],
) -> None:
    edge.asset_key.CopyFrom(key_messages.to_message(dependency.asset_key))
    edge.input_name = input_names.get(dependency.asset_key, "")
    if dependency.partition_mapping is not None:
        edge.partition_mapping.CopyFrom(partition_mappings.to_message(dependency.partition_mapping))


def _checks(defined: definitions.Definitions) -> Iterator[snapshot_pb2.AssetCheckDefinition]:
    graph = defined.graph
    for key in sorted(graph.check_specs):
        yield _check(graph.check_specs[key], graph.get_check(key))


def _check(
    spec: asset_checks.AssetCheckSpec, made_by: assets.AssetsDefinition | None
) -> snapshot_pb2.AssetCheckDefinition:
    message = snapshot_pb2.AssetCheckDefinition(
        key=key_messages.to_check_message(spec.key),
        description=texts.valid(spec.description or ""),
        blocking=spec.blocking,
        executable=made_by is not None,
        op_name="" if made_by is None else made_by.op_name,
        source=None if made_by is None else _source(made_by.source),
        pools=() if made_by is None else _pools(made_by),
    )
    input_names: dict[keys.AssetKey, str] = {}
    if made_by is not None:
        input_names = {key: name for name, key in made_by.keys_by_input_name.items()}
    for dependency in sorted(
        spec.additional_deps, key=lambda one: key_messages.path(one.asset_key)
    ):
        _fill_dependency(message.additional_dependencies.add(), dependency, input_names)
    if spec.partitions_def is not None:
        message.partitions.CopyFrom(partition_definitions.to_message(spec.partitions_def))
    conditions.fill(message, spec.automation_condition, lambda: f"the check {spec.key}")
    metadata.fill(message.metadata, spec.metadata)
    return message


def _pools(made_by: assets.AssetsDefinition) -> list[str]:
    return sorted(texts.valid(pool) for pool in made_by.node_def.pools)


def _source(position: sources.SourcePosition | None) -> snapshot_pb2.SourcePosition | None:
    if position is None:
        return None
    return snapshot_pb2.SourcePosition(file=texts.valid(position.file), line=position.line)


def _job(job: jobs.JobDefinition) -> snapshot_pb2.JobDefinition:
    message = snapshot_pb2.JobDefinition(
        name=texts.valid(job.name),
        description=texts.valid(job.description or ""),
        tags=_tags(job.tags),
        asset_keys=key_messages.to_messages(job.asset_keys),
        config_schema=texts.to_json(job.run_config_schema, texts.JSON_SCHEMA),
        default_config=_default_config(job),
        owners=[texts.valid(owner) for owner in job.owners],
        implicit=job.implicit,
        run_tags=_tags(job.run_tags),
        check_keys=[key_messages.to_check_message(key) for key in sorted(job.check_keys)],
        graph_name="" if job.graph_def is None else texts.valid(job.graph_def.name),
        executor_name=texts.valid(str(getattr(job.executor_def, "name", "") or "")),
        partitioned_config=job.config.partitioned is not None,
    )
    if not job.implicit:
        # Of the job that may run everything, each run needs only what its selection does.
        message.resource_keys.extend(sorted(texts.valid(key) for key in job.required_resource_keys))
    if job.partitions_def is not None:
        message.partitions.CopyFrom(partition_definitions.to_message(job.partitions_def))
    conditions.fill(message, job.automation_condition, lambda: f"the job {job.name!r}")
    metadata.fill(message.metadata, job.metadata)
    return message


def _default_config(job: jobs.JobDefinition) -> values_pb2.UserData | None:
    return None if job.run_config is None else runs.config_to_message(job.run_config)


def _sensors(defined: definitions.Definitions) -> list[sensors.SensorDefinition]:
    # As the evaluation finds them: of two with one name, the first.
    by_name = {sensor.name: defined.get_sensor_def(sensor.name) for sensor in defined.sensors}
    return [by_name[name] for name in sorted(by_name)]


def _sensor(
    sensor: sensors.SensorDefinition, defined: definitions.Definitions
) -> snapshot_pb2.SensorDefinition:
    message = snapshot_pb2.SensorDefinition(
        name=texts.valid(sensor.name),
        kind=_KINDS[sensor.sensor_type],
        description=texts.valid(str(sensor.description or "")),
        job_names=[texts.valid(str(name)) for name in sensor.job_names],
        monitored_assets=[key_messages.to_message(key) for key in sensor.monitored_assets],
        minimum_interval=_duration(sensor.effective_minimum_interval_s),
        default_status=_STATUSES[sensor.default_status],
        tags=_tags(sensor.tags),
        coalesce=sensor.coalesce,
        owners=[texts.valid(owner) for owner in sensor.owners],
        start_position=_start(sensor.start_at),
    )
    if isinstance(sensor, run_status_sensors.RunStatusSensorDefinition):
        message.run_status = sensor.run_status.value
        message.monitors_all_locations = sensor.monitor_all_code_locations
        for one in sensor.monitored_jobs:
            message.monitored_jobs.add(
                location_name=texts.valid(one.location_name), job_name=texts.valid(one.job_name)
            )
    if sensor.asset_selection is not None:
        selected = sensor.asset_selection.resolve(defined.graph.selectable)
        message.asset_selection.extend(key_messages.to_messages(selected))
    if isinstance(sensor, automation_sensors.AutomationConditionSensorDefinition):
        conditions.fill_sensor(message, sensor, defined)
    metadata.fill(message.metadata, sensor.metadata)
    return message


def _start(start_at: start_positions.StartAt | None) -> snapshot_pb2.StartPosition | None:
    if start_at is None:
        return None
    if start_at == "latest":
        return snapshot_pb2.StartPosition(latest=True)
    if start_at == "earliest":
        return snapshot_pb2.StartPosition(earliest=True)
    position = snapshot_pb2.StartPosition()
    position.time.FromDatetime(start_at)
    return position


def _duration(seconds: float) -> duration_pb2.Duration:
    nanos = round(seconds * _NANOS)
    return duration_pb2.Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {texts.valid(name): texts.valid(value) for name, value in tags.items()}
