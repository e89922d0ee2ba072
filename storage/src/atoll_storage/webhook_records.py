"""What storage tells and is told of webhooks that come in.

Read by `webhook_store` and by what takes and consumes deliveries. Plain values: nothing here reads
or writes.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping

from atoll_storage import records


@dataclasses.dataclass(frozen=True, slots=True)
class NewDelivery:
    """An authenticated request to the address of a webhook sensor."""

    key: records.SensorKey
    delivery_id: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that waits; numbers of one sensor follow the order of commits."""

    number: int
    delivery_id: str
    receive_time: dt.datetime
    headers: Mapping[str, str]
    body: bytes


class DeliveryOutcome(enum.Enum):
    """What became of a delivery."""

    STORED = "stored"
    REPEATED = "repeated"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookState:
    """What is known of a webhook sensor: the number of its newest delivery, and how many wait."""

    newest: int
    waiting: int
