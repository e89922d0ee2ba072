"""The rows of subscriptions that storage takes and gives, as plain frozen data.

Called by the host's subscriptions and by the two stores of them, as `records` is by everybody. What
holds a secret leaves it out of its representation.
"""

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence

from atoll.api.v1 import alerts_pb2, subscriptions_pb2


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription begins in the log.

    Attributes:
        position: It begins with the first event after this id; None means the head, whichever that
            is then.
        takes_what_is_left: Whether events before the head of now need not all be there any more.
    """

    position: int | None = None
    takes_what_is_left: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription to be stored.

    Attributes:
        request_id: Makes it exactly once.
        told: What was asked for, with id and name.
        location_names: Whose events may be sent; None means all.
        secret: What requests are signed with.
        start: Where it begins.
    """

    request_id: str
    told: subscriptions_pb2.Subscription
    location_names: Collection[str] | None
    secret: bytes = dataclasses.field(repr=False)
    start: Start = dataclasses.field(default_factory=Start)


@dataclasses.dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription as it is stored.

    Attributes:
        told: It, as the API tells of it.
        location_names: Whose events may be sent; None means all.
        version: Raised by everything that changes what is sent from which position on.
        complete_after: Up to this event, what is left of the log is enough.
    """

    told: subscriptions_pb2.Subscription
    location_names: frozenset[str] | None
    version: int
    complete_after: int


@dataclasses.dataclass(frozen=True, slots=True)
class Signing:
    """What requests are signed with: the secret, and the one before while it still holds."""

    secrets: tuple[bytes, ...] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class NewDelivery:
    """Events that are to be sent in one request."""

    delivery_id: str
    first_event_id: int
    last_event_id: int
    event_count: int
    body: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Advance:
    """What was decided about the next events, to be stored as a whole or not at all.

    Attributes:
        subscription_id: The subscription.
        expected_version: The version that was decided on.
        position: Up to this event, everything is decided.
        deliveries: What is to be sent.
        missed_through: Events up to this id were gone before they could be looked at; 0 for none.
    """

    subscription_id: str
    expected_version: int
    position: int
    deliveries: Sequence[NewDelivery] = ()
    missed_through: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """Which deliveries to take.

    Attributes:
        subscription_id: The subscription.
        ordered: Whether only the first that waits may go, but for those that are sent again.
        limit: How many at the most.
        lease_s: How long nobody else takes them.
    """

    subscription_id: str
    ordered: bool
    limit: int
    lease_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is to be tried now.

    Attributes:
        delivery_id: Its id.
        first_event_id: The first event in it.
        body: What to send.
        attempts: How often it was tried, with this time.
        age_s: How long ago the first try was.
        failing_s: How long requests to the receiver have been failing; 0 where the newest arrived.
        dead_count: How many deliveries of the subscription were given up and are kept.
        signing: What to sign with.
    """

    delivery_id: str
    first_event_id: int
    body: bytes = dataclasses.field(repr=False)
    attempts: int
    age_s: float
    failing_s: float
    dead_count: int
    signing: Signing


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a try went, and what comes of that.

    Attributes:
        subscription_id: The subscription.
        first_event_id: Names the delivery.
        attempts: Names the try: the outcome of an earlier one changes nothing.
        status: How far the delivery is now.
        again_after_s: When it is tried again, while it waits.
        pause: Why the subscription is paused from now on; unspecified where it is not.
        http_status: What was answered; 0 where nothing was.
        error: Why it failed; empty where it did not.
        duration_ms: How long it took.
    """

    subscription_id: str
    first_event_id: int
    attempts: int
    status: alerts_pb2.DeliveryStatus.ValueType
    again_after_s: float = 0.0
    pause: subscriptions_pb2.SubscriptionPause.ValueType = (
        subscriptions_pb2.SUBSCRIPTION_PAUSE_UNSPECIFIED
    )
    http_status: int = 0
    error: str = ""
    duration_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class PausedSubscription:
    """A subscription that the host paused."""

    name: str
    pause: subscriptions_pb2.SubscriptionPause.ValueType
    since: dt.datetime
    error: str
