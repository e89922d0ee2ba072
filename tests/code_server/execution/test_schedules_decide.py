"""What one tick of a schedule decides."""

import datetime as dt
import logging

import pytest

import atoll as dg
from atoll._execution import ticks

UTC = dt.UTC
THREE = dt.datetime(2026, 3, 10, 3, tzinfo=UTC)


@dg.op
def load(): ...


@dg.job
def nightly():
    load()


def _tick(schedule, **options):
    with dg.build_schedule_context(scheduled_execution_time=THREE, **options) as context:
        return schedule.evaluate_tick(context)


def _decide(function, **options):
    decorate = dg.schedule("0 3 * * *", name="mine", job=nightly, **options)
    return _tick(decorate(function))


def _made(**options):
    return dg.ScheduleDefinition("mine", job=nightly, cron_schedule="0 3 * * *", **options)


def test_a_tick_asks_for_one_run():
    (request,) = _tick(_made()).run_requests
    assert (request.job_name, request.run_key, request.run_config) == ("nightly", None, {})
    assert request.tags == {"atoll/schedule_name": "mine"}
    (request,) = _tick(_made(run_config={"ops": {}}, tags={"a": "b"})).run_requests
    assert request.run_config == {"ops": {}}
    assert request.tags == {"a": "b", "atoll/schedule_name": "mine"}


def test_functions_make_configuration_and_labels():
    made = _made(
        run_config_fn=lambda context: {"ops": {"load": {"hour": context.scheduled_time.hour}}},
        tags_fn=lambda: {"made": "yes"},
        should_execute=lambda context: context.scheduled_execution_time == THREE,
    )
    (request,) = _tick(made).run_requests
    assert request.run_config == {"ops": {"load": {"hour": 3}}}
    assert request.tags["made"] == "yes"


def test_it_may_not_execute():
    told = _tick(_made(should_execute=lambda _: False))
    assert (told.run_requests, told.skip_message) == (
        (),
        "should_execute of 'mine' returned False.",
    )

    def refuse():
        raise AssertionError("called")

    assert "should_execute" in _decide(refuse, should_execute=lambda _: False).skip_message


def _nothing_configured():
    return {}


def _yields():
    yield dg.RunRequest("a")
    yield [dg.RunRequest("b")]


@pytest.mark.parametrize(
    ("function", "keys"),
    [
        (lambda: dg.RunRequest("a"), ["a"]),
        (lambda: [dg.RunRequest("a"), dg.RunRequest("b")], ["a", "b"]),
        (_yields, ["a", "b"]),
        (lambda: {"ops": {}}, [None]),
        (lambda: dg.RunConfig(ops={}), [None]),
        (_nothing_configured, [None]),
    ],
)
def test_what_may_be_returned(function, keys):
    told = _decide(function, tags={"from": "schedule"})
    assert [request.run_key for request in told.run_requests] == keys
    assert {request.job_name for request in told.run_requests} == {"nightly"}
    assert {request.tags["from"] for request in told.run_requests} == {"schedule"}


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "Schedule function returned an empty result"),
        ([], "Schedule function returned an empty result"),
        (dg.SkipReason("holiday"), "holiday"),
        (iter([dg.SkipReason("holiday")]), "holiday"),
        (dg.SkipReason(), "Schedule function returned an empty result"),
    ],
)
def test_reasons_to_skip(returned, message):
    told = _decide(lambda: returned)
    assert (told.run_requests, told.skip_message) == ((), message)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (5, "gave 5 of type int"),
        ("text", "'text'"),
        ([dg.RunRequest("a"), dg.SkipReason("b")], "both"),
        ([dg.SkipReason("a"), dg.SkipReason("b")], "2 skip reasons"),
        ([dg.RunRequest(), dg.RunRequest("b")], "1 have no run_key"),
        ([dg.RunRequest("a"), dg.RunRequest("a")], "with the run_key 'a'"),
        (dg.RunRequest(job_name="other"), "none of its targets: nightly"),
        (dg.RunRequest(partition_key="p"), "has no partitions"),
    ],
)
def test_what_makes_no_sense_is_refused(returned, message):
    with pytest.raises(dg.InvariantViolationError, match=message):
        _decide(lambda: returned)


@pytest.mark.parametrize("kind", ["run_config_fn", "tags_fn", "should_execute", "execution_fn"])
def test_what_a_function_raises_is_its_cause(kind):
    def broken():
        raise ValueError("boom")

    with pytest.raises(dg.UserCodeExecutionError, match="'mine' raised ValueError: boom") as caught:
        _tick(_made(**{kind: broken}))
    assert isinstance(caught.value.user_exception, ValueError)


def test_a_request_comes_before_the_labels_of_the_schedule():
    told = _decide(lambda: dg.RunRequest(tags={"a": "mine"}), tags={"a": "b", "c": "d"})
    assert told.run_requests[0].tags == {"a": "mine", "c": "d", "atoll/schedule_name": "mine"}


def test_a_decorated_function_can_be_called():
    @dg.schedule("@daily", job=nightly)
    def mine(context, db: dg.ResourceParam[str]):
        return {"day": f"{context.scheduled_execution_time:%d}", "db": db}

    context = dg.build_schedule_context(
        # A time without a zone is in UTC.
        scheduled_execution_time=THREE.replace(tzinfo=None),
        resources={"db": "x"},
    )
    assert mine(context) == {"day": "10", "db": "x"}
    assert mine(context, db="y") == {"day": "10", "db": "y"}
    with pytest.raises(dg.InvalidInvocationError, match="evaluate_tick"):
        _made()()
    with pytest.raises(dg.InvariantViolationError, match="no scheduled_execution_time"):
        mine(dg.build_schedule_context(resources={"db": "x"}))


class _Handler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def test_a_location_evaluates_by_name():
    closed = []

    @dg.resource
    def db():
        yield "the db"
        closed.append("db")

    @dg.schedule("0 3 * * *", job=nightly, execution_timezone="Europe/Berlin")
    def mine(context: dg.ScheduleEvaluationContext, db):
        context.log.info("looking")
        assert context.schedule_name == "mine"
        assert context.definitions is defs
        assert context.instance is instance
        assert not closed
        return dg.RunRequest(tags={"at": context.scheduled_execution_time.isoformat(), "db": db})

    defs = dg.Definitions(schedules=[mine], resources={"db": db})
    handler = _Handler()
    with dg.instance_for_test() as instance:
        told = ticks.evaluate_schedule(
            defs,
            "mine",
            scheduled_execution_time=THREE,
            instance=instance,
            log_handler=handler,
        )
    assert told.run_requests[0].tags["at"] == "2026-03-10T04:00:00+01:00"
    assert told.run_requests[0].tags["db"] == "the db"
    assert (handler.lines, closed) == (["looking"], ["db"])


def test_resources_of_a_context():
    context = dg.build_schedule_context(resources={"a": 1})
    assert context.resources.a == 1
    assert context.merge_resources({"b": 2}).resources.b == 2
    made = _made(execution_fn=lambda context: {"got": context.resources.missing})
    with pytest.raises(dg.UnknownResourceError, match="missing"):
        _tick(made, resources={"a": 1})
