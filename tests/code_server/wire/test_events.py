"""Events cross the wire exactly, and what is stored becomes records of the log."""

import logging

import pytest

from atoll._definitions import (
    asset_checks,
    asset_events,
    events,
    failures,
    freshness_states,
    keys,
    metadata,
)
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
TYPE_CHECK = events.TypeCheckData(False, "Rows", "no rows", META)
USAGE = events.ResourceUsage(1200.5, 30.25, 85 * 2**20)

DATA = {
    events.EventType.RUN_ENQUEUED: None,
    events.EventType.RUN_STARTING: events.RunStartingData("server-1"),
    events.EventType.RUN_START: events.RunStartData("build", 12, "host", "fork"),
    events.EventType.RUN_SUCCESS: None,
    events.EventType.RUN_FAILURE: events.RunFailureData(FAILURE),
    events.EventType.RUN_CANCELING: events.RunCancelingData("too slow"),
    events.EventType.RUN_CANCELED: None,
    events.EventType.STEP_START: None,
    events.EventType.STEP_INPUT: events.StepInputData("x", TYPE_CHECK),
    events.EventType.STEP_OUTPUT: events.StepOutputData("result", META, "part_1", TYPE_CHECK),
    events.EventType.STEP_SUCCESS: events.StepSuccessData(1.25, USAGE),
    events.EventType.STEP_FAILURE: events.StepFailureData(FAILURE, 2.5, USAGE),
    events.EventType.STEP_UP_FOR_RETRY: events.StepRetryData(FAILURE, 1.5, 2),
    events.EventType.STEP_RESTARTED: None,
    events.EventType.STEP_WORKER_STARTING: events.StepWorkerData(),
    events.EventType.STEP_WORKER_STARTED: events.StepWorkerData(17),
    events.EventType.STEP_EXPECTATION_RESULT: events.StepExpectationResultData(
        asset_events.ExpectationResult(True, "rows", "there are some", META)
    ),
    events.EventType.RESOURCE_INIT_STARTED: events.ResourceInitData(("a", "b")),
    events.EventType.RESOURCE_INIT_SUCCESS: events.ResourceInitData(("a", "b"), 3.5),
    events.EventType.RESOURCE_INIT_FAILURE: events.ResourceInitData(("a",), 3.5, FAILURE),
    events.EventType.HOOK_COMPLETED: events.HookData("tell"),
    events.EventType.HOOK_ERRORED: events.HookData("tell", FAILURE),
    events.EventType.HOOK_SKIPPED: events.HookData("tell"),
    events.EventType.STEP_SKIPPED: events.StepSkippedData(("a", "b")),
    events.EventType.HANDLED_OUTPUT: events.HandledOutputData("result", "io_manager", META),
    events.EventType.LOADED_INPUT: events.LoadedInputData("x", "io_manager", KEY, META),
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
    events.EventType.ASSET_FAILED_TO_MATERIALIZE: events.AssetFailedToMaterializeData(
        KEY, "2024", "the step before it failed"
    ),
    events.EventType.ASSET_CHECK_EVALUATION_PLANNED: events.AssetCheckEvaluationPlannedData(
        keys.AssetCheckKey(KEY, "no_nulls"), "2024"
    ),
    events.EventType.ASSET_CHECK_EVALUATION: events.AssetCheckEvaluationData(
        asset_checks.AssetCheckEvaluation(
            KEY,
            "no_nulls",
            passed=True,
            metadata=META,
            target_materialization_data=asset_checks.AssetCheckEvaluationTargetMaterializationData(
                5, "run-0", 1_700_000_000.25
            ),
            severity=asset_checks.AssetCheckSeverity.WARN,
            description="none found",
            blocking=True,
            partition="2024",
        )
    ),
    events.EventType.FRESHNESS_STATE_CHANGE: freshness_states.FreshnessStateChange(
        KEY,
        freshness_states.FreshnessState.FAIL,
        freshness_states.FreshnessState.WARN,
        1_700_000_000.5,
        1_600_000_000.25,
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


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        (events.EventType.STEP_OUTPUT, events.StepOutputData("result")),
        (events.EventType.STEP_INPUT, events.StepInputData("x")),
        (events.EventType.STEP_SUCCESS, events.StepSuccessData(1.0)),
        (
            events.EventType.ASSET_CHECK_EVALUATION,
            events.AssetCheckEvaluationData(
                asset_checks.AssetCheckEvaluation(KEY, "no_nulls", passed=False)
            ),
        ),
    ],
)
def test_what_was_not_given_comes_back_as_not_given(event_type, data):
    event = events.Event(event_type, event_specific_data=data, timestamp=1.0)
    assert wire.from_message(wire.to_message(event)) == event


def test_the_severity_of_a_later_release_is_taken_for_the_worst():
    message = events_pb2.Event()
    message.asset_check_evaluation.asset_key.path.append("a")
    message.asset_check_evaluation.severity = 17
    evaluation = wire.from_message(message).asset_check_evaluation
    assert evaluation.severity is asset_checks.AssetCheckSeverity.ERROR


def test_a_stored_event_becomes_a_record_and_back():
    stored = events_pb2.StoredEvent(
        id=7, event=wire.to_message(_event(events.EventType.ASSET_MATERIALIZATION))
    )
    record = wire.to_record(stored)
    assert record.storage_id == 7
    assert record.asset_key == KEY
    assert record.asset_materialization.metadata == META
    assert wire.from_record(record) == stored


def test_an_entry_of_the_log_tells_what_a_check_found():
    event = wire.to_message(_event(events.EventType.ASSET_CHECK_EVALUATION))
    record = wire.to_record(events_pb2.StoredEvent(id=7, event=event))
    told = record.event_log_entry.asset_check_evaluation
    assert told.asset_check_key == keys.AssetCheckKey(KEY, "no_nulls")
    assert (record.asset_key, record.partition_key) == (KEY, "2024")
    plain = wire.to_record(
        events_pb2.StoredEvent(event=wire.to_message(_event(events.EventType.LOG_MESSAGE)))
    )
    assert plain.event_log_entry.asset_check_evaluation is None


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
