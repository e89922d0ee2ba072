"""One trouble is told once: deduplication against a slow reference, and which rule fits what."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.api.v1 import automation_pb2
from atoll.events.v1 import events_pb2
from atoll_host.alerts import deciding, occurring, rules
from atoll_host.locations import registry as registries
from atoll_storage import alert_records, records

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
TRIGGER = rules.Trigger
HOOK = {"type": "webhook", "url": "https://hooks.example.org/x"}


def rule(name: str = "r", **fields) -> rules.Rule:
    return rules.Rule(**{"name": name, "on": "run_failure", "notify": [HOOK], **fields})


def failed(at: dt.datetime, job: str = "load", **fields) -> occurring.Occurrence:
    values = {"location": "east", "job": job}
    return occurring.Occurrence(TRIGGER.RUN_FAILURE, f"job:{job}", at, values, **fields)


causes = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 200)), max_size=30).map(
    lambda found: [(job, minutes) for job, minutes in sorted(found, key=lambda one: one[1])]
)


@given(causes, st.integers(0, 90), st.data())
def test_a_trouble_is_told_once_within_its_time_and_nothing_is_lost(found, window, data) -> None:
    repeat = dt.timedelta(minutes=window)
    rule_ = rule(repeat_after=repeat)
    memories: deciding.Memories = {}
    told: list[tuple[str, int, int]] = []
    left = list(found)
    # However the causes are cut into batches, the same is told.
    while left:
        size = data.draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        occurrences = [failed(START + dt.timedelta(minutes=m), job) for job, m in batch]
        decided = deciding.decide(occurrences, [rule_], memories)
        memories.update(decided.memories)
        for alert in decided.alerts:
            minutes = (alert.create_time.ToDatetime(dt.UTC) - START) // dt.timedelta(minutes=1)
            told.append((alert.subject, minutes, alert.suppressed_count))

    expected: list[tuple[str, int, int]] = []
    last: dict[str, int] = {}
    held: dict[str, int] = {}
    for job, minutes in found:
        if job not in last or minutes - last[job] >= window:
            expected.append((f"job:{job}", minutes, held.pop(job, 0)))
            last[job] = minutes
        else:
            held[job] = held.get(job, 0) + 1
    assert told == expected
    waiting = {key.subject: memory.suppressed_count for key, memory in memories.items()}
    assert sum(count for _, _, count in told) + len(told) + sum(waiting.values()) == len(found)


def test_the_count_is_told_in_the_next() -> None:
    one = rule(repeat_after="1h")
    times = [START, START + HOUR / 2, START + HOUR / 2, START + HOUR]
    decided = deciding.decide([failed(at) for at in times], [one], {})
    first, second = decided.alerts
    assert (first.suppressed_count, second.suppressed_count) == (0, 2)
    assert second.body.endswith("(2 more since the alert before.)")
    own = rule(body="again: $count")
    decided = deciding.decide([failed(at) for at in times], [own], {})
    assert decided.alerts[1].body == "again: 2"


def test_two_hosts_make_the_same_alert_with_the_same_ids() -> None:
    one = deciding.decide([failed(START, event_id=3)], [rule()], {}).alerts
    two = deciding.decide([failed(START, event_id=3)], [rule()], {}).alerts
    other = deciding.decide([failed(START, event_id=4)], [rule()], {}).alerts
    assert one == two
    assert one[0].alert_id != other[0].alert_id
    assert one[0].deliveries[0].target == "webhook https://hooks.example.org"


def test_a_state_that_lasts_is_told_once_for_each_time_it_began() -> None:
    one = rule(on="location_away", longer_than="5m", repeat_after="1m")

    def away(since: dt.datetime, lasts_minutes: int) -> occurring.Occurrence:
        lasts = dt.timedelta(minutes=lasts_minutes)
        return occurring.Occurrence(
            TRIGGER.LOCATION_AWAY, "location:a", since, {"location": "a"}, lasts=lasts, once=True
        )

    memories: deciding.Memories = {}
    counts = []
    for occurrence in (
        away(START, 4),
        away(START, 5),
        away(START, 500),
        away(START + HOUR, 6),
        away(START + HOUR, 60),
    ):
        decided = deciding.decide([occurrence], [one], memories)
        memories.update(decided.memories)
        counts.append(len(decided.alerts))
    assert counts == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"locations": ["east"]}, True),
        ({"locations": ["e*", "north"]}, True),
        ({"locations": ["west"]}, False),
        ({"jobs": ["lo?d"]}, True),
        ({"jobs": ["other"]}, False),
        ({"tags": {"team": "a"}}, True),
        ({"tags": {"team": "a", "tier": "1"}}, False),
        ({"on": "location_away"}, False),
    ],
)
def test_a_rule_fits_by_all_of_its_filters(fields, expected) -> None:
    occurrence = failed(START, tags={"team": "a"})
    assert deciding.fits(rule(**fields), occurrence) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"assets": ["sales/*"]}, True),
        ({"assets": ["sales"]}, False),
        ({"groups": ["prod"]}, True),
        ({"groups": ["dev"]}, False),
        ({"severity": "error"}, False),
        ({"severity": "warn"}, True),
    ],
)
def test_checks_are_chosen_by_their_asset_and_severity(fields, expected) -> None:
    stored = events_pb2.StoredEvent()
    told = stored.event.asset_check_evaluation
    told.asset_key.path.extend(["sales", "daily"])
    told.severity = events_pb2.ASSET_CHECK_SEVERITY_WARN
    occurrence = occurring.of_check(stored, None)
    assert occurrence is not None
    placed = occurring.Occurrence(
        occurrence.trigger,
        occurrence.subject,
        START,
        occurrence.values,
        group="prod",
        rank=occurrence.rank,
    )
    assert deciding.fits(rule(on="check_failed", **fields), placed) is expected


def test_what_went_well_is_nothing_to_tell() -> None:
    stored = events_pb2.StoredEvent()
    stored.event.asset_check_evaluation.passed = True
    assert occurring.of_check(stored, None) is None
    stored.event.freshness_state_change.new_state = events_pb2.FRESHNESS_STATE_PASS
    assert occurring.of_freshness(stored, None, "") is None


@pytest.mark.parametrize(
    ("status", "is_told"),
    [
        ("COMPLETED_SUCCESS", False),
        ("CANCELED", False),
        ("COMPLETED_FAILED", True),
        ("FAILED", True),
    ],
)
def test_a_backfill_is_told_of_where_not_all_of_it_was_made(status: str, *, is_told: bool) -> None:
    stored = events_pb2.StoredEvent()
    stored.event.backfill_ended.status = status
    stored.event.backfill_ended.title = "all of May"
    occurrence = occurring.of_backfill(stored)
    assert (occurrence is not None) is is_told
    if occurrence is not None:
        assert occurrence.values["backfill"] == "all of May"


def test_a_worse_state_is_another_subject() -> None:
    subjects = set()
    for state in (events_pb2.FRESHNESS_STATE_WARN, events_pb2.FRESHNESS_STATE_FAIL):
        stored = events_pb2.StoredEvent()
        stored.event.freshness_state_change.new_state = state
        occurrence = occurring.of_freshness(stored, None, "")
        assert occurrence is not None
        subjects.add(occurrence.subject)
    assert len(subjects) == 2


def test_only_failures_at_the_newest_end_are_in_a_row() -> None:
    tick = automation_pb2.Tick()
    for is_sensor, trigger in ((True, "sensor_failing"), (False, "schedule_failing")):
        ticks = alert_records.FailingTicks("a", "s", is_sensor, (3, 3, 1, 3), START, tick)
        told = occurring.of_ticks(ticks)
        assert (told.count, told.trigger) == (2, trigger)


def test_a_location_is_away_only_since_somebody_watches() -> None:
    server = records.ServerRecord(
        location_name="a",
        server_id="s",
        incarnation_id="i",
        epoch=1,
        address="",
        version="",
        features=(),
        host_id="h",
        build=None,
        load_failure=None,
        draining=False,
        register_time=START,
        lease_expire_time=START,
        current=True,
    )
    state = events_pb2.LOCATION_STATE_UNREACHABLE
    view = registries.LocationView("a", server, state, None, None, None, {})
    now = START + 10 * HOUR
    seen = occurring.of_location(view, now, START - HOUR)
    assert seen is not None
    assert seen.lasts == 10 * HOUR
    begun = occurring.of_location(view, now, now - HOUR / 60)
    assert begun is not None
    assert begun.lasts == HOUR / 60
    assert begun.at == seen.at == START
    serving = dataclasses.replace(view, state=events_pb2.LOCATION_STATE_SERVING)
    assert occurring.of_location(serving, now, START) is None
