"""AlertsService: what the rules for alerts found, for everyone."""

import asyncio
import datetime as dt

from atoll.api.v1 import alerts_pb2, alerts_pb2_grpc
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.alerts import deciding, occurring, rules, sending
from atoll_host.api import pages
from atoll_host.servicers import contexts
from atoll_storage import alert_store


class AlertsServicer(alerts_pb2_grpc.AlertsServiceServicer):
    """Shows alerts, and tries rules."""

    def __init__(
        self, store: alert_store.AlertStore, settings: rules.AlertSettings, clock: clocks.Clock
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def ListAlertRules(
        self, request: alerts_pb2.ListAlertRulesRequest, context: contexts.Context
    ) -> alerts_pb2.ListAlertRulesResponse:
        """Return the rules of the host, by name."""
        page = pages.Page(request)
        by_name = {rule.name: rule for rule in self._settings.rules}
        shown, token = page.of_sorted([(name,) for name in sorted(by_name)])
        return alerts_pb2.ListAlertRulesResponse(
            rules=[
                alerts_pb2.AlertRule(
                    name=name,
                    trigger=by_name[name].on,
                    targets=[deciding.name_of(target) for target in by_name[name].notify],
                )
                for (name,) in shown
            ],
            next_page_token=token,
        )

    async def ListAlerts(
        self, request: alerts_pb2.ListAlertsRequest, context: contexts.Context
    ) -> alerts_pb2.ListAlertsResponse:
        """Return alerts, newest first."""
        page = pages.Page(request)
        found = await self._store.list_alerts(
            limit=page.size + 1, before=page.before, rule=request.rule
        )
        shown, token = page.fitting(found, lambda each: (_created(each), each.alert_id))
        return alerts_pb2.ListAlertsResponse(alerts=shown, next_page_token=token)

    async def ListAlertDeliveries(
        self, request: alerts_pb2.ListAlertDeliveriesRequest, context: contexts.Context
    ) -> alerts_pb2.ListAlertDeliveriesResponse:
        """Return deliveries of alerts, newest first."""
        page = pages.Page(request)
        for status in request.statuses:
            if status not in alerts_pb2.DeliveryStatus.values() or not status:
                raise errors.InvalidRequest(
                    f"{status} is no state of a delivery. Name one of atoll.api.v1.DeliveryStatus.",
                    field="statuses",
                )
        found = await self._store.list_deliveries(
            limit=page.size + 1, before=page.before, statuses=request.statuses
        )
        shown, token = page.fitting(found, lambda each: (_created(each), each.delivery_id))
        return alerts_pb2.ListAlertDeliveriesResponse(deliveries=shown, next_page_token=token)

    async def TestAlertRule(
        self, request: alerts_pb2.TestAlertRuleRequest, context: contexts.Context
    ) -> alerts_pb2.TestAlertRuleResponse:
        """Send an alert of a rule that nothing caused, at once."""
        rule = self._settings.rule(request.rule)
        if rule is None:
            known = ", ".join(sorted(each.name for each in self._settings.rules)) or "none"
            raise errors.InvalidRequest(
                f"There is no rule {request.rule!r}. The rules of the host are: {known}.",
                field="rule",
            )
        alert = deciding.compose(rule, occurring.example(rule.on, self._clock.now()), 0)
        await asyncio.gather(
            *(
                self._try(target, alert, delivery)
                for target, delivery in zip(rule.notify, alert.deliveries, strict=True)
            )
        )
        return alerts_pb2.TestAlertRuleResponse(deliveries=alert.deliveries)

    async def _try(
        self, target: rules.Target, alert: alerts_pb2.Alert, delivery: alerts_pb2.AlertDelivery
    ) -> None:
        delivery.attempts = 1
        delivery.create_time.CopyFrom(alert.create_time)
        try:
            await sending.send(
                target, alert, delivery.delivery_id, timeout_s=self._settings.timeout_s
            )
        except sending.SendFailed as error:
            delivery.status, delivery.error = alerts_pb2.DELIVERY_STATUS_DEAD, str(error)
        else:
            delivery.status = alerts_pb2.DELIVERY_STATUS_DELIVERED
        delivery.end_time.FromDatetime(self._clock.now())


def _created(one: alerts_pb2.Alert | alerts_pb2.AlertDelivery) -> str:
    return one.create_time.ToDatetime(dt.UTC).isoformat()
