"""The bodies of events of assets and their checks: their data to messages and back.

Used by `events` only.
"""

from __future__ import annotations

from atoll._definitions import asset_checks, asset_events, events
from atoll._definitions import keys as key_data
from atoll._wire import event_bodies, freshness, keys, metadata, texts, timestamps
from atoll.events.v1 import events_pb2

_Kind = events.EventType
_Body = event_bodies.Body

_SEVERITIES = {
    asset_checks.AssetCheckSeverity.WARN: events_pb2.ASSET_CHECK_SEVERITY_WARN,
    asset_checks.AssetCheckSeverity.ERROR: events_pb2.ASSET_CHECK_SEVERITY_ERROR,
}
_SEVERITIES_BY_NUMBER = {number: severity for severity, number in _SEVERITIES.items()}


def _encode_planned(
    body: events_pb2.AssetMaterializationPlanned, data: events.AssetMaterializationPlannedData
) -> None:
    body.asset_key.CopyFrom(keys.to_message(data.asset_key))
    body.partition = texts.valid(data.partition or "")


def _decode_planned(
    body: events_pb2.AssetMaterializationPlanned,
) -> events.AssetMaterializationPlannedData:
    return events.AssetMaterializationPlannedData(
        keys.from_message(body.asset_key), body.partition or None
    )


def _fill(
    body: events_pb2.AssetMaterialization | events_pb2.AssetObservation,
    told: asset_events.AssetMaterialization | asset_events.AssetObservation,
) -> None:
    body.asset_key.CopyFrom(keys.to_message(told.asset_key))
    body.partition = texts.valid(told.partition or "")
    body.description = texts.valid(told.description or "")
    metadata.fill(body.metadata, told.metadata)
    for name, value in told.tags.items():
        body.tags[texts.valid(name)] = texts.valid(value)


def _encode_materialization(
    body: events_pb2.AssetMaterialization, data: events.StepMaterializationData
) -> None:
    _fill(body, data.materialization)


def _decode_materialization(
    body: events_pb2.AssetMaterialization,
) -> events.StepMaterializationData:
    return events.StepMaterializationData(
        asset_events.AssetMaterialization(
            keys.from_message(body.asset_key),
            body.description or None,
            metadata.read(body.metadata),
            body.partition or None,
            dict(body.tags),
        )
    )


def _encode_observation(
    body: events_pb2.AssetObservation, data: events.AssetObservationData
) -> None:
    _fill(body, data.asset_observation)


def _decode_observation(body: events_pb2.AssetObservation) -> events.AssetObservationData:
    return events.AssetObservationData(
        asset_events.AssetObservation(
            keys.from_message(body.asset_key),
            body.description or None,
            metadata.read(body.metadata),
            body.partition or None,
            dict(body.tags),
        )
    )


def _encode_failed(
    body: events_pb2.AssetFailedToMaterialize, data: events.AssetFailedToMaterializeData
) -> None:
    body.asset_key.CopyFrom(keys.to_message(data.asset_key))
    body.partition = texts.valid(data.partition or "")
    body.reason = texts.valid(data.reason)


def _decode_failed(
    body: events_pb2.AssetFailedToMaterialize,
) -> events.AssetFailedToMaterializeData:
    return events.AssetFailedToMaterializeData(
        keys.from_message(body.asset_key), body.partition or None, body.reason
    )


def _encode_check_planned(
    body: events_pb2.AssetCheckEvaluationPlanned, data: events.AssetCheckEvaluationPlannedData
) -> None:
    body.asset_key.CopyFrom(keys.to_message(data.asset_check_key.asset_key))
    body.check_name = texts.valid(data.asset_check_key.name)
    body.partition = texts.valid(data.partition or "")


def _decode_check_planned(
    body: events_pb2.AssetCheckEvaluationPlanned,
) -> events.AssetCheckEvaluationPlannedData:
    return events.AssetCheckEvaluationPlannedData(
        key_data.AssetCheckKey(keys.from_message(body.asset_key), body.check_name),
        body.partition or None,
    )


def _encode_check(
    body: events_pb2.AssetCheckEvaluation, data: events.AssetCheckEvaluationData
) -> None:
    told = data.asset_check_evaluation
    body.asset_key.CopyFrom(keys.to_message(told.asset_key))
    body.check_name = texts.valid(told.check_name)
    body.partition = texts.valid(told.partition or "")
    body.passed = told.passed
    body.severity = _SEVERITIES[told.severity]
    body.description = texts.valid(told.description or "")
    body.blocking = told.blocking
    metadata.fill(body.metadata, told.metadata)
    target = told.target_materialization_data
    if target is not None:
        body.checked_materialization.event_id = target.storage_id
        body.checked_materialization.run_id = texts.valid(target.run_id)
        stamp = timestamps.from_seconds(target.timestamp)
        body.checked_materialization.timestamp.CopyFrom(stamp)


def _decode_check(body: events_pb2.AssetCheckEvaluation) -> events.AssetCheckEvaluationData:
    target = None
    if body.HasField("checked_materialization"):
        checked = body.checked_materialization
        target = asset_checks.AssetCheckEvaluationTargetMaterializationData(
            checked.event_id, checked.run_id, timestamps.to_seconds(checked.timestamp)
        )
    return events.AssetCheckEvaluationData(
        asset_checks.AssetCheckEvaluation(
            asset_key=keys.from_message(body.asset_key),
            check_name=body.check_name,
            passed=body.passed,
            metadata=metadata.read(body.metadata),
            target_materialization_data=target,
            # One that this release does not know is taken for the worst.
            severity=_SEVERITIES_BY_NUMBER.get(
                body.severity, asset_checks.AssetCheckSeverity.ERROR
            ),
            description=body.description or None,
            blocking=body.blocking,
            partition=body.partition or None,
        )
    )


BODIES: dict[events.EventType, event_bodies.Body] = {
    _Kind.ASSET_MATERIALIZATION_PLANNED: _Body(
        "asset_materialization_planned", _encode_planned, _decode_planned
    ),
    _Kind.ASSET_MATERIALIZATION: _Body(
        "asset_materialization", _encode_materialization, _decode_materialization
    ),
    _Kind.ASSET_OBSERVATION: _Body("asset_observation", _encode_observation, _decode_observation),
    _Kind.ASSET_FAILED_TO_MATERIALIZE: _Body(
        "asset_failed_to_materialize", _encode_failed, _decode_failed
    ),
    _Kind.ASSET_CHECK_EVALUATION_PLANNED: _Body(
        "asset_check_evaluation_planned", _encode_check_planned, _decode_check_planned
    ),
    _Kind.ASSET_CHECK_EVALUATION: _Body("asset_check_evaluation", _encode_check, _decode_check),
    _Kind.FRESHNESS_STATE_CHANGE: _Body(
        "freshness_state_change", freshness.encode_change, freshness.decode_change
    ),
}
