"""The searches of the chaos suite over evidence made by hand: all is well, or one thing is not."""

import dataclasses

import pytest

from atoll.api.v1 import automation_pb2, conditions_pb2
from atoll.events.v1 import events_pb2
from tests.chaos import (
    backfill_verification,
    condition_verification,
    evidence,
    run_sensor_verification,
)

DAY, NEXT_DAY = "2026-01-01", "2026-01-02"
BACKFILL = {"atoll/backfill": "b"}


class Log:
    """Makes events, numbered as they come."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, events_pb2.Event]] = []

    def add(self, run_id: str, body: str) -> int:
        event = events_pb2.Event(run_id=run_id)
        getattr(event, body).SetInParent()
        return self._put(run_id, event)

    def made(self, run_id: str, asset: str, day: str) -> int:
        event = events_pb2.Event(run_id=run_id)
        event.asset_materialization.asset_key.path.append(asset)
        event.asset_materialization.partition = day
        return self._put(run_id, event)

    def backfill_ended(self, status: str) -> None:
        event = events_pb2.Event()
        event.backfill_ended.backfill_id = "b"
        event.backfill_ended.status = status
        self._put("", event)

    def run(self, run_id: str, asset: str, day: str, end: str = "run_succeeded") -> None:
        """A whole run; one that fails makes nothing."""
        for body in ("run_enqueued", "run_starting"):
            self.add(run_id, body)
        if end == "run_succeeded":
            self.made(run_id, asset, day)
        self.add(run_id, end)

    def _put(self, run_id: str, event: events_pb2.Event) -> int:
        self.events.append((len(self.events) + 1, run_id, event))
        return len(self.events)


def _days(**assets: str) -> dict[str, frozenset[str]]:
    return {asset: frozenset(days.split()) for asset, days in assets.items()}


def _run(asset: str, day: str = DAY, status: str = "SUCCESS", **more: object) -> evidence.Run:
    given = {"tags": BACKFILL, "location": "source", "retry_decided": status == "FAILURE", **more}
    return evidence.Run(status, assets=[asset], partition=day, **given)


def _backfilled() -> tuple[Log, dict[str, evidence.Run], evidence.Backfill]:
    """A backfill of one day of two assets, whole and good."""
    log = Log()
    log.run("r1", "up", DAY)
    log.run("r2", "down", DAY)
    whole = _days(up=DAY, down=DAY)
    none = _days(up="", down="")
    backfill = evidence.Backfill("COMPLETED_SUCCESS", whole, whole, whole, none)
    return log, {"r1": _run("up"), "r2": _run("down")}, backfill


def _look(
    log: Log,
    runs: dict[str, evidence.Run],
    backfill: evidence.Backfill,
    *,
    limit: int = 1,
    end: bool = True,
    **more: object,
) -> list[str]:
    if end:
        log.backfill_ended(backfill.status)
    found = evidence.Evidence(runs, log.events, backfills={"b": backfill}, **more)
    return backfill_verification.violations(found, "up", "down", limit)


def test_a_good_backfill_is_good():
    assert _look(*_backfilled()) == []


def test_a_backfill_that_failed_where_its_runs_did_is_good():
    log = Log()
    log.run("r1", "up", DAY, "run_failed")
    log.run("r2", "up", DAY, "run_failed")
    target = _days(up=DAY, down=DAY)
    tried, none = _days(up=DAY, down=""), _days(up="", down="")
    backfill = evidence.Backfill("COMPLETED_FAILED", target, tried, none, tried)
    runs = {"r1": _run("up", status="FAILURE"), "r2": _run("up", status="FAILURE", parent="r1")}
    assert _look(log, runs, backfill) == []


@pytest.mark.parametrize("status", ["REQUESTED", "PAUSED", "CANCELING", "CANCELED", "FAILED"])
def test_a_backfill_that_did_not_complete(status: str):
    log, runs, backfill = _backfilled()
    found = _look(log, runs, dataclasses.replace(backfill, status=status))
    assert found == [f"backfill b is stuck: {status}"]


def test_a_backfill_whose_end_was_not_told_or_told_twice():
    log, runs, backfill = _backfilled()
    assert "its ends are []" in _look(log, runs, backfill, end=False)[0]
    log.backfill_ended(backfill.status)
    assert (
        "its ends are ['COMPLETED_SUCCESS', 'COMPLETED_SUCCESS']" in _look(log, runs, backfill)[0]
    )


def test_a_run_that_a_backfill_never_accounts_for():
    found = _look(*_backfilled(), open_runs=[("r2", "b")])
    assert found == ["run r2 of backfill b is left"]


def test_a_partition_that_is_requested_twice():
    log, runs, backfill = _backfilled()
    log.run("r3", "up", DAY)
    found = _look(log, {**runs, "r3": _run("up")}, backfill)
    assert any("run r3 was requested beside run r1" in each for each in found)
    assert any("run r3 was requested though it was materialized" in each for each in found)


def test_a_partition_that_is_lost():
    log, runs, backfill = _backfilled()
    more = _days(up=f"{DAY} {NEXT_DAY}", down=f"{DAY} {NEXT_DAY}")
    left = dataclasses.replace(backfill, target=more, status="COMPLETED_FAILED")
    assert _look(log, runs, left) == ["backfill b left out some of up"]


def test_a_partition_whose_run_is_not_there():
    log, runs, backfill = _backfilled()
    del runs["r2"]
    found = _look(log, runs, backfill)
    assert "what was requested of down of backfill b and its runs differ" in found


def test_what_is_downstream_requested_too_early():
    _, runs, backfill = _backfilled()
    log = Log()
    log.add("r2", "run_enqueued")
    log.run("r1", "up", DAY)
    log.made("r2", "down", DAY)
    log.add("r2", "run_succeeded")
    assert _look(log, runs, backfill) == [f"run r2 was requested before up of {DAY} was there"]


def test_what_is_downstream_never_requested():
    log, runs, backfill = _backfilled()
    del runs["r2"]
    none = _days(up=DAY, down="")
    log.events = [each for each in log.events if each[1] != "r2"]
    lost = dataclasses.replace(
        backfill, requested=none, materialized=none, status="COMPLETED_FAILED"
    )
    assert _look(log, runs, lost) == ["backfill b left out some of down"]


def test_more_runs_than_the_limit_lets():
    log, runs, backfill = _backfilled()
    assert _look(log, runs, backfill, limit=0)[0].startswith("at event 2 more than 0 runs")


@pytest.mark.parametrize(
    ("children", "decided", "wrong"),
    [(1, True, 0), (0, True, 1), (2, True, 1), (1, False, 1)],
)
def test_a_failed_run_is_run_again_once(children: int, decided: bool, wrong: int):
    tags = {"atoll/max_retries": "1"}
    runs = {"r": _run("up", status="FAILURE", tags=tags, retry_decided=decided)}
    again = {**tags, "atoll/retry_number": "1"}
    for number in range(children):
        runs[f"c{number}"] = _run("up", parent="r", tags=again)
    assert len(backfill_verification.retry_violations(evidence.Evidence(runs, []))) == wrong


class Condition:
    """A condition that was evaluated some times, and what it came to."""

    def __init__(self) -> None:
        self.log = Log()
        self.runs: dict[str, evidence.Run] = {}
        self.ticks: list[automation_pb2.Tick] = []
        self.evaluations: list[conditions_pb2.ConditionEvaluation] = []
        self.held: list[str] = []

    def request(self, run_id: str, position: int) -> None:
        tick_id = f"tick of {run_id}"
        tags = {
            condition_verification.TAG: "true",
            "atoll/sensor_name": "s",
            "atoll/tick": tick_id,
        }
        self.runs[run_id] = _run("target", tags=tags)
        self.ticks.append(
            automation_pb2.Tick(tick_id=tick_id, sensor_name="s", status=1, run_ids=[run_id])
        )
        evaluation = conditions_pb2.ConditionEvaluation(
            evaluation_id=position, tick_id=tick_id, event_id=position, run_ids=[run_id]
        )
        evaluation.entity.asset.path.append("target")
        evaluation.requested.count = 1
        self.evaluations.append(evaluation)
        self.log.add(run_id, "run_enqueued")

    def update(self) -> int:
        return self.log.made("r1", "up", DAY)

    def look(self) -> list[str]:
        found = evidence.Evidence(
            self.runs,
            self.log.events,
            self.ticks,
            evaluations=self.evaluations,
            held=self.held,
        )
        return condition_verification.violations(found, "s", "up", "target")


@pytest.fixture
def condition() -> Condition:
    """One update and its request, a second update and its request."""
    made = Condition()
    for run_id in ("t1", "t2"):
        made.request(run_id, made.update())
    return made


def test_a_request_for_each_update_is_good(condition: Condition):
    assert condition.look() == []


def test_an_update_before_the_target_was_made_needs_no_request(condition: Condition):
    condition.update()
    condition.log.made("t2", "target", DAY)
    assert condition.look() == []


def test_two_requests_for_one_update(condition: Condition):
    condition.request("t3", len(condition.log.events))
    (found,) = condition.look()
    assert "was requested at 4 for no update since 3" in found


def test_an_update_without_a_request(condition: Condition):
    number = condition.update()
    assert condition.look() == [f"target of {DAY} was not requested for the update {number}"]


def test_a_run_of_a_condition_that_no_evaluation_or_tick_tells_of(condition: Condition):
    condition.evaluations.pop()
    condition.ticks.pop()
    found = condition.look()
    assert "run t2 was requested by 0 ticks" in found
    assert "run t2 is of no evaluation" in found


def test_an_evaluation_and_a_tick_whose_run_was_never_made(condition: Condition):
    del condition.runs["t2"]
    found = condition.look()
    assert "a tick names run t2, which no condition requested" in found
    assert "evaluation 3 has no run t2" in found


def test_a_request_that_no_run_came_of(condition: Condition):
    condition.evaluations[1].run_ids[:] = []
    assert "evaluation 3 requested 1 partitions in 0 runs" in condition.look()


def test_a_run_of_another_tick_or_sensor(condition: Condition):
    tags = {**condition.runs["t2"].tags, "atoll/tick": "x", "atoll/sensor_name": "x"}
    condition.runs["t2"] = _run("target", tags=tags)
    found = condition.look()
    assert "tick tick of t2 says of run t2 what the run does not say" in found
    assert any(each.startswith("run t2 of the condition is for") for each in found)


def test_a_request_that_waits_for_ever(condition: Condition):
    condition.held.append("target")
    assert condition.look() == ["the request of target waits"]


@pytest.mark.parametrize(
    ("triggers", "status", "wrong"),
    [
        (["r1"], 2, 0),
        ([], 2, 1),
        (["r1", "r1"], 2, 1),
        (["r1"], 3, 1),
        (["r1", "r9"], 2, 1),
    ],
)
def test_each_run_is_decided_on_once(triggers: list[str], status: int, wrong: int):
    log, runs, _ = _backfilled()
    runs["r2"] = _run("down", location="sink")
    ticks = [
        automation_pb2.Tick(sensor_name="s", status=status, triggering_run_id=each, event_id=4)
        for each in triggers
    ]
    found = evidence.Evidence(runs, log.events, ticks)
    assert len(run_sensor_verification.violations(found, "s", "source", "SUCCESS")) == wrong


def test_a_run_that_is_decided_on_at_another_event():
    log, runs, _ = _backfilled()
    ticks = [
        automation_pb2.Tick(sensor_name="s", status=2, triggering_run_id=run_id, event_id=4)
        for run_id in runs
    ]
    found = evidence.Evidence(runs, log.events, ticks)
    wrong = run_sensor_verification.violations(found, "s", "source", "SUCCESS")
    assert wrong == ["s decided on run r2 at event 4"]
