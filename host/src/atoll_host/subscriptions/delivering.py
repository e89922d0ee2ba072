"""Sends the deliveries of one subscription, and stores how each try went.

Run by `lanes`. A delivery is claimed for a while; if the host dies meanwhile, it is due again: at
least once, with one id for all tries. Where order counts, the storage gives out the next delivery
only once the one before it has ended.
"""

import asyncio
import logging
import random

from atoll.api.v1 import alerts_pb2
from atoll_host import signals
from atoll_host.subscriptions import deciding, envelopes, surroundings
from atoll_storage import subscription_records

_log = logging.getLogger(__name__)

BACKSTOP_S = 15.0
_SHORTEST_REST_S = 0.05
_LEASE_SPARE_S = 3.0


class Deliverer:
    """Tries the deliveries of one subscription until they arrive or are given up."""

    def __init__(
        self,
        around: surroundings.Surroundings,
        subscription_id: str,
        *,
        poke: signals.Poke,
        ended: signals.Poke,
    ) -> None:
        """Make a deliverer.

        Args:
            around: What it works with.
            subscription_id: The subscription.
            poke: Is set when there may be something new to deliver.
            ended: Is set when a try ended.
        """
        self._around = around
        self._settings = around.settings
        self._subscription_id = subscription_id
        self._ended_poke = ended
        self._under_way: set[asyncio.Task[None]] = set()
        self._poke = around.changes.subscriptions.subscribe(poke)

    async def run(self) -> None:
        """Deliver until the subscription is paused or gone."""
        store = self._around.store.subscriptions
        try:
            while True:
                record = await self._around.turn(lambda: store.look(self._subscription_id))
                if record is None or record.told.pause:
                    return
                await self._claim(record)
                await self._rest(record)
        finally:
            under_way = list(self._under_way)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _claim(self, record: subscription_records.SubscriptionRecord) -> None:
        slots = self._settings.at_once_max - len(self._under_way)
        if slots <= 0:
            return
        claim = subscription_records.Claim(
            self._subscription_id,
            ordered=record.told.ordered,
            limit=slots,
            # Longer than a try may take: two hosts do not try at once while both are well.
            lease_s=2 * self._settings.timeout_s + _LEASE_SPARE_S,
        )
        store = self._around.store.subscription_deliveries
        for delivery in await self._around.turn(lambda: store.claim(claim)):
            task = asyncio.create_task(
                self._try(record.told.url, delivery), name="delivery of a subscription"
            )
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _rest(self, record: subscription_records.SubscriptionRecord) -> None:
        """Wait until something may go: it is due, or a try under way ended."""
        due_in_s: float | None = None
        if len(self._under_way) < self._settings.at_once_max:
            store = self._around.store.subscription_deliveries
            due_in_s = await self._around.turn(
                lambda: store.next_due_in_s(self._subscription_id, ordered=record.told.ordered)
            )
        rest_s = BACKSTOP_S if due_in_s is None else max(due_in_s, _SHORTEST_REST_S)
        await self._poke.wait(min(BACKSTOP_S, rest_s))

    async def _try(self, url: str, delivery: subscription_records.ClaimedDelivery) -> None:
        now_s = self._around.clock.now().timestamp()
        headers = envelopes.headers(delivery.delivery_id, delivery.body, now_s, delivery.signing)
        answer = await self._around.sender.send(url, headers, delivery.body)
        history = deciding.History(
            delivery.attempts, delivery.age_s, delivery.failing_s, delivery.dead_count
        )
        chance = random.random()  # noqa: S311 - no secret depends on it
        verdict = deciding.judge(answer, history, self._settings, chance)
        if not answer.arrived:
            self._tell(delivery, answer, verdict)
        outcome = subscription_records.Outcome(
            subscription_id=self._subscription_id,
            first_event_id=delivery.first_event_id,
            attempts=delivery.attempts,
            status=verdict.status,
            again_after_s=verdict.again_after_s,
            pause=verdict.pause,
            http_status=answer.http_status,
            error=answer.error,
            duration_ms=answer.duration_ms,
        )
        store, kept_max = self._around.store.subscription_deliveries, self._settings.delivered_max
        await self._around.turn(lambda: store.finish(outcome, kept_max=kept_max))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._poke.set()
        self._ended_poke.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, and it is tried again.
            _log.error(
                "a delivery of a subscription broke off",
                exc_info=error,
                extra={
                    "action": "subscription_delivery_broke",
                    "subscription_id": self._subscription_id,
                },
            )

    def _tell(
        self,
        delivery: subscription_records.ClaimedDelivery,
        answer: deciding.Answer,
        verdict: deciding.Verdict,
    ) -> None:
        is_lost = bool(verdict.pause) or verdict.status == alerts_pb2.DELIVERY_STATUS_DEAD
        _log.log(
            logging.ERROR if is_lost else logging.WARNING,
            "events could not be delivered to a subscription",
            extra={
                "action": "subscription_not_delivered",
                "subscription_id": self._subscription_id,
                "delivery_id": delivery.delivery_id,
                "attempts": delivery.attempts,
                "cause": answer.error,
                "pause": int(verdict.pause),
            },
        )
