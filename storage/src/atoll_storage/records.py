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


@dataclasses.dataclass(frozen=True, slots=True)
class NewRun:
    """A run to put into the queue. `run_config` is encoded JSON, None for the job's default."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as stored. `server_id` and `attempt` say where it was last handed to, and how often."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class RunQuery:
    """Chooses runs; all given conditions must hold."""

    location_name: str | None = None
    job_name: str | None = None
    statuses: tuple[RunStatus, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimLimits:
    """How many runs may be active (STARTING, STARTED or CANCELING) at once."""

    active_max: int
    active_per_location_max: int


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


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRecord:
    """A code server as stored.

    The current server of a location is its newest incarnation that does not drain.
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


@dataclasses.dataclass(frozen=True, slots=True)
class SensorKey:
    """Names a sensor in the mesh."""

    location_name: str
    sensor_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class SensorState:
    """What the host remembers of a sensor.

    Attributes:
        running: Whether it is evaluated; None until somebody starts or stops it: its default status
            counts then.
        cursor: What user code left, None for nothing.
        position: For asset sensors, the id of the newest event that was decided on.
        version: Raised by each commit; a tick commits only against the version it began with.
    """

    key: SensorKey
    running: bool | None
    cursor: str | None
    position: int
    version: int
    start_time: dt.datetime | None
    last_tick_time: dt.datetime | None
    last_run_key: str


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
    """

    key: SensorKey
    expected_version: int
    cursor: str | None
    position: int | None
    runs: Sequence[NewRun]
    tick: automation_pb2.Tick
    asset_events: Sequence[events_pb2.Event] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class OutputPiece:
    """A piece of captured output. `stream` is the number of `atoll.mesh.v1.OutputStream`."""

    run_id: str
    step_key: str
    stream: int
    offset: int
    data: bytes


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
class Stored:
    """What one transaction of this process wrote to the log, told right after its commit.

    Attributes:
        after_id: The newest id before it: the ids up to `last_id` are all of this transaction.
        last_id: The newest id after it.
        materializations: The id and the asset key of each materialization among them, in order.
        statuses: What runs became.
    """

    after_id: int
    last_id: int
    materializations: Sequence[tuple[int, tuple[str, ...]]] = ()
    statuses: frozenset[RunStatus] = frozenset()


STORED_UNKNOWN = Stored(after_id=0, last_id=0, statuses=frozenset(RunStatus))
"""Told when nobody knows whether a transaction was committed: whoever follows has to look."""
