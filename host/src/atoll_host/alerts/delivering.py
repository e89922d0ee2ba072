"""Delivers alerts: takes what is due, tries it, and stores how that went.

Run by the term of alerts. A delivery is taken for a while; if the host dies meanwhile, it is due
again: at least once, with one id for all tries. After so many tries it is dead, and stays to be
seen.
"""

import asyncio
import logging

from atoll.api.v1 import alerts_pb2
from atoll_host import clock as clocks
from atoll_host import services, signals
from atoll_host.alerts import rules, sending
from atoll_host.automation import terms
from atoll_storage import alert_records, alert_store

_log = logging.getLogger(__name__)

AT_ONCE_MAX = 8
BACKSTOP_S = 60.0
_LEASE_SPARE_S = 30.0


class Deliverer:
    """Tries deliveries until they arrive or are given up."""

    def __init__(
        self,
        store: alert_store.AlertStore,
        clock: clocks.Clock,
        settings: rules.AlertSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._backoff = services.Backoff(settings.first_retry_s, settings.longest_retry_s)
        self._due = signals.Poke()

    def wake(self) -> None:
        """Look at once: there is something new to deliver."""
        self._due.set()

    async def run(self) -> None:
        """Deliver whatever is due, for ever."""
        while True:
            claimed = await terms.persist(self._claim, self._clock)
            await asyncio.gather(*map(self._try, claimed))
            if len(claimed) == AT_ONCE_MAX:
                continue
            due_in_s = await terms.persist(self._store.next_due_in_s, self._clock)
            await self._due.wait(min(BACKSTOP_S, BACKSTOP_S if due_in_s is None else due_in_s))

    async def _claim(self) -> list[alert_records.ClaimedDelivery]:
        # Longer than a try may take: two hosts do not try at once while both are well.
        lease_s = 4 * self._settings.timeout_s + _LEASE_SPARE_S
        return await self._store.claim(limit=AT_ONCE_MAX, lease_s=lease_s)

    async def _try(self, delivery: alert_records.ClaimedDelivery) -> None:
        error = await self._send(delivery)
        if error is None:
            status, again_after_s = alerts_pb2.DELIVERY_STATUS_DELIVERED, 0.0
        elif delivery.attempts >= self._settings.attempts_max or self._target(delivery) is None:
            status, again_after_s = alerts_pb2.DELIVERY_STATUS_DEAD, 0.0
        else:
            status = alerts_pb2.DELIVERY_STATUS_WAITING
            again_after_s = self._backoff.delay_s(delivery.attempts)
        if error is not None:
            level = logging.ERROR if status == alerts_pb2.DELIVERY_STATUS_DEAD else logging.WARNING
            _log.log(
                level,
                "an alert could not be delivered",
                extra={
                    "action": "alert_not_delivered",
                    "rule": delivery.rule,
                    "delivery_id": delivery.delivery_id,
                    "attempts": delivery.attempts,
                    "cause": error,
                },
            )
        await terms.persist(
            lambda: self._store.finish(
                delivery.delivery_id, status, error=error or "", again_after_s=again_after_s
            ),
            self._clock,
        )

    async def _send(self, delivery: alert_records.ClaimedDelivery) -> str | None:
        """Try once; return what went wrong, None where nothing did."""
        target = self._target(delivery)
        if target is None:
            return "the rule, or this target of it, is no longer there"
        try:
            await sending.send(
                target, delivery.alert, delivery.delivery_id, timeout_s=self._settings.timeout_s
            )
        except sending.SendFailed as error:
            return str(error)
        return None

    def _target(self, delivery: alert_records.ClaimedDelivery) -> rules.Target | None:
        rule = self._settings.rule(delivery.rule)
        if rule is None or delivery.target >= len(rule.notify):
            return None
        return rule.notify[delivery.target]
