"""What happens in runs and to assets, as public data: events, log entries and records of the log.

Called by user code that reads the log, by the execution that emits events, and by the layers that
carry them. An
`Event` covers every body of the wire's event that a run can emit; log messages are events of type
`LOG_MESSAGE`.
"""

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from atoll import _records as records
from atoll._definitions import (
    asset_checks,
    asset_events,
    event_kinds,
    failures,
    freshness_states,
    keys,
)
from atoll._definitions import metadata as metadata_values

# The numbers of `logging`, whose import would be a good part of what `import atoll` costs.
_LOG_DEBUG = 10
_LOG_INFO = 20

_NO_METADATA: Mapping[str, metadata_values.MetadataValue[Any]] = MappingProxyType({})


class EventType(str, enum.Enum):
    """The kind of an event."""

    RUN_ENQUEUED = "RUN_ENQUEUED"
    RUN_STARTING = "RUN_STARTING"
    RUN_START = "RUN_START"
    RUN_SUCCESS = "RUN_SUCCESS"
    RUN_FAILURE = "RUN_FAILURE"
    RUN_CANCELING = "RUN_CANCELING"
    RUN_CANCELED = "RUN_CANCELED"
    STEP_START = "STEP_START"
    STEP_OUTPUT = "STEP_OUTPUT"
    STEP_SUCCESS = "STEP_SUCCESS"
    STEP_FAILURE = "STEP_FAILURE"
    STEP_SKIPPED = "STEP_SKIPPED"
    STEP_INPUT = "STEP_INPUT"
    STEP_UP_FOR_RETRY = "STEP_UP_FOR_RETRY"
    STEP_RESTARTED = "STEP_RESTARTED"
    STEP_WORKER_STARTING = "STEP_WORKER_STARTING"
    STEP_WORKER_STARTED = "STEP_WORKER_STARTED"
    STEP_EXPECTATION_RESULT = "STEP_EXPECTATION_RESULT"
    RESOURCE_INIT_STARTED = "RESOURCE_INIT_STARTED"
    RESOURCE_INIT_SUCCESS = "RESOURCE_INIT_SUCCESS"
    RESOURCE_INIT_FAILURE = "RESOURCE_INIT_FAILURE"
    HOOK_COMPLETED = "HOOK_COMPLETED"
    HOOK_ERRORED = "HOOK_ERRORED"
    HOOK_SKIPPED = "HOOK_SKIPPED"
    HANDLED_OUTPUT = "HANDLED_OUTPUT"
    LOADED_INPUT = "LOADED_INPUT"
    LOGS_CAPTURED = "LOGS_CAPTURED"
    ASSET_MATERIALIZATION_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
    ASSET_MATERIALIZATION = "ASSET_MATERIALIZATION"
    ASSET_OBSERVATION = "ASSET_OBSERVATION"
    ASSET_FAILED_TO_MATERIALIZE = "ASSET_FAILED_TO_MATERIALIZE"
    ASSET_CHECK_EVALUATION_PLANNED = "ASSET_CHECK_EVALUATION_PLANNED"
    ASSET_CHECK_EVALUATION = "ASSET_CHECK_EVALUATION"
    FRESHNESS_STATE_CHANGE = "FRESHNESS_STATE_CHANGE"
    LOG_MESSAGE = "LOG_MESSAGE"
    ENGINE_EVENT = "ENGINE_EVENT"


FINAL_RUN_EVENTS = frozenset({EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED})


class RunStartingData(records.Record):
    """The code server that got the run."""

    server_id: str = ""


class RunStartData(records.Record):
    """Who runs the run: the build, and the worker's process id, machine and start method."""

    build_id: str = ""
    pid: int = 0
    hostname: str = ""
    start_method: str = ""


class RunFailureData(records.Record):
    """Why the run failed."""

    failure: failures.FailureInfo


class RunCancelingData(records.Record):
    """Why the run is to be canceled, in the words of whoever asked."""

    reason: str = ""


class TypeCheckData(records.Record):
    """What the type of an input or an output said about its value."""

    success: bool
    type_name: str = ""
    description: str = ""
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA


class StepInputData(records.Record):
    """An input of a step, and what its type said about the value."""

    input_name: str
    type_check_data: TypeCheckData | None = None


class StepOutputData(records.Record):
    """An output of a step, what the user attached to it, and what its type said about the value.

    `mapping_key` tells the outputs of a dynamic output apart.
    """

    output_name: str
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA
    mapping_key: str | None = None
    type_check_data: TypeCheckData | None = None


class ResourceUsage(records.Record):
    """What a step used: the processor time of user and system, and the peak of its memory.

    The peak is that of the process; where steps share one, it is the highest so far.
    """

    cpu_user_ms: float = 0.0
    cpu_system_ms: float = 0.0
    memory_peak_bytes: int = 0


class StepSuccessData(records.Record):
    """How long the step took, and what it used."""

    duration_ms: float
    usage: ResourceUsage | None = None


class StepFailureData(records.Record):
    """Why the step failed, how long it took, and what it used."""

    failure: failures.FailureInfo
    duration_ms: float = 0.0
    usage: ResourceUsage | None = None


class StepRetryData(records.Record):
    """Why a step is tried again, in how many seconds, and which attempt failed, from 1."""

    failure: failures.FailureInfo
    seconds_to_wait: float = 0.0
    attempt: int = 1


class StepWorkerData(records.Record):
    """The process that runs a step apart from the others."""

    pid: int = 0


class StepExpectationResultData(records.Record):
    """Whether an expectation of user code held."""

    expectation_result: asset_events.ExpectationResult


class ResourceInitData(records.Record):
    """The resources that are made ready, how long it took, and what went wrong, if anything did."""

    resource_keys: Sequence[str] = ()
    duration_ms: float = 0.0
    failure: failures.FailureInfo | None = None


class HookData(records.Record):
    """The hook that was called after a step, and what it raised, if it did."""

    hook_name: str
    failure: failures.FailureInfo | None = None


class StepSkippedData(records.Record):
    """The upstream steps that gave no output."""

    upstream_step_keys: Sequence[str] = ()


class HandledOutputData(records.Record):
    """The output that an IO manager stored, and what the IO manager attached."""

    output_name: str
    manager_key: str
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA


class LoadedInputData(records.Record):
    """The input that an IO manager loaded, the asset it came from, and what was attached."""

    input_name: str
    manager_key: str
    asset_key: keys.AssetKey | None = None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA


class LogsCapturedData(records.Record):
    """The steps that share a capture of standard output and error."""

    step_keys: Sequence[str] = ()


class AssetMaterializationPlannedData(records.Record):
    """The asset that the run is going to materialize."""

    asset_key: keys.AssetKey
    partition: str | None = None


class StepMaterializationData(records.Record):
    """What was materialized."""

    materialization: asset_events.AssetMaterialization


class AssetObservationData(records.Record):
    """What was observed."""

    asset_observation: asset_events.AssetObservation


class AssetFailedToMaterializeData(records.Record):
    """The asset that a run was to materialize and did not, and why."""

    asset_key: keys.AssetKey
    partition: str | None = None
    reason: str = ""


class AssetCheckEvaluationPlannedData(records.Record):
    """The check that the run is going to evaluate."""

    asset_check_key: keys.AssetCheckKey
    partition: str | None = None


class AssetCheckEvaluationData(records.Record):
    """What a check found."""

    asset_check_evaluation: asset_checks.AssetCheckEvaluation


class LogMessageData(records.Record):
    """The severity, as the numbers of `logging`, and the logger of a message."""

    level: int = _LOG_INFO
    logger_name: str = ""


class EngineEventData(records.Record):
    """Facts about how Atoll ran the work, and what went wrong, if anything did."""

    metadata: Mapping[str, metadata_values.MetadataValue[Any]] = _NO_METADATA
    failure: failures.FailureInfo | None = None


EventSpecificData: TypeAlias = (
    RunStartingData
    | RunStartData
    | RunFailureData
    | RunCancelingData
    | StepOutputData
    | StepSuccessData
    | StepFailureData
    | StepSkippedData
    | StepInputData
    | StepRetryData
    | StepWorkerData
    | StepExpectationResultData
    | ResourceInitData
    | HookData
    | HandledOutputData
    | LoadedInputData
    | LogsCapturedData
    | AssetMaterializationPlannedData
    | StepMaterializationData
    | AssetObservationData
    | AssetFailedToMaterializeData
    | AssetCheckEvaluationPlannedData
    | AssetCheckEvaluationData
    | freshness_states.FreshnessStateChange
    | LogMessageData
    | EngineEventData
)


_ABOUT_AN_ASSET = (AssetMaterializationPlannedData, AssetFailedToMaterializeData)
_WITH_A_FAILURE = (
    RunFailureData,
    StepFailureData,
    StepRetryData,
    ResourceInitData,
    HookData,
    EngineEventData,
)


class Event(records.Record, event_kinds.EventKinds):
    """One fact about a run or an asset.

    Attributes:
        event_type: What kind of fact.
        job_name: The job of the run, empty outside a run.
        step_key: The step, None for events of the whole run.
        message: What happened, in words for people.
        event_specific_data: What happened, for programs; the type follows from the event type.
        run_id: The run, empty outside a run.
        timestamp: When it happened, in seconds since 1970 by the clock of the producer.
    """

    event_type: EventType
    job_name: str = ""
    step_key: str | None = None
    message: str = ""
    # Any, because users reach into it by attribute: event_specific_data.materialization.metadata.
    event_specific_data: Any = None
    run_id: str = ""
    timestamp: float = 0.0

    @property
    def event_type_value(self) -> str:
        """The name of the event type."""
        return self.event_type.value

    @property
    def materialization(self) -> asset_events.AssetMaterialization | None:
        """The materialization that the event tells of, if it does."""
        data = self.event_specific_data
        return data.materialization if isinstance(data, StepMaterializationData) else None

    @property
    def observation(self) -> asset_events.AssetObservation | None:
        """The observation that the event tells of, if it does."""
        data = self.event_specific_data
        return data.asset_observation if isinstance(data, AssetObservationData) else None

    @property
    def asset_check_evaluation(self) -> asset_checks.AssetCheckEvaluation | None:
        """The evaluation of a check that the event tells of, if it does."""
        data = self.event_specific_data
        return data.asset_check_evaluation if isinstance(data, AssetCheckEvaluationData) else None

    @property
    def asset_key(self) -> keys.AssetKey | None:
        """The asset that the event is about, if it is about one."""
        told = self.materialization or self.observation or self.asset_check_evaluation
        if told is not None:
            return told.asset_key
        data = self.event_specific_data
        if isinstance(data, AssetCheckEvaluationPlannedData):
            return data.asset_check_key.asset_key
        if isinstance(data, freshness_states.FreshnessStateChange):
            return data.key
        return data.asset_key if isinstance(data, _ABOUT_AN_ASSET) else None

    @property
    def partition(self) -> str | None:
        """The partition of the asset that the event is about, if there is one."""
        told = self.materialization or self.observation or self.asset_check_evaluation
        if told is not None:
            return told.partition
        data = self.event_specific_data
        if isinstance(data, (*_ABOUT_AN_ASSET, AssetCheckEvaluationPlannedData)):
            return data.partition
        return None

    @property
    def failure(self) -> failures.FailureInfo | None:
        """What went wrong, if the event tells of a failure."""
        data = self.event_specific_data
        return data.failure if isinstance(data, _WITH_A_FAILURE) else None

    @property
    def is_failure(self) -> bool:
        """Whether a run or a step failed."""
        return self.event_type in (EventType.RUN_FAILURE, EventType.STEP_FAILURE)

    @property
    def is_step_event(self) -> bool:
        """Whether the event belongs to a step."""
        return self.step_key is not None


class EventLogEntry(records.Record):
    """An entry of the log: an event or a log message, and the run it belongs to.

    Attributes:
        error_info: What went wrong, if anything did.
        level: The severity, as the numbers of `logging`.
        user_message: The text of a log message; for other events what happened, in words.
        run_id: The run.
        timestamp: When, in seconds since 1970.
        step_key: The step, if any.
        job_name: The job, if any.
        event: The event; None for a plain log message.
    """

    error_info: failures.FailureInfo | None
    level: int
    user_message: str
    run_id: str
    timestamp: float
    step_key: str | None = None
    job_name: str | None = None
    event: Event | None = None

    @staticmethod
    def of(event: Event) -> "EventLogEntry":
        """Make the entry of an event."""
        data = event.event_specific_data
        is_message = isinstance(data, LogMessageData)
        return EventLogEntry(
            error_info=event.failure,
            level=data.level if isinstance(data, LogMessageData) else _LOG_DEBUG,
            user_message=event.message,
            run_id=event.run_id,
            timestamp=event.timestamp,
            step_key=event.step_key,
            job_name=event.job_name or None,
            event=None if is_message else event,
        )

    @property
    def is_event(self) -> bool:
        """Whether the entry is more than a log message."""
        return self.event is not None

    def get_event(self) -> Event:
        """Return the event, which a plain log message does not have."""
        if self.event is None:
            raise ValueError("This entry of the log is a plain message without an event.")
        return self.event

    @property
    def event_type(self) -> EventType | None:
        """The kind of the event, None for a plain log message."""
        return self.event.event_type if self.event is not None else None

    @property
    def message(self) -> str:
        """What happened, in words for people."""
        return self.user_message

    @property
    def asset_materialization(self) -> asset_events.AssetMaterialization | None:
        """The materialization that the entry tells of, if it does."""
        return self.event.materialization if self.event is not None else None

    @property
    def asset_observation(self) -> asset_events.AssetObservation | None:
        """The observation that the entry tells of, if it does."""
        return self.event.observation if self.event is not None else None

    @property
    def asset_check_evaluation(self) -> asset_checks.AssetCheckEvaluation | None:
        """The evaluation of a check that the entry tells of, if it does."""
        return self.event.asset_check_evaluation if self.event is not None else None


class EventLogRecord(records.Record):
    """An entry of the log at its position.

    Attributes:
        storage_id: The position in the log: the order of ids is the order of commits.
        event_log_entry: The entry.
    """

    storage_id: int
    event_log_entry: EventLogEntry

    @property
    def run_id(self) -> str:
        """The run, empty for what was reported from outside."""
        return self.event_log_entry.run_id

    @property
    def timestamp(self) -> float:
        """When, in seconds since 1970."""
        return self.event_log_entry.timestamp

    @property
    def event_type(self) -> EventType | None:
        """The kind of the event."""
        return self.event_log_entry.event_type

    @property
    def asset_key(self) -> keys.AssetKey | None:
        """The asset that the event is about, if it is about one."""
        event = self.event_log_entry.event
        return event.asset_key if event is not None else None

    @property
    def partition_key(self) -> str | None:
        """The partition of the asset that the event is about, if there is one."""
        event = self.event_log_entry.event
        return event.partition if event is not None else None

    @property
    def asset_materialization(self) -> asset_events.AssetMaterialization | None:
        """The materialization that the record tells of, if it does."""
        return self.event_log_entry.asset_materialization

    @property
    def asset_observation(self) -> asset_events.AssetObservation | None:
        """The observation that the record tells of, if it does."""
        return self.event_log_entry.asset_observation

    @property
    def asset_event(
        self,
    ) -> asset_events.AssetMaterialization | asset_events.AssetObservation | None:
        """The materialization or the observation that the record tells of, if it does."""
        return self.asset_materialization or self.asset_observation


class EventRecordsResult(records.Record):
    """A page of records.

    Attributes:
        records: The records.
        cursor: Where the next page begins.
        has_more: Whether there is a next page.
    """

    records: Sequence[EventLogRecord]
    cursor: str
    has_more: bool


class AssetRecordsFilter(records.Record):
    """Chooses records of one asset.

    Attributes:
        asset_key: The asset.
        asset_partitions: Only these partitions.
        after_timestamp: Only what happened after, in seconds since 1970.
        before_timestamp: Only what happened before, in seconds since 1970.
        after_storage_id: Only what stands after in the log.
        before_storage_id: Only what stands before in the log.
        storage_ids: Only these.
    """

    asset_key: keys.AssetKey
    asset_partitions: Sequence[str] | None = None
    after_timestamp: float | None = None
    before_timestamp: float | None = None
    after_storage_id: int | None = None
    before_storage_id: int | None = None
    storage_ids: Sequence[int] | None = None
