"""What is sent next, and what comes of a try: pure decisions about one subscription.

Called by `following` and `delivering`. Nothing here reads a clock or draws lots: ages and chance
are handed in.

    try --2xx--> DELIVERED
     |---410---> WAITING, and the subscription is paused as GONE
     `--else---> too often or for too long? --yes--> DEAD --too many--> paused as DEAD_LETTERS
                     `--no--> WAITING, tried again after a pause --failing for long--> paused
                                                                       as FAILING
"""

import dataclasses
import uuid
from collections.abc import Sequence

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll.events.v1 import events_pb2
from atoll_host import services
from atoll_host.subscriptions import subscription_settings

_GONE = 410
_SUCCESS = range(200, 300)
_JITTER = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """How a request fared.

    Attributes:
        http_status: What it was answered with; 0 where it was not.
        error: What went wrong, without secrets; empty where nothing did.
        retry_after_s: When the receiver wants to be asked again; 0 where it says nothing.
        duration_ms: How long it took.
    """

    http_status: int
    error: str = ""
    retry_after_s: float = 0.0
    duration_ms: int = 0

    @property
    def arrived(self) -> bool:
        """Whether the receiver has it."""
        return self.http_status in _SUCCESS


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What was before the answer.

    Attributes:
        attempts: How many tries there were, with this one.
        age_s: How long ago the first one was.
        failing_s: How long requests to the receiver have been failing.
        dead_count: How many deliveries were given up and are kept.
    """

    attempts: int
    age_s: float
    failing_s: float
    dead_count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of a try.

    Attributes:
        status: How far the delivery is now.
        again_after_s: When it is tried again, while it waits.
        pause: Why the subscription is paused from now on; unspecified where it is not.
    """

    status: alerts_pb2.DeliveryStatus.ValueType
    again_after_s: float = 0.0
    pause: subscriptions_pb2.SubscriptionPause.ValueType = (
        subscriptions_pb2.SUBSCRIPTION_PAUSE_UNSPECIFIED
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Batches:
    """What is sent next.

    Attributes:
        batches: The events of each request.
        position: Up to this event, everything is decided.
    """

    batches: Sequence[Sequence[events_pb2.StoredEvent]]
    position: int


def judge(
    answer: Answer,
    history: History,
    settings: subscription_settings.SubscriptionSettings,
    chance: float,
) -> Verdict:
    """Decide what comes of a try.

    Args:
        answer: How it fared.
        history: What was before.
        settings: How hard to try.
        chance: A number from 0 to 1, by which pauses are spread.
    """
    if answer.arrived:
        return Verdict(alerts_pb2.DELIVERY_STATUS_DELIVERED)
    again_after_s = pause_s(history.attempts, settings, chance, answer.retry_after_s)
    if answer.http_status == _GONE:
        # What waits is kept: whoever resumes the subscription loses nothing.
        return Verdict(
            alerts_pb2.DELIVERY_STATUS_WAITING,
            again_after_s,
            subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE,
        )
    pause = (
        subscriptions_pb2.SUBSCRIPTION_PAUSE_FAILING
        if history.failing_s >= settings.pause_after_s
        else subscriptions_pb2.SUBSCRIPTION_PAUSE_UNSPECIFIED
    )
    if history.attempts < settings.attempts_max and history.age_s < settings.attempts_for_s:
        return Verdict(alerts_pb2.DELIVERY_STATUS_WAITING, again_after_s, pause)
    if not pause and history.dead_count + 1 >= settings.dead_max:
        pause = subscriptions_pb2.SUBSCRIPTION_PAUSE_DEAD_LETTERS
    return Verdict(alerts_pb2.DELIVERY_STATUS_DEAD, pause=pause)


def pause_s(
    attempts: int,
    settings: subscription_settings.SubscriptionSettings,
    chance: float,
    retry_after_s: float = 0.0,
) -> float:
    """Return how long to wait after so many tries: doubled each time, and spread by chance.

    What the receiver asks for is waited for as well, up to the longest pause.
    """
    doubled = services.Backoff(settings.first_retry_s, settings.longest_retry_s).delay_s(attempts)
    spread = doubled * (1.0 - _JITTER * chance)
    return max(spread, min(retry_after_s, settings.longest_retry_s))


def choose(
    found: Sequence[events_pb2.StoredEvent], location_names: frozenset[str] | None
) -> list[events_pb2.StoredEvent]:
    """Return those of the events that whoever subscribed may see; None means all."""
    if location_names is None:
        return list(found)
    return [each for each in found if each.location_name in location_names]


def cut(
    events: Sequence[events_pb2.StoredEvent],
    seen: int,
    *,
    events_max: int,
    bytes_max: int,
    room: int,
) -> Batches:
    """Cut events into requests, in order.

    Args:
        events: What is to be sent.
        seen: Up to where the log was looked at for it.
        events_max: How many events one request may hold.
        bytes_max: How long they may be together; one event always fits.
        room: How many requests there may be. Events that find no room are left for the next look.
    """
    batches: list[list[events_pb2.StoredEvent]] = []
    size = 0
    for event in events:
        event_size = event.ByteSize()
        if batches and len(batches[-1]) < events_max and size + event_size <= bytes_max:
            batches[-1].append(event)
            size += event_size
            continue
        if len(batches) >= room:
            return Batches(batches, batches[-1][-1].id if batches else event.id - 1)
        batches.append([event])
        size = event_size
    return Batches(batches, seen)


def delivery_id(subscription_id: str, first_event_id: int, last_event_id: int) -> str:
    """Return the id of a delivery: it follows from what is in it."""
    return str(uuid.uuid5(uuid.UUID(subscription_id), f"{first_event_id}-{last_event_id}"))
