"""How fresh an asset is: exact at every bound, and as somebody would find out minute by minute."""

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll._partitions import timelines
from atoll.definitions.v1 import policies_pb2
from atoll_host.automation.freshness import deciding

UTC = dt.UTC
NOON = dt.datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR, MINUTE, US = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(microseconds=1)
WINDOW = deciding.Window(fail=2 * HOUR, warn=HOUR)
MORNING = deciding.Deadlines("0 9 * * *", "UTC", HOUR)


def at(hour: int, minute: int = 0, day: int = 4, zone: str = "UTC") -> dt.datetime:
    return dt.datetime(2026, 5, day, hour, minute, tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)


def test_an_asset_without_a_policy_has_no_state() -> None:
    assert deciding.decide(None, NOON, NOON) == deciding.Verdict(deciding.NOT_APPLICABLE)


@pytest.mark.parametrize("policy", [WINDOW, MORNING])
def test_an_asset_that_was_never_materialized_is_unknown(policy: deciding.Policy) -> None:
    assert deciding.decide(policy, None, NOON) == deciding.Verdict(deciding.UNKNOWN)


@pytest.mark.parametrize(
    ("age", "state", "changes_after"),
    [
        (dt.timedelta(0), deciding.PASS, HOUR),
        (HOUR - US, deciding.PASS, US),
        (HOUR, deciding.WARN, HOUR),
        (2 * HOUR - US, deciding.WARN, US),
        (2 * HOUR, deciding.FAIL, None),
        (200 * HOUR, deciding.FAIL, None),
        (-HOUR, deciding.PASS, 2 * HOUR),
    ],
)
def test_a_window_counts_from_the_newest_materialization(age, state, changes_after) -> None:
    verdict = deciding.decide(WINDOW, NOON - age, NOON)
    assert verdict.state == state
    assert verdict.changes_at == (None if changes_after is None else NOON + changes_after)


def test_a_window_without_a_warning_goes_from_pass_to_fail() -> None:
    policy = deciding.Window(fail=HOUR)
    assert deciding.decide(policy, NOON, NOON) == deciding.Verdict(deciding.PASS, NOON + HOUR)
    assert deciding.decide(policy, NOON, NOON + HOUR).state == deciding.FAIL


@pytest.mark.parametrize(
    ("made", "now", "state", "changes_at"),
    [
        # On time: fresh until the deadline of the day after.
        (at(8, 30), at(8, 45), deciding.PASS, at(9, day=5)),
        (at(8), at(9), deciding.PASS, at(9, day=5)),
        # A minute too early for the deadline.
        (at(7, 59), at(8, 59), deciding.PASS, at(9)),
        (at(7, 59), at(9), deciding.FAIL, None),
        # Late: fresh again from then on.
        (at(10, 30), at(10, 30), deciding.PASS, at(9, day=5)),
        # Within the window of today, the deadline of yesterday counts.
        (at(8, 30, day=3), at(8, 59), deciding.PASS, at(9)),
        (at(7, 0, day=3), at(8, 59), deciding.FAIL, None),
    ],
)
def test_a_deadline_takes_what_is_not_older_than_its_bound(made, now, state, changes_at) -> None:
    assert deciding.decide(MORNING, made, now) == deciding.Verdict(state, changes_at)


def test_deadlines_are_in_their_own_zone() -> None:
    policy = deciding.Deadlines("0 9 * * *", "America/New_York", HOUR)
    made = at(7, 59, zone="America/New_York")
    verdict = deciding.decide(policy, made, made)
    assert verdict == deciding.Verdict(deciding.PASS, at(9, zone="America/New_York"))


def test_a_policy_of_a_newer_kind_or_with_a_broken_cron_is_unknown() -> None:
    empty = deciding.policy_of(policies_pb2.FreshnessPolicy())
    cron = policies_pb2.CronFreshness(deadline_cron="nonsense", timezone="UTC")
    broken = deciding.policy_of(policies_pb2.FreshnessPolicy(cron=cron))
    assert isinstance(empty, deciding.Unreadable)
    assert isinstance(broken, deciding.Unreadable)
    assert deciding.decide(broken, NOON, NOON).state == deciding.UNKNOWN


moments = st.timedeltas(dt.timedelta(0), dt.timedelta(days=3650)).map(
    lambda since: dt.datetime(2020, 1, 1, tzinfo=UTC) + since
)
lengths = st.timedeltas(MINUTE, dt.timedelta(days=3))


@st.composite
def policies(draw: st.DrawFn) -> deciding.Policy:
    if draw(st.booleans()):
        warn, more = draw(lengths), draw(lengths)
        return deciding.Window(warn + more, draw(st.sampled_from([None, warn])))
    cron = draw(st.sampled_from(["*/7 * * * *", "0 9 * * 1-5", "30 2 * * *", "0 0 1 * *"]))
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]))
    return deciding.Deadlines(cron, zone, draw(lengths))


def reference(policy: deciding.Policy, made: dt.datetime, now: dt.datetime) -> deciding.State:
    """Say the state the slow way: by walking the deadlines back from now."""
    if isinstance(policy, deciding.Window):
        age = now - made
        if age >= policy.fail:
            return deciding.FAIL
        return deciding.WARN if policy.warn is not None and age >= policy.warn else deciding.PASS
    assert isinstance(policy, deciding.Deadlines)
    line = timelines.timeline(policy.cron, policy.timezone)
    number = line.before(now.timestamp() + 5)
    while (deadline := dt.datetime.fromtimestamp(line.at(number).timestamp, UTC)) > now:
        number -= 1
    return deciding.PASS if made >= deadline - policy.lower_bound else deciding.FAIL


@given(policy=policies(), made=moments, ahead=st.timedeltas(dt.timedelta(0), dt.timedelta(days=9)))
def test_the_state_is_that_of_the_reference_and_lasts_until_it_is_said_to_change(
    policy, made, ahead
) -> None:
    now = made + ahead
    verdict = deciding.decide(policy, made, now)
    assert verdict.state == reference(policy, made, now)
    if verdict.changes_at is None:
        assert verdict.state == deciding.FAIL
        assert reference(policy, made, now + dt.timedelta(days=400)) == deciding.FAIL
    else:
        assert verdict.changes_at > now
        assert reference(policy, made, verdict.changes_at - US) == verdict.state
        assert reference(policy, made, verdict.changes_at) != verdict.state
        assert deciding.decide(policy, made, verdict.changes_at).state != verdict.state
