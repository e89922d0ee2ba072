"""Sensors on the status of runs: which runs they see, and what their function receives."""

import datetime as dt

import pytest

import atoll as dg
from atoll import errors
from atoll._wire import snapshot
from atoll.definitions.v1 import snapshot_pb2


@dg.op
def works() -> None: ...


@dg.op
def breaks() -> None:
    raise ValueError("no more disk")


@dg.job
def good() -> None:
    works()


@dg.job
def bad() -> None:
    breaks()


@dg.job
def alert() -> None:
    works()


@pytest.fixture
def instance():
    return dg.Instance.ephemeral()


def evaluate(sensor, instance, cursor=None, **more):
    return sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor, **more))


def test_each_run_is_seen_once_in_order(instance):
    seen = []

    @dg.run_status_sensor(dg.RunStatus.SUCCESS, request_job=alert)
    def succeeded(context: dg.RunStatusSensorContext):
        seen.append((context.run.run_id, context.event.event_type, context.sensor_name))
        return dg.RunRequest(run_key=context.run.run_id)

    runs = [good.execute_in_process(instance=instance).run_id for _ in range(2)]
    bad.execute_in_process(instance=instance, raise_on_error=False)
    cursor = None
    for run_id in runs:
        told = evaluate(succeeded, instance, cursor)
        (request,) = told.run_requests
        assert (request.run_key, request.job_name) == (run_id, "alert")
        cursor = told.cursor
    last = evaluate(succeeded, instance, cursor)
    assert last.run_requests == ()
    assert last.cursor == cursor
    assert "SUCCESS" in last.skip_message
    assert seen == [(run_id, dg.EventType.RUN_SUCCESS, "succeeded") for run_id in runs]


def test_a_failure_tells_why_and_which_steps_failed(instance):
    @dg.run_failure_sensor
    def failed(context: dg.RunFailureSensorContext):
        (step,) = context.get_step_failure_events()
        return dg.SkipReason(
            f"{context.run.job_name}: {context.failure_event.message} "
            f"{step.step_key}: {step.step_failure_data.failure.message}"
        )

    bad.execute_in_process(instance=instance, raise_on_error=False)
    told = evaluate(failed, instance)
    assert told.skip_message.startswith("bad: ")
    assert "breaks" in told.skip_message
    assert "no more disk" in told.skip_message
    assert failed.run_status is dg.RunStatus.FAILURE


def test_only_the_monitored_jobs_are_seen(instance):
    @dg.run_status_sensor(dg.RunStatus.SUCCESS, monitored_jobs=[alert])
    def of_one(context):
        return dg.SkipReason(context.run.job_name)

    good.execute_in_process(instance=instance)
    assert "No run" in evaluate(of_one, instance).skip_message
    alert.execute_in_process(instance=instance)
    assert evaluate(of_one, instance).skip_message == "alert"


def test_whoever_watches_everything_does_not_see_runs_of_the_job_it_asks_for(instance):
    @dg.run_status_sensor(dg.RunStatus.SUCCESS, request_job=alert)
    def all_of_them(context):
        return dg.RunRequest()

    alert.execute_in_process(instance=instance)
    assert evaluate(all_of_them, instance).run_requests == ()


def test_resources_reach_the_function(instance):
    @dg.run_status_sensor(dg.RunStatus.SUCCESS)
    def with_resource(context, mail: dg.ResourceParam[str]):
        return dg.SkipReason(f"{mail} {context.resources.mail}")

    good.execute_in_process(instance=instance)
    told = evaluate(with_resource, instance, resources={"mail": "sent"})
    assert told.skip_message == "sent sent"


def test_the_function_may_be_called_with_a_context_of_its_own(instance):
    @dg.run_failure_sensor(name="alarm")
    def failed(context, mail: dg.ResourceParam[str]):
        return dg.SkipReason(f"{context.run.job_name} {context.partition_key} {mail}")

    result = bad.execute_in_process(instance=instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="alarm",
        event=result.get_run_failure_event(),
        instance=instance,
        run=result.run,
        resources={"mail": "sent"},
        partition_key="p",
    ).for_run_failure()
    assert isinstance(context, dg.RunFailureSensorContext)
    assert failed(context).skip_message == "bad p sent"
    merged = context.merge_resources({"mail": "kept"})
    assert failed(merged).skip_message == "bad p kept"
    assert failed.name == "alarm"


def test_the_cursor_belongs_to_the_log(instance):
    @dg.run_status_sensor(dg.RunStatus.SUCCESS)
    def meddles(context):
        return dg.SensorResult(cursor="mine")

    good.execute_in_process(instance=instance)
    with pytest.raises(errors.InvariantViolationError, match="leave it out"):
        evaluate(meddles, instance)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"run_status": dg.RunStatus.NOT_STARTED}, "no run reaches"),
        ({"run_status": "SUCCESS!"}, "no run reaches"),
        ({"monitored_jobs": ["good"]}, "'good' of type str"),
        ({"monitored_jobs": [good], "monitor_all_code_locations": True}, "one or the other"),
        ({"monitored_jobs": [good], "job_selection": [good]}, "mean the same"),
        ({"start_at": "yesterday"}, "'latest', 'earliest', or a datetime"),
        ({"start_at": dt.datetime.fromisoformat("2026-01-01")}, "no time zone"),
    ],
)
def test_what_makes_no_sense_is_told_when_it_is_defined(options, words):
    given = {"run_status": dg.RunStatus.SUCCESS, **options}
    with pytest.raises(errors.InvalidDefinitionError, match=words):
        dg.run_status_sensor(**given)(lambda context: None)


def test_a_job_selector_names_a_job():
    with pytest.raises(errors.InvalidDefinitionError, match="CodeLocationSelector"):
        dg.JobSelector("sales")
    with pytest.raises(errors.UnsupportedParameterError, match="not repositories"):
        dg.JobSelector("sales", "repository", "nightly")


def test_the_snapshot_says_what_is_watched_and_where_it_begins():
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    @dg.run_failure_sensor(
        monitored_jobs=[
            good,
            dg.JobSelector(location_name="sales", job_name="nightly"),
            dg.CodeLocationSelector(location_name="shop"),
        ],
        start_at=start,
    )
    def some(context): ...

    @dg.run_status_sensor(
        dg.RunStatus.STARTED, monitor_all_code_locations=True, start_at="earliest"
    )
    def every(context): ...

    defs = dg.Definitions(jobs=[good], sensors=[some, every])
    second, first = snapshot.to_message(defs).sensors[::-1]
    if first.name != "every":
        first, second = second, first
    assert (first.run_status, first.monitors_all_locations) == ("STARTED", True)
    assert first.start_position.earliest
    assert first.kind == snapshot_pb2.SENSOR_KIND_RUN_STATUS
    assert [(one.location_name, one.job_name) for one in second.monitored_jobs] == [
        ("", "good"),
        ("sales", "nightly"),
        ("shop", ""),
    ]
    assert second.start_position.time.ToDatetime(tzinfo=dt.UTC) == start
