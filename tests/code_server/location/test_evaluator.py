"""Whatever user code does, its tick gets an answer, and the next tick knows nothing of it."""

import pytest

from atoll.events.v1 import events_pb2

pytestmark = [pytest.mark.e2e]

SOURCE = """
import os, subprocess, sys
import atoll as dg

@dg.asset
def sales():
    return 1

job = dg.define_asset_job("job")

@dg.sensor(job=job)
def asks(context):
    context.log.info("looking at %s", context.cursor)
    print("printed")
    os.write(2, b"raw\\n")
    subprocess.run(["/bin/sh", "-c", "echo from a child"], check=True)
    context.update_cursor("next")
    yield dg.RunRequest(run_key="k", run_config={"ops": {}}, tags={"a": "b"})

@dg.sensor(job=job)
def raises():
    raise ValueError("no rows")

@dg.sensor(job=job)
def exits():
    sys.exit(3)

@dg.sensor(job=job)
def floods(context):
    for number in range(5000):
        context.log.info("line %d", number)

@dg.sensor(job=job)
def unsendable():
    return dg.RunRequest(run_config={"ops": {"x": object()}})

@dg.schedule("0 6 * * *", job=job, execution_timezone="Europe/Zurich", tags={"a": "b"})
def at_six(context):
    context.log.info("due at %s", context.scheduled_execution_time.isoformat())
    return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%H:%M}")

@dg.schedule("0 6 * * *", job=job)
def skips():
    return dg.SkipReason("a holiday")

@dg.schedule("0 6 * * *", job=job)
def breaks():
    raise ValueError("no calendar")

@dg.asset_sensor(asset_key=dg.AssetKey("upstream"), job=job)
def watches(context, event):
    told = event.event.event_specific_data.materialization
    return dg.RunRequest(run_key=context.cursor, tags={"rows": str(told.metadata["rows"].value)})
"""


@pytest.fixture
def channel(serving):
    return serving.start_evaluator()[1]


def test_decisions_failures_and_words_come_back(serving, channel):
    first = serving.evaluate(channel, "asks", cursor="before").response
    (asked,) = first.run_requests
    assert (asked.run_key, asked.job_name, asked.tags["a"]) == ("k", "job", "b")
    assert first.cursor == "next"
    levels = {line.message: line.level for line in first.log_lines}
    assert levels == {
        "looking at before": events_pb2.LOG_LEVEL_INFO,
        "printed": events_pb2.LOG_LEVEL_INFO,
        "from a child": events_pb2.LOG_LEVEL_INFO,
        "raw": events_pb2.LOG_LEVEL_WARNING,
    }

    failed = serving.evaluate(channel, "raises").response
    assert (failed.failure.type, failed.failure.message) == ("ValueError", "no rows")
    assert failed.failure.frames[-1].function == "raises"
    assert not failed.log_lines

    assert serving.evaluate(channel, "exits").response.failure.type == "SystemExit"
    assert "unknown" not in serving.evaluate(channel, "asks").response.failure.message
    missing = serving.evaluate(channel, "missing").response.failure
    assert "missing" in missing.message


def test_a_flood_of_lines_is_bounded(serving, channel):
    lines = serving.evaluate(channel, "floods").response.log_lines
    assert len(lines) == 1001
    assert lines[-1].message.startswith("4000 more lines")


def test_a_run_config_that_cannot_be_sent_fails_the_tick_clearly(serving, channel):
    failure = serving.evaluate(channel, "unsendable").response.failure
    assert "cannot be sent" in failure.message


def test_an_asset_sensor_sees_the_materialization(serving, channel):
    event = events_pb2.Event(run_id="r")
    event.asset_materialization.asset_key.path.append("upstream")
    event.asset_materialization.metadata["rows"].int = 3
    stored = events_pb2.StoredEvent(id=9, event=event)
    response = serving.evaluate(channel, "watches", cursor="4", triggering_event=stored).response
    assert not response.HasField("failure"), response.failure
    assert (response.run_requests[0].run_key, response.cursor) == ("4", "9")
    assert response.run_requests[0].tags["rows"] == "3"


def test_a_schedule_decides_for_its_time_in_its_own_zone(serving, channel):
    response = serving.evaluate_schedule(channel, "at_six", "2026-07-01T04:00:00Z")
    (asked,) = response.run_requests
    assert (asked.run_key, asked.job_name, asked.tags["a"]) == ("06:00", "job", "b")
    assert [line.message for line in response.log_lines] == ["due at 2026-07-01T06:00:00+02:00"]
    assert response.HasField("duration")


def test_a_schedule_that_skips_or_raises_is_an_answer_too(serving, channel):
    time = "2026-07-01T04:00:00Z"
    assert serving.evaluate_schedule(channel, "skips", time).skip_reason == "a holiday"
    failure = serving.evaluate_schedule(channel, "breaks", time).failure
    assert (failure.type, failure.message) == ("ValueError", "no calendar")
    assert failure.frames[-1].function == "breaks"
    assert "'none'" in serving.evaluate_schedule(channel, "none", time).failure.message
