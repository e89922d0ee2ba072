"""Takes what is next out of the log for one subscription, and stores it as deliveries.

Run by `lanes`. What is behind stays in the log: only so many deliveries are stored as may wait,
each time in one transaction with the position up to which the log was looked at.
"""

import dataclasses
import logging
from collections.abc import Sequence

from atoll.events.v1 import events_pb2
from atoll_host import signals
from atoll_host.api import watching
from atoll_host.subscriptions import deciding, envelopes, surroundings
from atoll_storage import errors as storage_errors
from atoll_storage import records, subscription_records

_log = logging.getLogger(__name__)

PAGE = 500
PAUSE_S = 0.1
"""Events that come within this time are looked at together."""
BACKSTOP_S = 15.0
MOVE_AFTER_IDS = 1000
"""When nothing is to be sent, the stored position follows in such steps."""


class Follower:
    """Follows the log for one subscription."""

    def __init__(
        self,
        around: surroundings.Surroundings,
        subscription_id: str,
        *,
        poke: signals.Poke,
        made: signals.Poke,
    ) -> None:
        """Make a follower.

        Args:
            around: What it works with.
            subscription_id: The subscription.
            poke: Is set when there may be room for new ones.
            made: Is set when there is something new to deliver.
        """
        self._around = around
        self._settings = around.settings
        self._subscription_id = subscription_id
        self._made = made
        self._poke = around.changes.events.subscribe(poke)
        around.changes.subscriptions.subscribe(self._poke)
        self._seen = 0
        self._version = -1

    async def run(self) -> None:
        """Follow until the subscription is paused or gone."""
        store = self._around.store.subscriptions
        while True:
            record = await self._around.turn(lambda: store.look(self._subscription_id))
            if record is None or record.told.pause:
                return
            if not await self._take(record):
                await self._poke.wait(BACKSTOP_S)
                await self._around.clock.sleep(PAUSE_S)

    async def _take(self, record: subscription_records.SubscriptionRecord) -> bool:
        """Make deliveries of the next events; say whether there may be more at once."""
        waiting = record.told.waiting_count
        if waiting > self._settings.waiting_max // 2:
            # Once half of them have arrived, it is worth reading again.
            return False
        if record.version != self._version:
            self._version, self._seen = record.version, record.told.position
        room = self._settings.waiting_max - waiting
        try:
            found, seen = await self._around.turn(lambda: self._read(record, room))
        except storage_errors.Compacted as error:
            await self._skip(error)
            return True
        decided = deciding.cut(
            deciding.choose(found, record.location_names),
            seen,
            events_max=record.told.batch_events_max,
            bytes_max=self._settings.batch_bytes_max,
            room=room,
        )
        self._seen = decided.position
        if decided.batches or decided.position >= record.told.position + MOVE_AFTER_IDS:
            made = [self._delivery(record, batch) for batch in decided.batches]
            await self._advance(decided.position, made)
        return bool(found)

    async def _read(
        self, record: subscription_records.SubscriptionRecord, room: int
    ) -> tuple[list[events_pb2.StoredEvent], int]:
        told = record.told
        query = watching.query_of(told.filter) or records.EventQuery()
        if told.job_names:
            query = dataclasses.replace(query, job_names=tuple(told.job_names))
        return await self._around.store.events.follow(
            self._seen,
            limit=min(PAGE, room * told.batch_events_max),
            query=query,
            complete=self._seen >= record.complete_after,
        )

    async def _skip(self, error: storage_errors.Compacted) -> None:
        """Go on with the oldest event that is left, and have that be seen."""
        missed = error.oldest_id - 1
        _log.error(
            "events were removed before a subscription got them",
            extra={
                "action": "subscription_missed_events",
                "subscription_id": self._subscription_id,
                "after_id": error.after_id,
                "through_id": missed,
            },
        )
        self._seen = missed
        await self._advance(missed, (), missed_through=missed)

    def _delivery(
        self,
        record: subscription_records.SubscriptionRecord,
        batch: Sequence[events_pb2.StoredEvent],
    ) -> subscription_records.NewDelivery:
        first, last = batch[0].id, batch[-1].id
        delivery_id = deciding.delivery_id(self._subscription_id, first, last)
        body = envelopes.of_events(record.told, delivery_id, batch)
        return subscription_records.NewDelivery(delivery_id, first, last, len(batch), body)

    async def _advance(
        self,
        position: int,
        deliveries: Sequence[subscription_records.NewDelivery],
        *,
        missed_through: int = 0,
    ) -> None:
        advance = subscription_records.Advance(
            self._subscription_id, self._version, position, deliveries, missed_through
        )
        store = self._around.store.subscription_deliveries
        version = await self._around.turn(lambda: store.advance(advance))
        # None: another host decided in between, or somebody steered. The next look begins anew.
        self._version = -1 if version is None else version
        if version is not None and deliveries:
            self._made.set()
