"""Alerts of a host: its rules, what they found, and who was told.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import alerts_pb2
from atoll.client import alerts as original
from atoll.client.sync import portal as portals


class Alerts:
    """Lists alerts, and tries rules."""

    def __init__(self, portal: portals.Portal, inner: original.Alerts) -> None:
        self._portal = portal
        self._inner = inner

    def rules(self, *, limit: int | None = None) -> Iterator[alerts_pb2.AlertRule]:
        """Yield the rules of the host, by name."""
        return self._portal.iterate(lambda: self._inner.rules(limit=limit))

    def list(self, *, rule: str = "", limit: int | None = None) -> Iterator[alerts_pb2.Alert]:
        """Yield alerts, newest first.

        Args:
            rule: Only those of this rule; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.list(rule=rule, limit=limit))

    def deliveries(
        self,
        *,
        statuses: Sequence[alerts_pb2.DeliveryStatus.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[alerts_pb2.AlertDelivery]:
        """Yield deliveries, newest first.

        Args:
            statuses: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.deliveries(statuses=statuses, limit=limit))

    def test(self, rule: str) -> Sequence[alerts_pb2.AlertDelivery]:
        """Send an alert of a rule that nothing caused; return how that went."""
        return self._portal.run(self._inner.test(rule))
