"""Freshness: policies, states and their changes, to messages and back.

Used by `snapshot`, by `asset_events` for the event of a change, and by whoever answers user code.
"""

from __future__ import annotations

import datetime as dt

from google.protobuf import duration_pb2

from atoll._definitions import freshness, freshness_states
from atoll._wire import keys, texts, timestamps
from atoll.definitions.v1 import policies_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2

_State = freshness_states.FreshnessState

_STATES = {
    _State.PASS: events_pb2.FRESHNESS_STATE_PASS,
    _State.WARN: events_pb2.FRESHNESS_STATE_WARN,
    _State.FAIL: events_pb2.FRESHNESS_STATE_FAIL,
    _State.UNKNOWN: events_pb2.FRESHNESS_STATE_UNKNOWN,
    _State.NOT_APPLICABLE: events_pb2.FRESHNESS_STATE_NOT_APPLICABLE,
}
_BY_NUMBER = {number: state for state, number in _STATES.items()}


def policy_to_message(policy: freshness.FreshnessPolicy) -> policies_pb2.FreshnessPolicy:
    """Return a policy as a message.

    Args:
        policy: The policy, made by one of its two makers.
    """
    if policy.deadline_cron is not None and policy.lower_bound_delta is not None:
        return policies_pb2.FreshnessPolicy(
            cron=policies_pb2.CronFreshness(
                deadline_cron=texts.valid(policy.deadline_cron),
                timezone=texts.valid(policy.timezone),
                lower_bound_delta=_duration(policy.lower_bound_delta),
            )
        )
    window = policies_pb2.TimeWindowFreshness()
    if policy.fail_window is not None:
        window.fail_window.CopyFrom(_duration(policy.fail_window))
    if policy.warn_window is not None:
        window.warn_window.CopyFrom(_duration(policy.warn_window))
    return policies_pb2.FreshnessPolicy(time_window=window)


def policy_from_message(message: policies_pb2.FreshnessPolicy) -> freshness.FreshnessPolicy | None:
    """Return the policy that a message holds, None for one of a kind that is unknown here.

    Args:
        message: The message.
    """
    if message.HasField("cron"):
        return freshness.FreshnessPolicy(
            deadline_cron=message.cron.deadline_cron,
            lower_bound_delta=message.cron.lower_bound_delta.ToTimedelta(),
            timezone=message.cron.timezone,
        )
    if not message.HasField("time_window"):
        return None
    window = message.time_window
    warns = window.HasField("warn_window")
    return freshness.FreshnessPolicy(
        fail_window=window.fail_window.ToTimedelta(),
        warn_window=window.warn_window.ToTimedelta() if warns else None,
    )


def encode_change(
    body: events_pb2.FreshnessStateChange, data: freshness_states.FreshnessStateChange
) -> None:
    """Fill the body of an event from a change.

    Args:
        body: The body.
        data: The change.
    """
    body.asset_key.CopyFrom(keys.to_message(data.key))
    body.new_state = _STATES[data.new_state]
    body.previous_state = _STATES[data.previous_state]
    body.change_time.CopyFrom(timestamps.nearest(data.state_change_timestamp))
    if data.latest_materialization_timestamp is not None:
        moment = timestamps.nearest(data.latest_materialization_timestamp)
        body.latest_materialization_time.CopyFrom(moment)


def decode_change(body: events_pb2.FreshnessStateChange) -> freshness_states.FreshnessStateChange:
    """Return the change that the body of an event holds.

    Args:
        body: The body.
    """
    has_latest = body.HasField("latest_materialization_time")
    return freshness_states.FreshnessStateChange(
        key=keys.from_message(body.asset_key),
        new_state=state_from_message(body.new_state),
        previous_state=state_from_message(body.previous_state),
        state_change_timestamp=timestamps.to_seconds(body.change_time),
        latest_materialization_timestamp=(
            timestamps.to_seconds(body.latest_materialization_time) if has_latest else None
        ),
    )


def state_from_message(
    number: events_pb2.FreshnessState.ValueType,
) -> freshness_states.FreshnessState:
    """Return a state; one that this release does not know is unknown.

    Args:
        number: The state on the wire.
    """
    return _BY_NUMBER.get(number, _State.UNKNOWN)


def record_from_message(
    message: instance_pb2.FreshnessStateRecord,
) -> freshness_states.FreshnessStateRecord:
    """Return what the instance knows of the freshness of an asset.

    Args:
        message: The message.
    """
    return freshness_states.FreshnessStateRecord(
        entity_key=keys.from_message(message.asset_key),
        freshness_state=state_from_message(message.state),
        updated_at=timestamps.to_datetime(message.change_time),
    )


def _duration(length: dt.timedelta) -> duration_pb2.Duration:
    message = duration_pb2.Duration()
    message.FromTimedelta(length)
    return message
