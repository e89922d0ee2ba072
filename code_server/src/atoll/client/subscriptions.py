"""Subscriptions: events that the host sends to other services by HTTP."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import grpc.aio

from atoll.api.v1 import (
    alerts_pb2,
    events_pb2,
    subscriptions_pb2,
    subscriptions_pb2_grpc,
)
from atoll.client import calls

TEST_TIMEOUT_S: Final = 30.0


@dataclasses.dataclass(frozen=True)
class NewSubscription:
    """What to send where.

    Attributes:
        name: The name.
        url: Where requests go.
        filter: Which events; None means all.
        job_names: Only events of runs of these jobs; empty means all.
        start: With which event to begin: None means the next one, ``"earliest"`` the oldest that is
            stored, an id the first after it, a time the first since then.
        batch_events_max: How many events one request may hold.
        ordered: Whether a request waits until the one before has arrived or was given up.
        request_id: Makes it idempotent: repeating it returns the first subscription.
    """

    name: str
    url: str
    filter: events_pb2.EventFilter | None = None
    job_names: Sequence[str] = ()
    start: str | int | dt.datetime | None = None
    batch_events_max: int = 1
    ordered: bool = True
    request_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


@dataclasses.dataclass(frozen=True)
class Changes:
    """What to change of a subscription; None leaves it as it is."""

    url: str | None = None
    filter: events_pb2.EventFilter | None = None
    job_names: Sequence[str] | None = None
    batch_events_max: int | None = None
    ordered: bool | None = None


class Subscriptions:
    """Makes, shows and steers subscriptions."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "subscriptions_pb2_grpc.SubscriptionsServiceAsyncStub",
            subscriptions_pb2_grpc.SubscriptionsServiceStub(channel),
        )
        self._caller = caller

    async def create(self, new: NewSubscription) -> subscriptions_pb2.CreateSubscriptionResponse:
        """Make a subscription; the answer holds its secret, which nothing tells again."""
        request = subscriptions_pb2.CreateSubscriptionRequest(
            request_id=new.request_id,
            name=new.name,
            url=new.url,
            filter=new.filter,
            job_names=new.job_names,
            batch_events_max=new.batch_events_max,
            unordered=not new.ordered,
            start=_start(new.start),
        )
        return await self._caller.unary(self._stub.CreateSubscription, request)

    def list(self, *, limit: int | None = None) -> AsyncIterator[subscriptions_pb2.Subscription]:
        """Yield the subscriptions that the caller may steer, by name."""

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[subscriptions_pb2.Subscription], str]:
            request = subscriptions_pb2.ListSubscriptionsRequest(page_size=size, page_token=token)
            answer = await self._caller.unary(self._stub.ListSubscriptions, request)
            return answer.subscriptions, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, name: str) -> subscriptions_pb2.Subscription:
        """Return a subscription."""
        request = subscriptions_pb2.GetSubscriptionRequest(name=name)
        return (await self._caller.unary(self._stub.GetSubscription, request)).subscription

    async def update(self, name: str, changes: Changes) -> subscriptions_pb2.Subscription:
        """Change a subscription; return it as it is then."""
        request = subscriptions_pb2.UpdateSubscriptionRequest(
            name=name,
            url=changes.url,
            filter=changes.filter,
            batch_events_max=changes.batch_events_max,
            unordered=None if changes.ordered is None else not changes.ordered,
        )
        if changes.job_names is not None:
            request.jobs.SetInParent()
            request.jobs.job_names.extend(changes.job_names)
        return (await self._caller.unary(self._stub.UpdateSubscription, request)).subscription

    async def pause(self, name: str) -> subscriptions_pb2.Subscription:
        """Send nothing any more; return the subscription as it is then."""
        request = subscriptions_pb2.PauseSubscriptionRequest(name=name)
        return (await self._caller.unary(self._stub.PauseSubscription, request)).subscription

    async def resume(self, name: str) -> subscriptions_pb2.Subscription:
        """Go on where it was paused; return the subscription as it is then."""
        request = subscriptions_pb2.ResumeSubscriptionRequest(name=name)
        return (await self._caller.unary(self._stub.ResumeSubscription, request)).subscription

    async def delete(self, name: str) -> None:
        """Forget a subscription and its deliveries."""
        request = subscriptions_pb2.DeleteSubscriptionRequest(name=name)
        await self._caller.unary(self._stub.DeleteSubscription, request, repeatable=False)

    async def test(self, name: str) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a request that no event caused; return how that went."""
        request = subscriptions_pb2.TestSubscriptionRequest(name=name)
        answer = await self._caller.unary(
            self._stub.TestSubscription, request, deadline_s=TEST_TIMEOUT_S, repeatable=False
        )
        return answer.delivery

    async def rotate_secret(
        self, name: str, *, revoke_old: bool = False
    ) -> subscriptions_pb2.RotateSecretResponse:
        """Make a new secret, which nothing tells again.

        Args:
            name: The subscription.
            revoke_old: Whether the one before ends at once; otherwise both sign for a while.
        """
        request = subscriptions_pb2.RotateSecretRequest(name=name, revoke_old=revoke_old)
        return await self._caller.unary(self._stub.RotateSecret, request, repeatable=False)

    def deliveries(
        self,
        name: str,
        *,
        statuses: Sequence[alerts_pb2.DeliveryStatus.ValueType] = (),
        limit: int | None = None,
    ) -> AsyncIterator[subscriptions_pb2.SubscriptionDelivery]:
        """Yield deliveries of a subscription, newest first.

        Args:
            name: The subscription.
            statuses: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[subscriptions_pb2.SubscriptionDelivery], str]:
            request = subscriptions_pb2.ListDeliveriesRequest(
                name=name, page_size=size, page_token=token, statuses=statuses
            )
            answer = await self._caller.unary(self._stub.ListDeliveries, request)
            return answer.deliveries, answer.next_page_token

        return calls.paged(fetch, limit)

    async def delivery(self, name: str, delivery_id: str) -> subscriptions_pb2.GetDeliveryResponse:
        """Return a delivery and what is sent with it."""
        request = subscriptions_pb2.GetDeliveryRequest(name=name, delivery_id=delivery_id)
        return await self._caller.unary(self._stub.GetDelivery, request)

    async def redeliver(
        self, name: str, delivery_id: str
    ) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a delivery once more that has arrived or was given up."""
        request = subscriptions_pb2.RedeliverDeliveryRequest(name=name, delivery_id=delivery_id)
        return (await self._caller.unary(self._stub.RedeliverDelivery, request)).delivery


def _start(start: str | int | dt.datetime | None) -> subscriptions_pb2.SubscriptionStart:
    message = subscriptions_pb2.SubscriptionStart()
    if isinstance(start, dt.datetime):
        message.from_time.FromDatetime(start)
    elif isinstance(start, int):
        message.after_id = start
    elif start == "earliest":
        message.earliest = True
    elif start is not None:
        text = (
            f"{start!r} is no start. Give 'earliest', an id, a time, or nothing for the next event."
        )
        raise ValueError(text)
    return message
