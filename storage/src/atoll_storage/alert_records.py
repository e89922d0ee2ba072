"""The rows of alerts that storage takes and gives, as plain frozen data.

Called by the host's alerts and by `alert_store`, as `records` is by everybody.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from atoll.api.v1 import alerts_pb2, automation_pb2


@dataclasses.dataclass(frozen=True, slots=True)
class AlertKey:
    """A rule for alerts, and what it found something about."""

    rule: str
    subject: str


@dataclasses.dataclass(frozen=True, slots=True)
class AlertMemory:
    """What is remembered of a rule and a subject.

    Attributes:
        alert_time: When the newest alert was caused; None where none was.
        suppressed_count: How many causes since then made none.
        update_time: When the newest cause happened.
    """

    alert_time: dt.datetime | None
    suppressed_count: int
    update_time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class AlertCommit:
    """What was decided about alerts, to be stored as a whole or not at all.

    Attributes:
        follower: Who looked.
        expected_version: The version of its position when it looked.
        position: The newest event that was looked at.
        memories: What to remember from now on.
        alerts: The alerts, each with its deliveries, of which ids and targets count.
    """

    follower: str
    expected_version: int
    position: int
    memories: Mapping[AlertKey, AlertMemory]
    alerts: Sequence[alerts_pb2.Alert]


@dataclasses.dataclass(frozen=True, slots=True)
class FailingTicks:
    """The newest ticks of a sensor or schedule, newest first, and the newest of them in full."""

    location_name: str
    name: str
    is_sensor: bool
    statuses: tuple[int, ...]
    newest_time: dt.datetime
    newest: automation_pb2.Tick


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is to be tried now. `target` is its place among those of the rule."""

    delivery_id: str
    rule: str
    target: int
    target_name: str
    attempts: int
    alert: alerts_pb2.Alert
