"""How fresh an asset is: decided from its policy, its newest materialization and the time.

Called by `agenda` and by the API. Pure: the same three give the same verdict, on every host. What
counts is the newest materialization, by the clock of whoever made it; observations do not count,
and neither does who reported it.

    time window   PASS --(warn_window)--> WARN --(fail_window)--> FAIL
    cron          PASS --(the first deadline that the materialization is too old for)--> FAIL

A materialization leads back to PASS, or wherever its own age puts the asset.
"""

import dataclasses
import datetime as dt
from typing import TypeAlias

from atoll import errors
from atoll._partitions import timelines
from atoll.definitions.v1 import policies_pb2
from atoll.events.v1 import events_pb2

State: TypeAlias = "events_pb2.FreshnessState.ValueType"

PASS = events_pb2.FRESHNESS_STATE_PASS
WARN = events_pb2.FRESHNESS_STATE_WARN
FAIL = events_pb2.FRESHNESS_STATE_FAIL
UNKNOWN = events_pb2.FRESHNESS_STATE_UNKNOWN
NOT_APPLICABLE = events_pb2.FRESHNESS_STATE_NOT_APPLICABLE

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SECOND_US = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """At most so long ago. `warn` is None where nothing is worth a warning."""

    fail: dt.timedelta
    warn: dt.timedelta | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Deadlines:
    """By each deadline of a cron schedule, and not more than `lower_bound` before it."""

    cron: str
    timezone: str
    lower_bound: dt.timedelta


@dataclasses.dataclass(frozen=True, slots=True)
class Unreadable:
    """A policy that this release cannot read: of a newer kind, or with a cron that is none."""

    why: str


Policy: TypeAlias = Window | Deadlines | Unreadable


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The state, and when it changes by itself; None where it does not."""

    state: State
    changes_at: dt.datetime | None = None


def policy_of(message: policies_pb2.FreshnessPolicy) -> Policy:
    """Return the policy that a definition gives."""
    if message.HasField("time_window"):
        window = message.time_window
        warns = window.HasField("warn_window")
        return Window(
            window.fail_window.ToTimedelta(), window.warn_window.ToTimedelta() if warns else None
        )
    if not message.HasField("cron"):
        return Unreadable("Its policy is of a kind that this host does not know. Upgrade the host.")
    try:
        timelines.timeline(message.cron.deadline_cron, message.cron.timezone)
    except errors.InvalidDefinitionError as error:
        return Unreadable(str(error))
    return Deadlines(
        message.cron.deadline_cron,
        message.cron.timezone,
        message.cron.lower_bound_delta.ToTimedelta(),
    )


def decide(policy: Policy | None, newest: dt.datetime | None, now: dt.datetime) -> Verdict:
    """Say how fresh an asset is.

    Args:
        policy: Its policy, None where it has none.
        newest: When it was materialized last, None where it never was.
        now: The time.
    """
    if policy is None:
        return Verdict(NOT_APPLICABLE)
    if newest is None or isinstance(policy, Unreadable):
        return Verdict(UNKNOWN)
    if isinstance(policy, Window):
        return _by_age(policy, newest, now)
    return _by_deadline(policy, newest, now)


def _by_age(policy: Window, newest: dt.datetime, now: dt.datetime) -> Verdict:
    fails_at = _later(newest, policy.fail)
    if fails_at is not None and now >= fails_at:
        return Verdict(FAIL)
    if policy.warn is None:
        return Verdict(PASS, fails_at)
    warns_at = _later(newest, policy.warn)
    if warns_at is not None and now >= warns_at:
        return Verdict(WARN, fails_at)
    return Verdict(PASS, warns_at)


def _by_deadline(policy: Deadlines, newest: dt.datetime, now: dt.datetime) -> Verdict:
    line = timelines.timeline(policy.cron, policy.timezone)
    # Deadlines fall on whole seconds, so whole microseconds keep everything exact.
    lower_us = policy.lower_bound // _MICROSECOND
    newest_us, now_us = (newest - _EPOCH) // _MICROSECOND, (now - _EPOCH) // _MICROSECOND
    try:
        last = line.at(line.before(now_us // _SECOND_US + 1) - 1).timestamp
        if newest_us < last * _SECOND_US - lower_us:
            return Verdict(FAIL)
        too_old_from_s = (newest_us + lower_us) // _SECOND_US + 1
        following_s = max(too_old_from_s, now_us // _SECOND_US + 1)
        missed_at_s = line.at(line.before(following_s)).timestamp
        return Verdict(PASS, _EPOCH + dt.timedelta(seconds=missed_at_s))
    except OverflowError:
        # No such deadline within the calendar.
        return Verdict(PASS)


def _later(moment: dt.datetime, length: dt.timedelta) -> dt.datetime | None:
    try:
        return moment + length
    except OverflowError:
        return None
