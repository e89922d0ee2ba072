"""Events cross the wire exactly, and what is stored becomes records of the log."""

import logging

import pytest

from atoll._definitions import asset_events, events, failures, keys, metadata
from atoll._wire import events as wire
from atoll.events.v1 import events_pb2

KEY = keys.AssetKey(["raw", "sales"])
FAILURE = failures.FailureInfo(
    type="pkg.Broken",
    message="no",
    frames=(failures.StackFrame("/a/b.py", 3, "f", "x = 1"),),
    cause=failures.FailureInfo(type="ValueError", message="why"),
    metadata={"a": metadata.MetadataValue.int(2**80)},
    last_output="bye",
)
META = {"rows": metadata.MetadataValue.int(3), "note": metadata.MetadataValue.md("*x*")}

DATA = {
    events.EventType.RUN_ENQUEUED: None,
    events.EventType.RUN_STARTING: events.RunStartingData("server-1"),
    events.EventType.RUN_START: events.RunStartData("build", 12, "host", "fork"),
    events.EventType.RUN_SUCCESS: None,
    events.EventType.RUN_FAILURE: events.RunFailureData(FAILURE),
    events.EventType.RUN_CANCELING: events.RunCancelingData("too slow"),
    events.EventType.RUN_CANCELED: None,
    events.EventType.STEP_START: None,
    events.EventType.STEP_OUTPUT: events.StepOutputData("result", META),
    events.EventType.STEP_SUCCESS: events.StepSuccessData(1.25),
    events.EventType.STEP_FAILURE: events.StepFailureData(FAILURE, 2.5),
    events.EventType.STEP_SKIPPED: events.StepSkippedData(("a", "b")),
    events.EventType.HANDLED_OUTPUT: events.HandledOutputData("result", "io_manager", META),
    events.EventType.LOADED_INPUT: events.LoadedInputData("x", "io_manager", KEY),
    events.EventType.LOGS_CAPTURED: events.LogsCapturedData(("a",)),
    events.EventType.ASSET_MATERIALIZATION_PLANNED: events.AssetMaterializationPlannedData(
        KEY, "2024"
    ),
    events.EventType.ASSET_MATERIALIZATION: events.StepMaterializationData(
        asset_events.AssetMaterialization(KEY, "what", META, "2024", {"t": "v"})
    ),
    events.EventType.ASSET_OBSERVATION: events.AssetObservationData(
        asset_events.AssetObservation(KEY, None, META, None, {})
    ),
    events.EventType.LOG_MESSAGE: events.LogMessageData(logging.WARNING, "my.logger"),
    events.EventType.ENGINE_EVENT: events.EngineEventData(META, FAILURE),
}


def _event(event_type: events.EventType) -> events.Event:
    return events.Event(
        event_type=event_type,
        job_name="job",
        step_key="step",
        message="what happened",
        event_specific_data=DATA[event_type],
        run_id="run-1",
        timestamp=1_700_000_000.654321,
    )


@pytest.mark.parametrize("event_type", events.EventType)
def test_an_event_comes_back_as_it_was(event_type):
    event = _event(event_type)
    message = events_pb2.Event.FromString(wire.to_message(event).SerializeToString())
    assert message.WhichOneof("body")
    assert wire.from_message(message) == event


def test_each_type_of_event_has_a_body_of_its_own():
    bodies = [wire.to_message(_event(kind)).WhichOneof("body") for kind in events.EventType]
    assert len(set(bodies)) == len(bodies)


def test_an_event_of_the_whole_run_has_no_step():
    event = events.Event(events.EventType.RUN_SUCCESS, run_id="r", timestamp=1.0)
    assert wire.from_message(wire.to_message(event)).step_key is None


def test_a_body_of_a_later_release_reads_as_an_engine_event():
    event = wire.from_message(events_pb2.Event(run_id="r", message="new"))
    assert event.event_type is events.EventType.ENGINE_EVENT
    assert event.message == "new"


def test_a_stored_event_becomes_a_record_and_back():
    stored = events_pb2.StoredEvent(
        id=7, event=wire.to_message(_event(events.EventType.ASSET_MATERIALIZATION))
    )
    record = wire.to_record(stored)
    assert record.storage_id == 7
    assert record.asset_key == KEY
    assert record.asset_materialization.metadata == META
    assert wire.from_record(record) == stored


@pytest.mark.parametrize(
    ("number", "level"),
    [
        (5, "DEBUG"),
        (10, "DEBUG"),
        (20, "INFO"),
        (25, "INFO"),
        (35, "WARNING"),
        (50, "CRITICAL"),
        (99, "CRITICAL"),
    ],
)
def test_levels_of_users_fall_to_the_known_one_below(number, level):
    assert wire.level_to_message(number) == events_pb2.LogLevel.Value(f"LOG_LEVEL_{level}")
