"""What the answer of a schedule becomes: the tick, its runs, and where the schedule stands."""

import datetime as dt
import itertools

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.automation import evaluations
from atoll_host.automation.schedules import deciding, due, planning
from atoll_host.locations import definitions, timetables
from atoll_host.runs import requests
from atoll_storage import records
from tests.host.automation.schedules import world

NOW = world.moment(world.START)
TIME = world.START - 30
SUCCESS, SKIPPED, FAILURE = (
    automation_pb2.TICK_STATUS_SUCCESS,
    automation_pb2.TICK_STATUS_SKIPPED,
    automation_pb2.TICK_STATUS_FAILURE,
)


def case(*, retries_max: int = 1, **state: object) -> deciding.Case:
    days = partitions_pb2.PartitionsDefinition(
        dynamic=partitions_pb2.DynamicPartitions(name="days")
    )
    snapshot = snapshot_pb2.LocationSnapshot(
        jobs=[snapshot_pb2.JobDefinition(name="job", partitions=days)]
    )
    defined = world.definition("s", "0 * * * *")
    schedule = world.schedule(defined, retries_max=retries_max)
    before = world.state(schedule, TIME - 3600, version=5, **state)
    return deciding.Case(
        task=due.Task(schedule, before, planning.Due(TIME), token=1),
        time=TIME,
        definition=defined,
        place=requests.Place(
            "a", definitions.decode("d", snapshot.SerializeToString()), lambda _: ""
        ),
        tick_id="tick-1",
        start_time=NOW,
    )


def decide(which: deciding.Case, **answer: object) -> records.ScheduleCommit:
    counter = itertools.count(1)
    response = location_pb2.EvaluateScheduleResponse(build_id="b1", **answer)
    return deciding.decide(which, response, lambda: f"run-{next(counter)}")


def ask(**fields: object) -> location_pb2.RunRequest:
    return location_pb2.RunRequest(**fields)


def test_the_location_is_asked_for_the_time_and_not_for_now():
    request = deciding.request(case(), 2.5)
    assert (request.schedule_name, request.tick_id) == ("s", "tick-1")
    assert request.scheduled_time.ToDatetime(dt.UTC) == world.moment(TIME)
    assert request.timeout.ToTimedelta() == dt.timedelta(seconds=2.5)


def test_runs_are_of_the_job_of_the_schedule_and_one_for_each_time_and_key():
    commit = decide(case(), run_requests=[ask(run_key="k", tags={"a": "b"}), ask(run_key="l")])
    first, second = commit.runs
    assert (commit.tick.status, commit.position, commit.expected_version) == (
        SUCCESS,
        world.moment(TIME),
        5,
    )
    assert (first.run_id, first.job_name, first.requested_build_id) == ("run-1", "job", "b1")
    assert first.tags == {
        "a": "b",
        "atoll/schedule_name": "s",
        "atoll/scheduled_execution_time": "2026-03-01T12:00:00+00:00",
        "atoll/tick": "tick-1",
        "atoll/run_key": "k",
    }
    again = decide(case(), run_requests=[ask(run_key="k")])
    assert again.runs[0].request_id == first.request_id != second.request_id
    key = records.ScheduleKey("a", "s")
    assert deciding.request_id(key, TIME, "k") == first.request_id
    assert deciding.request_id(key, TIME + 3600, "k") != first.request_id


def test_a_schedule_that_asks_for_nothing_skips():
    assert decide(case(), skip_reason="a holiday").tick.skip_reason == "a holiday"
    empty = decide(case())
    assert (empty.tick.status, empty.tick.skip_reason) == (SKIPPED, deciding.EMPTY_RESULT)
    assert empty.position == world.moment(TIME)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"run_requests": [ask()], "skip_reason": "x"}, "1 run requests together with the skip"),
        ({"run_requests": [ask(job_name="other")]}, "'other' is not that of schedule 's'"),
        ({"run_requests": [ask(partition_key="x")]}, "Run request 1 of 1 of schedule 's' is refus"),
        ({"run_requests": [ask(run_key="nul \0")]}, "NUL"),
        (
            {"dynamic_partitions_requests": [{"partitions_def_name": "days", "change": 9}]},
            "9 is no change of dynamic partitions",
        ),
    ],
)
def test_whatever_is_wrong_fails_the_whole_tick(answer, complaint):
    commit = decide(case(), **answer)
    assert (commit.tick.status, list(commit.runs)) == (FAILURE, [])
    assert complaint in commit.tick.failure.message
    assert commit.position == world.moment(TIME - 3600)
    assert (commit.failing_time, commit.failures) == (world.moment(TIME), 1)


def test_a_partition_that_the_same_tick_adds_may_be_run():
    change = {
        "partitions_def_name": "days",
        "change": location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD,
        "partition_keys": ["d1"],
    }
    commit = decide(
        case(),
        dynamic_partitions_requests=[change],
        run_requests=[ask(partition_key="d1")],
    )
    assert commit.runs[0].partition_key == "d1"
    assert commit.dynamic_partitions[0].partition_keys == ("d1",)


def test_the_last_try_gives_up_and_an_older_failure_does_not_count():
    failure = values_pb2.Failure(type="ValueError", message="broken")
    last = deciding.failed(case(failing_time=world.moment(TIME), failures=1), failure)
    assert (last.position, last.failing_time, last.failures) == (world.moment(TIME), None, 0)
    assert last.tick.log_lines[-1].message.startswith("This was try 2 of 2")
    other = deciding.failed(case(failing_time=world.moment(TIME - 60), failures=1), failure)
    assert (other.position, other.failures) == (world.moment(TIME - 3600), 1)
    never_again = deciding.failed(case(retries_max=0), failure)
    assert never_again.position == world.moment(TIME)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (timetables.Count(1), "1 tick, of 2026-03-01T12:00:00+00:00, was missed and is not made"),
        (timetables.Count(7), "7 ticks, from 2026-03-01T12:00:00+00:00 to "),
        (timetables.Count(70_000, exact=False), "About 70000 ticks, from "),
    ],
)
def test_what_is_left_out_is_told_by_one_tick(count, text):
    step = planning.LeaveOut(TIME, TIME + 7200, count, 5)
    commit = deciding.left_out(case().task, step, "tick-2", NOW)
    assert commit.tick.skip_reason.startswith(text)
    assert commit.tick.skip_reason.endswith(": of missed ticks, the newest 5 are.")
    assert commit.position == world.moment(TIME + 7200)
    assert (commit.tick.status, commit.expected_version) == (SKIPPED, 5)


def test_failures_of_the_way_say_what_happened():
    refused = errors.LocationRefused("no", location_name="a", reason="INVALID_REQUEST")
    assert evaluations.refused(refused).type == "INVALID_REQUEST"
    assert (
        "did not end within its deadline of 2 s" in deciding.past_deadline(case(), 2, "x").message
    )
    assert "cannot be stored: 'NUL'" in deciding.unstorable(case(), "NUL").message


def test_the_state_after_a_commit_is_what_storage_keeps():
    commit = decide(case())
    tick = automation_pb2.Tick()
    tick.CopyFrom(commit.tick)
    tick.end_time.FromDatetime(NOW)
    after = deciding.state_after(case().task.state, commit, tick)
    assert (after.version, after.position, after.last_tick_time) == (6, commit.position, NOW)
