"""The term of subscriptions of the leader among hosts: a lane for each that is not paused.

Made by `automation.dispatching` when leadership was won, and thrown away when it is lost.
Everything that matters is in the database: what a term had under way when it ended is sent again by
the next.
"""

import asyncio
import logging

from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import services, signals
from atoll_host.automation import terms
from atoll_host.subscriptions import lanes, sending, subscription_settings, surroundings
from atoll_storage import database

_log = logging.getLogger(__name__)

BACKSTOP_S = 15.0
TURNS = 3
_BROKEN = services.Backoff(first_s=1.0, max_s=60.0)


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        store: database.Database,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        settings: subscription_settings.SubscriptionSettings,
    ) -> None:
        """Make a term.

        Args:
            store: Where subscriptions are.
            changes: Tells of events and of subscriptions that were steered.
            clock: Tells the time.
            settings: How hard to try.
        """
        self._store = store
        self._clock = clock
        self._around = surroundings.Surroundings(
            store,
            changes,
            clock,
            settings,
            sending.Sender(settings, clock),
            asyncio.Semaphore(TURNS),
        )
        self._poke = changes.subscriptions.subscribe(signals.Poke())
        self._lanes: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Keep a lane running for each subscription."""
        try:
            while True:
                active = await terms.persist(self._store.subscriptions.active, self._clock)
                for subscription_id in active - self._lanes.keys():
                    self._lanes[subscription_id] = asyncio.create_task(
                        self._keep(subscription_id), name="lane of a subscription"
                    )
                await self._poke.wait(BACKSTOP_S)
        finally:
            running = list(self._lanes.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _keep(self, subscription_id: str) -> None:
        """Run a lane until it has nothing to do any more. One that breaks holds up no other."""
        failures = 0
        try:
            while True:
                try:
                    return await lanes.run(self._around, subscription_id)
                except Exception as error:  # noqa: BLE001 - the boundary of a lane: recorded here, then begun anew
                    failures += 1
                    _log.error(
                        "a subscription broke off and begins anew",
                        exc_info=error,
                        extra={
                            "action": "subscription_broke",
                            "subscription_id": subscription_id,
                            "failures": failures,
                        },
                    )
                    await self._clock.sleep(_BROKEN.delay_s(failures))
        finally:
            self._lanes.pop(subscription_id, None)
            # It may have been resumed while the lane ended.
            self._poke.set()
