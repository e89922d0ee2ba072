"""The rows that storage takes and gives, as plain frozen data.

Called by the host, which knows Postgres only through these and through
`atoll_storage.database.Database`. Payloads that have a message in the contracts (events, failures,
builds) stay protobuf messages; SQL types stay out.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2


class RunStatus(enum.StrEnum):
    """The state of a run; the values are the names of `atoll.api.v1.RunStatus` without prefix."""

    QUEUED = "QUEUED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether a run in this state has ended."""
        return self in {RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED}


@dataclasses.dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that one code server appends in one go, in order of seq for each run."""

    location_name: str
    server_id: str
    epoch: int
    events: Sequence[events_pb2.Event]


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of one batch.

    Attributes:
        acknowledged: The highest stored seq of each run of the batch.
        fenced: The reason, for each run that is bound to another code server; nothing of it was
            stored.
        stale_epoch: The current epoch where the batch came from an older session; nothing was
            stored.
        last_event_id: The id of the newest event in the log that this batch wrote, 0 when it wrote
            none.
    """

    acknowledged: Mapping[str, int]
    fenced: Mapping[str, str]
    stale_epoch: int | None = None
    last_event_id: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class EventQuery:
    """Chooses events of the log; all conditions must hold. `asset_key` is the path of a key."""

    run_id: str | None = None
    location_name: str | None = None
    asset_key: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    job_names: tuple[str, ...] = ()
    after_time: dt.datetime | None = None
    before_time: dt.datetime | None = None
    event_ids: tuple[int, ...] = ()
    step_key: str | None = None


AssetPath = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class RunTarget:
    """What a run is to run of its job, beside assets and a partition. Empty fields mean all.

    Attributes:
        partition_range_start: The first partition of a range.
        partition_range_end: The last partition of a range.
        op_selection: The ops, as a selection over the job.
        asset_check_selection: The checks: the path of the asset's key, and the name.
        step_keys: The steps.
        parent_run_id: The run that this one runs again.
        root_run_id: The first of the runs that were run again one after the other.
    """

    partition_range_start: str = ""
    partition_range_end: str = ""
    op_selection: tuple[str, ...] = ()
    asset_check_selection: tuple[tuple[AssetPath, str], ...] = ()
    step_keys: tuple[str, ...] = ()
    parent_run_id: str = ""
    root_run_id: str = ""


WHOLE_JOB = RunTarget()
"""Everything of a job, for the first time."""


@dataclasses.dataclass(frozen=True, slots=True)
class NewRun:
    """A run to put into the queue. `run_config` is encoded JSON, None for the job's default.

    `pools` are those of what it runs, in order of their names.
    """

    run_id: str
    location_name: str
    job_name: str
    tags: Mapping[str, str]
    run_config: bytes | None = None
    asset_selection: Sequence[tuple[str, ...]] = ()
    partition_key: str = ""
    request_id: str = ""
    requested_build_id: str = ""
    sensor_name: str = ""
    tick_id: str = ""
    run_key: str = ""
    target: RunTarget = WHOLE_JOB
    pools: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as stored. `server_id` and `attempt` say where it was last handed to, and how often.

    `update_time` is when the status last changed; `queue_order` is the position among all runs.
    `pending_failure` is what a run that is being canceled fails with, None where it is not to.
    """

    run_id: str
    location_name: str
    job_name: str
    status: RunStatus
    tags: Mapping[str, str]
    run_config: bytes | None
    asset_selection: tuple[tuple[str, ...], ...]
    partition_key: str
    create_time: dt.datetime
    start_time: dt.datetime | None
    end_time: dt.datetime | None
    requested_build_id: str
    build_id: str
    server_id: str
    attempt: int
    failure: values_pb2.Failure | None
    sensor_name: str
    tick_id: str
    run_key: str
    target: RunTarget = WHOLE_JOB
    update_time: dt.datetime | None = None
    queue_order: int = 0
    pools: tuple[str, ...] = ()
    pending_failure: values_pb2.Failure | None = None


class RunOrder(enum.Enum):
    """What runs are listed by; the values are the columns."""

    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"


@dataclasses.dataclass(frozen=True, slots=True)
class ReadableRuns:
    """Which runs somebody may read.

    Attributes:
        locations: The locations whose runs may be read.
        jobs: Further jobs, by location and name.
        without: Jobs of these locations whose runs may not be read.
    """

    locations: tuple[str, ...]
    jobs: tuple[tuple[str, str], ...] = ()
    without: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class RunQuery:
    """Chooses runs; all given conditions must hold.

    Attributes:
        statuses: Only these; empty means any.
        run_ids: Only these; None means any.
        tags: The values of a tag, of which one is enough, by its name.
        absent_tags: Tags that a run must not have.
        created_from: Only runs that were queued then or later.
        updated_from: Only runs whose status last changed then or later.
        asset_key: The path of an asset that the log tells of in connection with the run.
        readable: Only what whoever asks may read; None means anything.
    """

    location_name: str | None = None
    job_name: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    run_ids: tuple[str, ...] | None = None
    tags: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict[str, Sequence[str]])
    absent_tags: tuple[str, ...] = ()
    created_after: dt.datetime | None = None
    created_before: dt.datetime | None = None
    updated_after: dt.datetime | None = None
    updated_before: dt.datetime | None = None
    created_from: dt.datetime | None = None
    updated_from: dt.datetime | None = None
    asset_key: AssetPath | None = None
    readable: ReadableRuns | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AssetEntry:
    """What the log says of an asset as a whole. `planned_id` is 0 where nothing is planned."""

    path: AssetPath
    latest_materialization: events_pb2.StoredEvent | None = None
    latest_observation: events_pb2.StoredEvent | None = None
    planned_id: int = 0
    planned_run_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class AssetPartitionQuery:
    """Chooses partitions of one asset.

    Attributes:
        path: The asset.
        partitions: Only these; empty means all.
        after_partition: Only those after this one.
        materialized: Only those that were materialized, and only what that took.
        after_id: Only those whose newest materialization is after this id.
        before_id: Look at what is before this id only; 0 means no bound.
    """

    path: AssetPath
    partitions: Sequence[str] = ()
    after_partition: str = ""
    materialized: bool = False
    after_id: int = 0
    before_id: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class AssetPartition:
    """What the log says of one partition of an asset. Ids are 0 where there is none."""

    partition: str
    materialization_id: int
    materialization_count: int
    observation_id: int = 0
    planned_id: int = 0
    planned_run_id: str = ""
    planned_run_status: str = ""
    failed_id: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class DynamicPartition:
    """One key of a dynamic partitions definition; positions follow the order of adding."""

    partition_key: str
    position: int
    create_time: dt.datetime


class DynamicPartitionsChangeKind(enum.Enum):
    """What is done with keys."""

    ADD = "add"
    DELETE = "delete"


@dataclasses.dataclass(frozen=True, slots=True)
class DynamicPartitionsChange:
    """Keys to add to a dynamic partitions definition, or to take out of it."""

    partitions_def_name: str
    kind: DynamicPartitionsChangeKind
    partition_keys: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRegistration:
    """What a code server says when it opens a session with the host `host_id`."""

    location_name: str
    server_id: str
    incarnation_id: str
    address: str
    version: str
    protocol_version: int
    features: tuple[str, ...]
    host_id: str
    build: location_pb2.Build | None
    load_failure: values_pb2.Failure | None
    draining: bool
    lease_ttl_s: float
    control_token: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRecord:
    """A code server as stored.

    The current server of a location is its newest incarnation that does not drain. `control_token`
    is secret: what hosts send with each call of it.
    """

    location_name: str
    server_id: str
    incarnation_id: str
    epoch: int
    address: str
    version: str
    features: tuple[str, ...]
    host_id: str
    build: location_pb2.Build | None
    load_failure: values_pb2.Failure | None
    draining: bool
    register_time: dt.datetime
    lease_expire_time: dt.datetime
    current: bool
    control_token: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class SensorKey:
    """Names a sensor in the mesh."""

    location_name: str
    sensor_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class StartPosition:
    """Where an event-driven sensor begins in the log; by default after the newest event.

    Attributes:
        earliest: Whether it begins with the oldest event that is stored.
        time: It begins with the first event that was stored at this time or later.
    """

    earliest: bool = False
    time: dt.datetime | None = None


LATEST = StartPosition()
"""After the newest event."""


@dataclasses.dataclass(frozen=True, slots=True)
class SensorState:
    """What the host remembers of a sensor.

    Attributes:
        running: Whether it is evaluated; None until somebody starts or stops it: its default status
            counts then.
        cursor: What user code left, None for nothing.
        position: For event-driven sensors, the id of the newest event that was decided on; for
            webhook sensors, the number of the newest delivery.
        version: Raised by each commit; a tick commits only against the version it began with.
        failures: How many ticks failed in a row.
        retry_time: When it is tried again after a failure.
        start_position: Where it began in the log; what is up to there counts as seen.
        resets: How often the cursor was reset; an event is decided on once between two resets.
    """

    key: SensorKey
    running: bool | None
    cursor: str | None
    position: int
    version: int
    start_time: dt.datetime | None
    last_tick_time: dt.datetime | None
    last_run_key: str
    failures: int = 0
    retry_time: dt.datetime | None = None
    start_position: int = 0
    resets: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SensorReset:
    """Where a sensor is to go on. None leaves a position as it is.

    Attributes:
        cursor: The new cursor, None for none.
        position: A position in the log.
        start: A position in the log, in words; not with `position`.
    """

    cursor: str | None = None
    position: int | None = None
    start: StartPosition | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class TickCommit:
    """Everything that one evaluation decided, to be stored as a whole or not at all.

    Attributes:
        expected_version: The version of the sensor's state when the tick began.
        cursor: The new cursor; None leaves it as it was.
        position: The new position; None leaves it as it was.
        runs: The runs to create. One whose (sensor, run_key) has a run already is left out and
            reported.
        tick: Id, outcome, times, skip reason, failure, build, event id and log lines; the run ids,
            the skipped run keys and the end time are filled in by the commit.
        asset_events: Events that the sensor reports, stored in the same transaction.
        dynamic_partitions: Changes of dynamic partitions, made in order in the same transaction.
        resets: How often the cursor had been reset when the tick began.
        retry_after_s: After a failed tick, how long to wait before the next.
        delivery: The number of the webhook delivery that the tick consumes; 0 for none.
    """

    key: SensorKey
    expected_version: int
    cursor: str | None
    position: int | None
    runs: Sequence[NewRun]
    tick: automation_pb2.Tick
    asset_events: Sequence[events_pb2.Event] = ()
    dynamic_partitions: Sequence[DynamicPartitionsChange] = ()
    resets: int = 0
    retry_after_s: float = 0.0
    delivery: int = 0


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ScheduleKey:
    """Names a schedule in the mesh."""

    location_name: str
    schedule_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class ScheduleState:
    """What the host remembers of a schedule.

    Attributes:
        running: Whether it is evaluated; None until somebody starts or stops it: its default status
            counts then.
        timetable: When it is due, as the host wrote it down; empty where the schedule is gone from
            its location. Times up to `position` were due by this one or by those before.
        position: Every time up to this one is decided on.
        version: Raised by each commit; a tick commits only against the version it began with.
        failing_time: The time whose tick failed and will be tried again; None where there is none.
        failures: How often that tick has failed.
        waiting_reason: Why a tick that is due has to wait; empty where none has to.
    """

    key: ScheduleKey
    running: bool | None
    timetable: str
    position: dt.datetime
    version: int
    start_time: dt.datetime | None
    last_tick_time: dt.datetime | None
    failing_time: dt.datetime | None
    failures: int
    waiting_reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class ScheduleCommit:
    """Everything that one tick of a schedule decided, to be stored as a whole or not at all.

    Attributes:
        expected_version: The version of the schedule's state when the tick began.
        position: The new position; the same as before for a tick that will be tried again.
        failing_time: The time whose tick will be tried again; None where there is none.
        failures: How often that tick has failed.
        runs: The runs to create. One whose request has a run already is left out and reported.
        tick: As for sensors: the commit fills in run ids, skipped run keys and the end time.
        dynamic_partitions: Changes of dynamic partitions, made in order in the same transaction.
    """

    key: ScheduleKey
    expected_version: int
    position: dt.datetime
    tick: automation_pb2.Tick
    failing_time: dt.datetime | None = None
    failures: int = 0
    runs: Sequence[NewRun] = ()
    dynamic_partitions: Sequence[DynamicPartitionsChange] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class OutputPiece:
    """A piece of captured output. `stream` is the number of `atoll.mesh.v1.OutputStream`.

    `position` tells in which order the pieces of a run arrived; 0 for one that is not stored yet.
    """

    run_id: str
    step_key: str
    stream: int
    offset: int
    data: bytes
    position: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Notification:
    """Something changed: `payload` is a hint, never the truth.

    `channel` is one of `atoll_storage.notifications`.

    A notification with the channel "reconnected" says that some may have been missed.

    Attributes:
        own: Whether this very process made the change.
    """

    channel: str
    payload: str
    own: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class RunChange:
    """A run reached a status, as an event of the log tells. The job is empty where it is unsaid."""

    status: RunStatus
    location_name: str
    job_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class RunChangeQuery:
    """Chooses what a sensor on the status of runs sees.

    Attributes:
        status: The status that runs reach.
        monitored: Locations and jobs; an empty job means all of the location. None means all runs.
        ignored_jobs: Jobs whose runs do not count: locations and names.
        asked_by: Runs that this sensor asked for do not count.
    """

    status: RunStatus
    monitored: tuple[tuple[str, str], ...] | None = None
    ignored_jobs: tuple[tuple[str, str], ...] = ()
    asked_by: SensorKey | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """What one transaction of this process wrote to the log, told right after its commit.

    Attributes:
        after_id: The newest id before it: the ids up to `last_id` are all of this transaction.
        last_id: The newest id after it.
        materializations: The id and the asset key of each materialization among them, in order.
        statuses: What runs became.
        run_changes: The id and what became of a run, for each event that tells so, in order.
    """

    after_id: int
    last_id: int
    materializations: Sequence[tuple[int, tuple[str, ...]]] = ()
    statuses: frozenset[RunStatus] = frozenset()
    run_changes: Sequence[tuple[int, RunChange]] = ()


STORED_UNKNOWN = Stored(after_id=0, last_id=0, statuses=frozenset(RunStatus))
"""Told when nobody knows whether a transaction was committed: whoever follows has to look."""
