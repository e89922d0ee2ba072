"""What everything that works for subscriptions works with.

Made by `leading` for its term; used by `lanes`, `following` and `delivering`.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeVar

from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host.automation import terms
from atoll_host.subscriptions import sending, subscription_settings
from atoll_storage import database

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts of the host, and turns at the database.

    Attributes:
        store: Where everything is.
        changes: Tells of events and of subscriptions that were steered.
        clock: Tells the time.
        settings: How hard to try.
        sender: Sends requests.
        turns: How many may use the database at once, so that other parts of the host have theirs.
    """

    store: database.Database
    changes: host_changes.Changes
    clock: clocks.Clock
    settings: subscription_settings.SubscriptionSettings
    sender: sending.Sender
    turns: asyncio.Semaphore

    async def turn(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """Do a step at the database when there is a turn; wait while storage is away."""

        async def taking_turns() -> _T:
            async with self.turns:
                return await step()

        return await terms.persist(taking_turns, self.clock)
