"""Subscriptions: events that the host sends to other services by HTTP.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll.client import subscriptions as original
from atoll.client.sync import portal as portals


class Subscriptions:
    """Makes, shows and steers subscriptions."""

    def __init__(self, portal: portals.Portal, inner: original.Subscriptions) -> None:
        self._portal = portal
        self._inner = inner

    def create(self, new: original.NewSubscription) -> subscriptions_pb2.CreateSubscriptionResponse:
        """Make a subscription; the answer holds its secret, which nothing tells again."""
        return self._portal.run(self._inner.create(new))

    def list(self, *, limit: int | None = None) -> Iterator[subscriptions_pb2.Subscription]:
        """Yield the subscriptions that the caller may steer, by name."""
        return self._portal.iterate(lambda: self._inner.list(limit=limit))

    def get(self, name: str) -> subscriptions_pb2.Subscription:
        """Return a subscription."""
        return self._portal.run(self._inner.get(name))

    def update(self, name: str, changes: original.Changes) -> subscriptions_pb2.Subscription:
        """Change a subscription; return it as it is then."""
        return self._portal.run(self._inner.update(name, changes))

    def pause(self, name: str) -> subscriptions_pb2.Subscription:
        """Send nothing any more; return the subscription as it is then."""
        return self._portal.run(self._inner.pause(name))

    def resume(self, name: str) -> subscriptions_pb2.Subscription:
        """Go on where it was paused; return the subscription as it is then."""
        return self._portal.run(self._inner.resume(name))

    def delete(self, name: str) -> None:
        """Forget a subscription and its deliveries."""
        return self._portal.run(self._inner.delete(name))

    def test(self, name: str) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a request that no event caused; return how that went."""
        return self._portal.run(self._inner.test(name))

    def rotate_secret(
        self, name: str, *, revoke_old: bool = False
    ) -> subscriptions_pb2.RotateSecretResponse:
        """Make a new secret, which nothing tells again.

        Args:
            name: The subscription.
            revoke_old: Whether the one before ends at once; otherwise both sign for a while.
        """
        return self._portal.run(self._inner.rotate_secret(name, revoke_old=revoke_old))

    def deliveries(
        self,
        name: str,
        *,
        statuses: Sequence[alerts_pb2.DeliveryStatus.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[subscriptions_pb2.SubscriptionDelivery]:
        """Yield deliveries of a subscription, newest first.

        Args:
            name: The subscription.
            statuses: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.deliveries(name, statuses=statuses, limit=limit)
        )

    def delivery(self, name: str, delivery_id: str) -> subscriptions_pb2.GetDeliveryResponse:
        """Return a delivery and what is sent with it."""
        return self._portal.run(self._inner.delivery(name, delivery_id))

    def redeliver(self, name: str, delivery_id: str) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a delivery once more that has arrived or was given up."""
        return self._portal.run(self._inner.redeliver(name, delivery_id))
