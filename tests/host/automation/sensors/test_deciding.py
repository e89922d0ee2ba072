"""What the answer of a sensor becomes: the tick, its runs, the cursor and the position."""

import datetime as dt
import itertools

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.automation import evaluations
from atoll_host.automation.sensors import deciding, due
from atoll_host.locations import definitions
from atoll_host.runs import requests
from atoll_storage import records

KEY = records.SensorKey("east", "watch")
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
KIND = due.Kind


def case(kind: due.Kind = KIND.ASSET, *, event_id: int = 7, horizon: int = 9) -> deciding.Case:
    days = partitions_pb2.PartitionsDefinition(
        dynamic=partitions_pb2.DynamicPartitions(name="days")
    )
    snapshot = snapshot_pb2.LocationSnapshot(
        jobs=[snapshot_pb2.JobDefinition(name="nightly", partitions=days)]
    )
    owners = {("theirs",): "west", ("ours",): "east"}
    state = records.SensorState(
        key=KEY,
        running=True,
        cursor="3",
        position=3,
        version=5,
        start_time=NOW,
        last_tick_time=NOW,
        last_run_key="before",
    )
    return deciding.Case(
        evaluation=due.Evaluation(
            due.Sensor(KEY, kind, monitored=(("a",),)), state, horizon, began=0.0, token=1
        ),
        definition=snapshot_pb2.SensorDefinition(name="watch", job_names=["nightly"]),
        place=requests.Place(
            "east",
            definitions.decode("d", snapshot.SerializeToString()),
            lambda path: owners.get(path, ""),
        ),
        tick_id="tick-1",
        start_time=NOW,
        event=events_pb2.StoredEvent(id=event_id) if kind is KIND.ASSET else None,
    )


def decide(which: deciding.Case, **answer: object) -> records.TickCommit:
    counter = itertools.count(1)
    response = location_pb2.EvaluateSensorResponse(build_id="b1", **answer)
    return deciding.decide(which, response, lambda: f"run-{next(counter)}")


def failure_of(commit: records.TickCommit) -> str:
    assert commit.tick.status == automation_pb2.TICK_STATUS_FAILURE
    assert (commit.cursor, commit.position, list(commit.runs)) == (None, None, [])
    assert commit.tick.cursor == "3"
    return commit.tick.failure.message


def report(*path: str, **more: object) -> events_pb2.Event:
    return events_pb2.Event(
        asset_materialization=events_pb2.AssetMaterialization(
            asset_key=values_pb2.AssetKey(path=path)
        ),
        **more,
    )


def test_the_request_carries_what_user_code_may_ask_for() -> None:
    request = deciding.request(case(), 2.5)
    assert (request.sensor_name, request.tick_id, request.cursor) == ("watch", "tick-1", "3")
    assert request.triggering_event.id == 7
    assert request.last_run_key == "before"
    assert request.timeout.ToMilliseconds() == 2500
    assert request.last_tick_completion_time.ToDatetime(tzinfo=dt.UTC) == NOW
    assert request.last_sensor_start_time.ToDatetime(tzinfo=dt.UTC) == NOW


def test_run_requests_become_runs_and_a_success() -> None:
    asked = [location_pb2.RunRequest(run_key="k1"), location_pb2.RunRequest(run_key="k2")]
    commit = decide(case(), run_requests=asked)
    assert commit.tick.status == automation_pb2.TICK_STATUS_SUCCESS
    assert [(run.run_id, run.run_key) for run in commit.runs] == [("run-1", "k1"), ("run-2", "k2")]
    assert commit.expected_version == 5
    assert (commit.tick.event_id, commit.tick.build_id) == (7, "b1")


@pytest.mark.parametrize("reason", ["", "nothing new"])
def test_no_run_request_is_a_skip_with_a_reason(reason: str) -> None:
    commit = decide(case(), skip_reason=reason)
    assert commit.tick.status == automation_pb2.TICK_STATUS_SKIPPED
    assert commit.tick.skip_reason == (reason or "Sensor function returned an empty result")


def test_the_cursor_of_an_asset_sensor_is_its_event_whatever_it_returned() -> None:
    commit = decide(case(), cursor="mine")
    assert (commit.cursor, commit.position) == ("7", 7)
    assert commit.tick.cursor == "7"


def test_a_multi_asset_sensor_moves_to_its_horizon_and_keeps_its_own_cursor() -> None:
    commit = decide(case(KIND.MULTI_ASSET), cursor="mine")
    assert (commit.cursor, commit.position, commit.tick.event_id) == ("mine", 9, 0)
    assert decide(case(KIND.MULTI_ASSET)).cursor is None


def test_a_polling_sensor_has_no_position() -> None:
    commit = decide(case(KIND.POLLING), cursor="")
    assert (commit.cursor, commit.position) == ("", None)


def test_an_exception_of_user_code_moves_nothing() -> None:
    raised = values_pb2.Failure(type="ValueError", message="no")
    commit = decide(case(), failure=raised, cursor="8", log_lines=[{"message": "before"}])
    assert failure_of(commit) == "no"
    assert [line.message for line in commit.tick.log_lines] == ["before"]


def test_run_requests_and_a_skip_reason_cannot_be_mixed() -> None:
    commit = decide(case(), run_requests=[location_pb2.RunRequest()], skip_reason="but why")
    assert "together with the skip reason 'but why'" in failure_of(commit)


def test_one_bad_run_request_fails_the_tick_and_is_named() -> None:
    good, bad = location_pb2.RunRequest(), location_pb2.RunRequest(run_key="k", job_name="nope")
    text = failure_of(decide(case(), run_requests=[good, bad]))
    assert "Run request 2 of 2 (run key 'k') of sensor 'watch'" in text
    assert "'east' has no job 'nope'" in text


def test_a_job_of_another_location_is_refused_by_policy() -> None:
    asked = [location_pb2.RunRequest(job_name="west/nightly")]
    text = failure_of(decide(case(), run_requests=asked))
    assert (
        "Location 'east' may not launch job 'nightly' of location 'west': the host's policy" in text
    )
    assert '[policy] rules = [{ from = "east", to = "west", what = ["launch"]' in text


def test_reported_asset_events_are_part_of_the_tick() -> None:
    commit = decide(case(), asset_events=[report("ours"), report("external")])
    assert [list(e.asset_materialization.asset_key.path) for e in commit.asset_events] == [
        ["ours"],
        ["external"],
    ]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (report("theirs"), "'theirs', which location 'west' materializes"),
        (report(), "without a key"),
        (report("ours", run_id="somebody's"), "one of a run"),
        (report("ours", seq=3), "one of a run"),
        (events_pb2.Event(run_succeeded=events_pb2.RunSucceeded()), "'run_succeeded'"),
        (events_pb2.Event(), "of the kind None"),
    ],
)
def test_a_sensor_can_report_nothing_but_its_own_assets(
    event: events_pb2.Event, words: str
) -> None:
    assert words in failure_of(decide(case(), asset_events=[event]))


def test_a_missed_deadline_says_which_and_that_the_process_was_killed() -> None:
    failure = deciding.past_deadline(case(), 60.0, "no answer")
    text = failure_of(deciding.failed(case(), failure))
    assert "deadline of 60 s" in text
    assert "killed" in text


def test_log_lines_are_bounded() -> None:
    lines = [location_pb2.LogLine(message=str(number)) for number in range(5000)]
    commit = decide(case(), log_lines=lines)
    assert len(commit.tick.log_lines) == deciding.LOG_LINES_MAX


def test_the_refusal_of_a_location_keeps_its_reason() -> None:
    error = errors.LocationRefused("too new", location_name="east", reason="UNSUPPORTED")
    assert evaluations.refused(error).type == "UNSUPPORTED"


def changed(kind: int, *keys: str, name: str = "days") -> location_pb2.DynamicPartitionsRequest:
    return location_pb2.DynamicPartitionsRequest(
        partitions_def_name=name, change=kind, partition_keys=keys
    )


ADD = location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD
DELETE = location_pb2.DYNAMIC_PARTITIONS_CHANGE_DELETE


def test_changes_of_dynamic_partitions_are_committed_with_the_runs_for_them() -> None:
    commit = decide(
        case(),
        dynamic_partitions_requests=[changed(ADD, "a", "b"), changed(DELETE, "old")],
        run_requests=[location_pb2.RunRequest(partition_key="a")],
    )
    kinds = records.DynamicPartitionsChangeKind
    assert commit.dynamic_partitions == [
        records.DynamicPartitionsChange("days", kinds.ADD, ("a", "b")),
        records.DynamicPartitionsChange("days", kinds.DELETE, ("old",)),
    ]
    assert [run.partition_key for run in commit.runs] == ["a"]


@pytest.mark.parametrize(
    "wrong",
    [
        changed(ADD, "a", ""),
        changed(ADD, "x" * 2000),
        changed(ADD, "a\0"),
        changed(ADD, "a", name=""),
        changed(location_pb2.DYNAMIC_PARTITIONS_CHANGE_UNSPECIFIED, "a"),
    ],
)
def test_a_wrong_change_of_dynamic_partitions_fails_the_whole_tick(wrong) -> None:
    commit = decide(
        case(),
        dynamic_partitions_requests=[changed(ADD, "good"), wrong],
        run_requests=[location_pb2.RunRequest(run_key="k")],
    )
    assert "'watch'" in failure_of(commit)
    assert list(commit.dynamic_partitions) == []
