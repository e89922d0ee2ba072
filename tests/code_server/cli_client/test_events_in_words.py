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


@pytest.mark.parametrize("kind", ["atoll.RunCanceledError", "RunCanceledError"])
def test_a_step_that_was_canceled_has_not_failed(kind):
    failure = values_pb2.Failure(type=kind, message="The run was canceled.")
    told = failed("step_failed", "Step a was canceled.", failure)
    assert (told.severity, told.text) == ("warning", "Step a was canceled.")
