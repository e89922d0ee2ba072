"""What went wrong is told once, with its type and cause, and no event says the same thing twice."""

import pytest

from atoll.client import narration
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


def failed(kind: str, message: str, failure: values_pb2.Failure) -> narration.Told:
    event = events_pb2.Event(message=message)
    getattr(event, kind).failure.CopyFrom(failure)
    return narration.tell(event)


def bad_rows() -> values_pb2.Failure:
    failure = values_pb2.Failure(type="ValueError", message="bad rows")
    failure.cause.type, failure.cause.message = "KeyError", "'x'"
    return failure


def test_a_failed_step_tells_type_message_and_cause_once():
    told = failed("step_failed", "Step a failed: bad rows.", bad_rows())
    assert told == narration.Told(
        "step_failed", "bad", "Step a failed: ValueError: bad rows (caused by KeyError: 'x')"
    )


def test_a_failed_run_tells_what_its_steps_said():
    failure = values_pb2.Failure(type="atoll.StepsFailed", message="Steps failed: a.")
    failure.cause.CopyFrom(bad_rows())
    told = failed("run_failed", "Steps failed: a.", failure)
    assert told.text == "Steps failed: a. ValueError: bad rows (caused by KeyError: 'x')"


def test_what_the_message_leaves_out_is_added():
    told = failed("run_failed", "The run did not end.", bad_rows())
    assert told.text == "The run did not end: ValueError: bad rows (caused by KeyError: 'x')"


def test_a_message_that_says_it_all_stays_as_it_is():
    text = "The run failed: ValueError: bad rows (caused by KeyError: 'x')"
    assert failed("run_failed", text, bad_rows()).text == text


def check(**fields) -> events_pb2.Event:
    # The message of the producer is not what people are told.
    event = events_pb2.Event(message="checked")
    told = event.asset_check_evaluation
    told.asset_key.path.extend(["sales", "daily"])
    told.check_name = "no_nulls"
    told.severity = events_pb2.ASSET_CHECK_SEVERITY_ERROR
    for name, value in fields.items():
        setattr(told, name, value)
    return event


def test_a_check_that_passed_is_told_as_good():
    told = narration.tell(check(passed=True, blocking=True))
    assert told == narration.Told(
        "asset_check_evaluation", "good", "Check no_nulls of sales/daily passed"
    )


def test_a_check_that_failed_tells_how_bad_it_is_and_what_was_found():
    event = check(blocking=True, description="3 of 10 rows", partition="2024")
    event.asset_check_evaluation.metadata["nulls"].int = 3
    told = narration.tell(event)
    assert told.severity == "bad"
    assert told.text == (
        "Check no_nulls of sales/daily, partition 2024 failed (error, blocks what is downstream): "
        "3 of 10 rows  nulls=3"
    )


def test_a_check_that_warns_blocks_nothing():
    event = check(blocking=True, severity=events_pb2.ASSET_CHECK_SEVERITY_WARN)
    told = narration.tell(event)
    assert (told.severity, told.text) == (
        "warning",
        "Check no_nulls of sales/daily failed (warn)",
    )


@pytest.mark.parametrize(
    ("wait_s", "when"), [(0.0, "at once"), (0.25, "in 250 ms"), (1.5, "in 1.5 s"), (90, "in 90 s")]
)
def test_a_retry_tells_when_and_why(wait_s, when):
    event = events_pb2.Event(message="up for retry")
    event.step_up_for_retry.failure.CopyFrom(bad_rows())
    event.step_up_for_retry.wait_s = wait_s
    event.step_up_for_retry.attempt = 2
    told = narration.tell(event)
    assert told.severity == "warning"
    assert told.text == (
        f"Attempt 2 failed, again {when}: ValueError: bad rows (caused by KeyError: 'x')"
    )


@pytest.mark.parametrize(
    ("cpu_ms", "memory", "text"),
    [
        (1150, 85_400_000, "1.2 s CPU, 85 MB"),
        (80, 1_500_000_000, "130 ms CPU, 1.5 GB"),
        (950, 0, "1 s CPU"),
    ],
)
def test_a_step_that_ended_tells_what_it_used(cpu_ms, memory, text):
    event = events_pb2.Event(message="Step a succeeded.")
    usage = event.step_succeeded.usage
    usage.cpu_user_ms, usage.cpu_system_ms, usage.memory_peak_bytes = cpu_ms, 50, memory
    assert narration.tell(event).text == f"Step a succeeded ({text})"


def test_a_step_that_told_no_usage_tells_none():
    event = events_pb2.Event(message="Step a succeeded.")
    event.step_succeeded.duration_ms = 3
    assert narration.tell(event).text == "Step a succeeded."


def test_an_input_of_the_wrong_type_says_so():
    event = events_pb2.Event()
    event.step_input.input_name = "x"
    event.step_input.type_check.type_name = "Rows"
    event.step_input.type_check.description = "got a string"
    assert narration.tell(event).text == "Input x (not of type Rows: got a string)"


def test_an_expectation_that_does_not_hold_is_a_warning():
    event = events_pb2.Event()
    event.step_expectation_result.label = "rows"
    event.step_expectation_result.description = "at least one"
    told = narration.tell(event)
    assert (told.severity, told.text) == ("warning", "rows does not hold: at least one")


def test_every_kind_of_event_has_words():
    for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields:
        if field.name in ("log_message", "engine_event"):
            continue  # their words are the message
        event = events_pb2.Event()
        getattr(event, field.name).SetInParent()
        assert narration.tell(event).text, field.name


@pytest.mark.parametrize("kind", ["atoll.RunCanceledError", "RunCanceledError"])
def test_a_step_that_was_canceled_has_not_failed(kind):
    failure = values_pb2.Failure(type=kind, message="The run was canceled.")
    told = failed("step_failed", "Step a was canceled.", failure)
    assert (told.severity, told.text) == ("warning", "Step a was canceled.")
