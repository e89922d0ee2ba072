"""What storage takes and gives about automation conditions, as plain frozen data.

Called by `condition_store`, `condition_facts` and the host. A target is an asset, a check or a job
with a condition; here it is a text (`asset_keys.encode_target`).
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import values_pb2
from atoll_storage import records


@dataclasses.dataclass(frozen=True, slots=True)
class ConditionState:
    """What is remembered of one target.

    Attributes:
        target_key: The target.
        version: Raised by each commit.
        position: The events up to here are taken into account.
        evaluation_time: When it was last evaluated.
        location_name: The location it was evaluated for.
        sensor_name: The sensor it was evaluated for.
        state: What the next evaluation needs, encoded by the host.
        held: What waits for another location, encoded by the host; None for nothing.
        failures: Evaluations that failed in a row.
        failure: What went wrong in the newest of these.
    """

    target_key: str
    version: int
    position: int
    evaluation_time: dt.datetime
    location_name: str
    sensor_name: str
    state: bytes
    held: bytes | None = None
    failures: int = 0
    failure: values_pb2.Failure | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluatedTarget:
    """What one evaluation leaves of a target, against the version that it began with.

    Attributes:
        target_key: The target.
        expected_version: 0 for one that was never evaluated.
        sensor: The sensor it was evaluated for.
        state: What the next evaluation needs; None leaves it, and all below, as they were.
        held: What waits for another location.
        failures: Evaluations that failed in a row.
        failure: What went wrong.
        stays: Whether it counts as not evaluated: time and position stay, too.
    """

    target_key: str
    expected_version: int
    sensor: records.SensorKey
    state: bytes | None = None
    held: bytes | None = None
    failures: int = 0
    failure: values_pb2.Failure | None = None
    stays: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """An evaluation that said something new. `payload` is the message, encoded."""

    target_key: str
    evaluation_id: int
    evaluation_time: dt.datetime
    requested: int
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class SensorRound:
    """What a sensor did in a round: a tick, or nothing worth one.

    Attributes:
        key: The sensor.
        expected_version: The version of its state; the round counts only against this one.
        tick: The tick; None for none.
    """

    key: records.SensorKey
    expected_version: int
    tick: automation_pb2.Tick | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ConditionCommit:
    """Everything that one round of evaluations decided: stored as a whole or not at all.

    Attributes:
        position: The events up to here were taken into account.
        evaluation_time: When.
        sensors: The sensors whose targets were evaluated.
        targets: The targets.
        evaluations: What is worth remembering.
        runs: The runs to create, each with the sensor and the tick that ask for it.
    """

    position: int
    evaluation_time: dt.datetime
    sensors: Sequence[SensorRound]
    targets: Sequence[EvaluatedTarget]
    evaluations: Sequence[EvaluationRecord] = ()
    runs: Sequence[records.NewRun] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class AssetFact:
    """What is known of one asset as a whole, at one position of the log. Ids are 0 for none.

    Attributes:
        path: The asset.
        position: The position.
        materialization_id: The newest materialization, of whatever partition.
        event: That materialization; None for none.
        stored_time: When it was stored.
        observation_id: The newest observation.
        planned_id: The newest plan.
        failed_id: The plan that a failed run left out last, or the failure.
        failed_range_start: The first partition of the range that it was for, empty for none.
        failed_range_end: The last one.
    """

    path: records.AssetPath
    position: int
    materialization_id: int = 0
    event: bytes | None = None
    stored_time: dt.datetime | None = None
    observation_id: int = 0
    planned_id: int = 0
    failed_id: int = 0
    failed_range_start: str = ""
    failed_range_end: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionFact:
    """What is known of one partition of one asset. Ids are 0 for none.

    Attributes:
        partition: The partition.
        materialization_id: The newest materialization.
        observation_id: The newest observation.
        planned_id: The newest plan.
        failed_id: The plan that a failed run left out last, or the failure.
    """

    partition: str
    materialization_id: int
    observation_id: int
    planned_id: int
    failed_id: int


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionFacts:
    """What is known of the partitions of one asset, at one position of the log."""

    path: records.AssetPath
    position: int
    partitions: Sequence[PartitionFact]


@dataclasses.dataclass(frozen=True, slots=True)
class CheckFact:
    """The newest evaluation of a check, or of a partition of it.

    Attributes:
        evaluation_id: Its position in the log.
        event: The event.
        materialization_id: The newest materialization of what was checked; 0 for none.
        materialization: That event; empty for none.
    """

    evaluation_id: int
    event: bytes
    materialization_id: int
    materialization: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class CheckFacts:
    """The newest evaluations of one check, at one position of the log."""

    path: records.AssetPath
    name: str
    position: int
    evaluations: Sequence[CheckFact]


@dataclasses.dataclass(frozen=True, slots=True)
class UpdateFact:
    """An event that updated an asset or a check: its id, when it was stored, and the event."""

    event_id: int
    stored_time: dt.datetime
    event: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class OpenRun:
    """A run as far as conditions are concerned."""

    run_id: str
    location_name: str
    job_name: str
    status: records.RunStatus
    tags: Mapping[str, str]
    asset_selection: Sequence[records.AssetPath]
    check_selection: Sequence[tuple[records.AssetPath, str]]
    partition_key: str
    partition_range: tuple[str, str]
