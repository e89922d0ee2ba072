"""Why a run waits, in words."""

import dataclasses
import datetime as dt

import pytest

from atoll.events.v1 import events_pb2
from atoll_host.locations import registry as registries
from atoll_host.runs import waiting
from atoll_storage import claiming, queue_records, records

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LIMITS = queue_records.ClaimLimits(
    active_max=5,
    active_per_location_max=2,
    locations={"small": 1},
    jobs={"east/other": 1},
    tags=(
        queue_records.TagLimit("db", None, 1, per_unique_value=True),
        queue_records.TagLimit("x", "y", 0),
    ),
    pools=queue_records.PoolLimits(None, {"p": 1}),
)
RUN = records.RunRecord(
    run_id="r",
    location_name="east",
    job_name="job",
    status=records.RunStatus.QUEUED,
    tags={},
    run_config=None,
    asset_selection=(),
    partition_key="",
    create_time=NOW,
    start_time=None,
    end_time=None,
    requested_build_id="",
    build_id="",
    server_id="",
    attempt=0,
    failure=None,
    sensor_name="",
    tick_id="",
    run_key="",
)
SERVER = records.ServerRecord(
    location_name="east",
    server_id="s",
    incarnation_id="i",
    epoch=1,
    address="127.0.0.1:1",
    version="0",
    features=(),
    host_id="h",
    build=None,
    load_failure=None,
    draining=False,
    register_time=NOW,
    lease_expire_time=NOW,
    current=True,
)


def counts(active: dict[str, int], **like: object) -> claiming.Counts:
    groups = [
        claiming.Active(claiming.Candidate("", name, "job", **like), count)
        for name, count in active.items()
    ]
    return claiming.Counts(LIMITS, groups)


def view(state: "events_pb2.LocationState", *, draining: bool = False) -> registries.LocationView:
    return registries.LocationView(
        name="east",
        server=dataclasses.replace(SERVER, draining=draining),
        state=state,
        build=None,
        load_failure=None,
        definitions=None,
        conflicts={},
    )


SERVING = view(events_pb2.LOCATION_STATE_SERVING)


@pytest.mark.parametrize(
    ("where", "active", "words"),
    [
        (None, {}, "No code location named 'east' ever registered"),
        (view(events_pb2.LOCATION_STATE_UNREACHABLE), {}, "'east' is away"),
        (view(events_pb2.LOCATION_STATE_LOADING), {}, "'east' still loads its code"),
        (view(events_pb2.LOCATION_STATE_FAILED), {}, "code of location 'east' does not load"),
        (view(events_pb2.LOCATION_STATE_SERVING, draining=True), {}, "'east' drains"),
        (SERVING, {"east": 2}, "'east' has reached its limit of 2"),
        (SERVING, {"east": 1, "west": 4}, "host has reached its limit of 5"),
        (SERVING, {"east": 1}, "About to be handed"),
    ],
)
def test_a_queued_run_says_what_it_waits_for(
    where: registries.LocationView | None, active: dict[str, int], words: str
) -> None:
    assert words in waiting.reason(RUN, where, counts(active))


@pytest.mark.parametrize(
    ("like", "words"),
    [
        ({"location_name": "small"}, "'small' has reached its limit of 1 run at once"),
        ({"job_name": "other"}, "limit for job 'east/other' is reached: 1 run at once"),
        ({"tags": {"db": "main"}}, "limit for tag 'db' = 'main' is reached: 1 run at once"),
        ({"tags": {"x": "y"}}, "limit for tag 'x' = 'y' is reached: 0 runs at once"),
        ({"pools": ("p",)}, "limit for pool 'p' is reached: 1 run at once"),
    ],
)
def test_a_queued_run_names_the_limit_that_holds_it_up(like: dict[str, object], words: str) -> None:
    run = dataclasses.replace(RUN, **like)
    active = [claiming.Active(claiming.like(run), 1)]
    assert words in waiting.reason(run, SERVING, claiming.Counts(LIMITS, active))


def test_a_run_that_was_handed_over_says_so() -> None:
    run = dataclasses.replace(RUN, status=records.RunStatus.STARTING)
    assert "has not reported yet" in waiting.reason(run, SERVING, counts({}))


@pytest.mark.parametrize("status", [records.RunStatus.STARTED, records.RunStatus.SUCCESS])
def test_other_runs_wait_for_nothing(status: records.RunStatus) -> None:
    assert waiting.reason(dataclasses.replace(RUN, status=status), None, counts({})) == ""
