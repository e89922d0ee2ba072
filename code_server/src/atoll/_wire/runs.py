"""Runs and requests for runs: plans and answers of the instance to `Run`, run requests both ways.

Used by run workers, evaluators and the relay of the instance. Run configuration travels as JSON;
whether it fits its job is checked by the host and by the execution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import run_requests, runs, specs
from atoll._execution import known_assets as materialized
from atoll._instance import instance as instances
from atoll._wire import foreign_assets, keys, texts, timestamps
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2


def config_to_message(config: Mapping[str, Any]) -> values_pb2.UserData:
    """Return run configuration as JSON.

    Args:
        config: The plain run configuration.

    Raises:
        InvalidConfigError: It holds what JSON cannot say.
    """
    try:
        return texts.to_json(dict(config))
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.InvalidConfigError(
            f"The run configuration cannot be sent: {error}. Give strings, numbers, truth values, "
            "None, lists and dicts with string keys only.",
            value=config,
        ) from error


def config_from_message(message: values_pb2.UserData) -> dict[str, Any]:
    """Return the run configuration that a message holds; empty for none.

    Args:
        message: The configuration as JSON.

    Raises:
        InvalidConfigError: It is no JSON object.
    """
    try:
        config = texts.from_json(message)
    except ValueError as error:
        text = f"The run configuration is no JSON: {error}."
        raise errors.InvalidConfigError(text, value=message.data) from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        text = f"The run configuration must be a JSON object, got {type(config).__name__}."
        raise errors.InvalidConfigError(text, value=config)
    return config  # pyright: ignore[reportUnknownVariableType] - JSON objects have string keys


def from_plan(plan: location_pb2.RunPlan, *, location_name: str = "") -> runs.Run:
    """Return the run that a plan describes, as it is while it runs.

    Args:
        plan: The plan.
        location_name: The location that runs it.

    Raises:
        InvalidConfigError: Its configuration is no JSON object.
    """
    tags = dict(plan.tags)
    if plan.partition_key:
        tags.setdefault(runs.PARTITION_TAG, plan.partition_key)
    return runs.Run(
        job_name=plan.job_name,
        run_id=plan.run_id,
        run_config=config_from_message(plan.run_config),
        status=runs.RunStatus.STARTED,
        tags=tags,
        location_name=location_name,
        **_selections(plan),
    )


def known_assets(
    plan: location_pb2.RunPlan, others: instances.Instance
) -> tuple[dict[asset_keys.AssetKey, specs.AssetSpec], materialized.Told]:
    """Return what the host told of assets: specs of foreign ones, and newest materializations.

    Args:
        plan: The plan; that of an older host tells nothing.
        others: Is asked for assets that the plan does not tell of.
    """
    foreign: dict[asset_keys.AssetKey, specs.AssetSpec] = {}
    made: dict[asset_keys.AssetKey, materialized.Materialized | None] = {}
    observed: dict[asset_keys.AssetKey, materialized.Materialized] = {}
    for one in plan.known_assets:
        key = keys.from_message(one.asset_key)
        if one.HasField("definition"):
            foreign[key] = foreign_assets.spec(one.definition, key)
        made[key] = None
        if one.event_id:
            when = timestamps.to_seconds(one.timestamp)
            told = materialized.Materialized(one.event_id, one.run_id, when, dict(one.tags))
            if one.observed:
                observed[key] = told
            else:
                made[key] = told
    return foreign, materialized.Told(made, others, observed)


def from_instance_run(message: mesh_pb2.InstanceRun) -> runs.Run:
    """Return a run as the instance knows it.

    Args:
        message: The run; a status that this release does not know reads as not started.
    """
    known = message.status in runs.RunStatus.__members__
    return runs.Run(
        job_name=message.job_name,
        run_id=message.run_id,
        run_config=config_from_message(message.run_config),
        status=runs.RunStatus[message.status] if known else runs.RunStatus.NOT_STARTED,
        tags=dict(message.tags),
        location_name=message.location_name,
        **_selections(message),
    )


def to_run_record(message: mesh_pb2.InstanceRun) -> runs.RunRecord:
    """Return a run with its times as the instance knows it.

    Args:
        message: The run.
    """
    created = timestamps.to_datetime(message.create_time)
    has_update = message.HasField("update_time")
    return runs.RunRecord(
        storage_id=message.record_id,
        run=from_instance_run(message),
        create_timestamp=created,
        update_timestamp=timestamps.to_datetime(message.update_time) if has_update else created,
        start_time=(
            timestamps.to_seconds(message.start_time) if message.HasField("start_time") else None
        ),
        end_time=timestamps.to_seconds(message.end_time) if message.HasField("end_time") else None,
    )


def _selections(message: location_pb2.RunPlan | mesh_pb2.InstanceRun) -> dict[str, Any]:
    """Return the fields of a run that say what of its job is to run."""
    assets = frozenset(keys.from_message(key) for key in message.asset_selection)
    checks = frozenset(keys.from_check_message(key) for key in message.asset_check_selection)
    return {
        "asset_selection": assets or None,
        "asset_check_selection": checks or None,
        "op_selection": tuple(message.op_selection) or None,
        "step_keys_to_execute": tuple(message.step_keys) or None,
        "parent_run_id": message.parent_run_id or None,
        "root_run_id": message.root_run_id or None,
        "partition_key": message.partition_key or None,
        "partition_range_start": message.partition_range_start or None,
        "partition_range_end": message.partition_range_end or None,
    }


def request_to_message(request: run_requests.RunRequest) -> location_pb2.RunRequest:
    """Return a run request as a message. No configuration of its own leaves the field unset.

    Args:
        request: The request.

    Raises:
        InvalidConfigError: Its configuration holds what JSON cannot say.
    """
    message = location_pb2.RunRequest(
        run_key=texts.valid(request.run_key or ""),
        job_name=texts.valid(request.job_name or ""),
        tags={texts.valid(name): texts.valid(value) for name, value in request.tags.items()},
        asset_selection=[keys.to_message(key) for key in request.asset_selection or ()],
        partition_key=texts.valid(request.partition_key or ""),
        asset_check_keys=[keys.to_check_message(key) for key in request.asset_check_keys or ()],
    )
    if request.run_config:
        message.run_config.CopyFrom(config_to_message(request.run_config))
    return message


def request_from_message(message: location_pb2.RunRequest) -> run_requests.RunRequest:
    """Return the run request that a message holds.

    Args:
        message: The message.
    """
    return run_requests.RunRequest(
        run_key=message.run_key or None,
        run_config=config_from_message(message.run_config),
        tags=dict(message.tags),
        job_name=message.job_name or None,
        asset_selection=[keys.from_message(key) for key in message.asset_selection] or None,
        partition_key=message.partition_key or None,
        asset_check_keys=[keys.from_check_message(key) for key in message.asset_check_keys] or None,
    )
