"""Alerts of a host: its rules, what they found, and who was told."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import grpc.aio

from atoll.api.v1 import alerts_pb2, alerts_pb2_grpc
from atoll.client import calls

TEST_TIMEOUT_S: Final = 240.0


class Alerts:
    """Lists alerts, and tries rules."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "alerts_pb2_grpc.AlertsServiceAsyncStub", alerts_pb2_grpc.AlertsServiceStub(channel)
        )
        self._caller = caller

    def rules(self, *, limit: int | None = None) -> AsyncIterator[alerts_pb2.AlertRule]:
        """Yield the rules of the host, by name."""

        async def fetch(size: int, token: str) -> tuple[Sequence[alerts_pb2.AlertRule], str]:
            request = alerts_pb2.ListAlertRulesRequest(page_size=size, page_token=token)
            answer = await self._caller.unary(self._stub.ListAlertRules, request)
            return answer.rules, answer.next_page_token

        return calls.paged(fetch, limit)

    def list(self, *, rule: str = "", limit: int | None = None) -> AsyncIterator[alerts_pb2.Alert]:
        """Yield alerts, newest first.

        Args:
            rule: Only those of this rule; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[alerts_pb2.Alert], str]:
            request = alerts_pb2.ListAlertsRequest(page_size=size, page_token=token, rule=rule)
            answer = await self._caller.unary(self._stub.ListAlerts, request)
            return answer.alerts, answer.next_page_token

        return calls.paged(fetch, limit)

    def deliveries(
        self,
        *,
        statuses: Sequence[alerts_pb2.DeliveryStatus.ValueType] = (),
        limit: int | None = None,
    ) -> AsyncIterator[alerts_pb2.AlertDelivery]:
        """Yield deliveries, newest first.

        Args:
            statuses: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[alerts_pb2.AlertDelivery], str]:
            request = alerts_pb2.ListAlertDeliveriesRequest(
                page_size=size, page_token=token, statuses=statuses
            )
            answer = await self._caller.unary(self._stub.ListAlertDeliveries, request)
            return answer.deliveries, answer.next_page_token

        return calls.paged(fetch, limit)

    async def test(self, rule: str) -> Sequence[alerts_pb2.AlertDelivery]:
        """Send an alert of a rule that nothing caused; return how that went."""
        request = alerts_pb2.TestAlertRuleRequest(rule=rule)
        answer = await self._caller.unary(
            self._stub.TestAlertRule, request, deadline_s=TEST_TIMEOUT_S, repeatable=False
        )
        return answer.deliveries
