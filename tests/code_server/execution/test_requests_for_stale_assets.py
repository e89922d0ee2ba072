"""Requests for stale assets only come down to the assets that are stale."""

import datetime as dt

import pytest

import atoll as dg
from atoll._execution import stale_requests, ticks


@dg.asset(code_version="1")
def first():
    return 1


@dg.asset(code_version="1")
def second(first):
    return first + 1


@dg.asset(code_version="1")
def other():
    return 0


JOB = dg.define_asset_job("both", [first, second])


@dg.sensor(job=JOB)
def watching():
    return dg.RunRequest("k", stale_assets_only=True)


@dg.schedule("0 1 * * *", job=JOB)
def nightly():
    return dg.RunRequest("k", asset_selection=[second.key], stale_assets_only=True)


@dg.sensor(jobs=[JOB])
def watching_two():
    yield dg.RunRequest("stale", stale_assets_only=True)
    yield dg.RunRequest("all")


DEFS = dg.Definitions(
    assets=[first, second, other],
    jobs=[JOB],
    sensors=[watching, watching_two],
    schedules=[nightly],
)


@pytest.fixture(name="instance")
def _instance():
    with dg.instance_for_test() as instance:
        yield instance


def _watch(name, instance):
    return ticks.evaluate_sensor(DEFS, name, cursor="c", triggering_event=None, instance=instance)


def test_only_the_stale_assets_of_the_job_are_asked_for(instance):
    (request,) = _watch("watching", instance).run_requests
    assert list(request.asset_selection) == [first.key, second.key]
    assert not request.stale_assets_only
    dg.materialize([first], instance=instance)
    (request,) = _watch("watching", instance).run_requests
    assert list(request.asset_selection) == [second.key]


def test_nothing_is_asked_for_where_all_is_up_to_date(instance):
    dg.materialize([first, second], instance=instance)
    result = _watch("watching", instance)
    assert list(result.run_requests) == []
    assert result.skip_message == stale_requests.UP_TO_DATE_MESSAGE
    assert result.cursor == "c"
    (left,) = _watch("watching_two", instance).run_requests
    assert (left.run_key, left.asset_selection) == ("all", None)


def test_a_schedule_asks_for_the_stale_among_its_selection(instance):
    def evaluated():
        when = dt.datetime(2026, 1, 2, 1, tzinfo=dt.UTC)
        return ticks.evaluate_schedule(
            DEFS, "nightly", scheduled_execution_time=when, instance=instance
        )

    (request,) = evaluated().run_requests
    assert list(request.asset_selection) == [second.key]
    dg.materialize([first, second], instance=instance)
    assert list(evaluated().run_requests) == []
