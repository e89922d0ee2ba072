"""What the answer to a hand-over means, and what is handed over."""

import datetime as dt

import pytest

from atoll._rpc import reasons
from atoll_host import errors
from atoll_host.runs import handover
from atoll_storage import records

VERDICT = handover.Verdict


def refused(reason: str) -> errors.LocationError:
    return errors.LocationRefused("no", location_name="east", reason=reason)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (reasons.UNKNOWN_JOB, VERDICT.FAIL),
        (reasons.INVALID_RUN_CONFIG, VERDICT.FAIL),
        (reasons.INVALID_REQUEST, VERDICT.FAIL),
        (reasons.DRAINING, VERDICT.REQUEUE),
        (reasons.NO_BUILD, VERDICT.REQUEUE),
        (reasons.BUSY, VERDICT.REQUEUE),
        (reasons.WRONG_SERVER, VERDICT.REQUEUE),
        (reasons.STATE_DIRECTORY_UNUSABLE, VERDICT.REQUEUE),
        (reasons.STALE_ATTEMPT, VERDICT.SUPERSEDED),
        (reasons.RUN_ALREADY_ENDED, VERDICT.ACCEPTED),
    ],
)
def test_a_refusal_is_definite(reason: str, verdict: handover.Verdict) -> None:
    assert handover.judge(refused(reason)) is verdict


@pytest.mark.parametrize("reason", [reasons.UNREACHABLE, reasons.DEADLINE_EXCEEDED, "WHATEVER"])
def test_no_answer_is_never_a_verdict(reason: str) -> None:
    error = errors.LocationUnavailable("?", location_name="east", reason=reason)
    assert handover.judge(error) is VERDICT.ASK_AGAIN


def test_the_plan_carries_the_run() -> None:
    run = records.RunRecord(
        run_id="r",
        location_name="east",
        job_name="nightly",
        status=records.RunStatus.STARTING,
        tags={"a": "b"},
        run_config=b"{}",
        asset_selection=(("x", "y"),),
        partition_key="p",
        create_time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        start_time=None,
        end_time=None,
        requested_build_id="",
        build_id="",
        server_id="s",
        attempt=2,
        failure=None,
        sensor_name="",
        tick_id="",
        run_key="",
    )
    plan = handover.plan(run)
    assert (plan.run_id, plan.job_name, plan.attempt, plan.partition_key) == (
        "r",
        "nightly",
        2,
        "p",
    )
    assert dict(plan.tags) == {"a": "b"}
    assert (plan.run_config.content_type, plan.run_config.data) == ("application/json", b"{}")
    assert [list(key.path) for key in plan.asset_selection] == [["x", "y"]]
