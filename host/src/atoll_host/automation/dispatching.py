"""The dispatcher: wins the leadership of automation among all hosts, and leads while it has it.

Started by `host` on every host; only the leader starts work by itself. What leading means is told
by terms: one for sensors and one for each other kind of automation, made anew whenever leadership
was won and thrown away when it is lost. Should two believe to lead for a moment, no harm is done:
whatever a term decides is stored only against the state that it was decided on.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

from atoll_host import clock as clocks
from atoll_host import services
from atoll_host.automation import terms
from atoll_storage import database
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

LEADERSHIP = "automation"


class Dispatcher(services.Loop):
    """Runs the terms of all kinds of automation while this host leads."""

    def __init__(
        self,
        store: database.Database,
        clock: clocks.Clock,
        makers: Mapping[str, Callable[[], terms.Term]],
        *,
        backoff: services.Backoff | None = None,
    ) -> None:
        """Make a dispatcher.

        Args:
            store: Where leadership is won.
            clock: Tells the time.
            makers: Makes the term of each kind of automation, by what log records call it.
            backoff: The delays before a term that broke off begins anew.
        """
        super().__init__("dispatcher", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._clock = clock
        self._makers = dict(makers)
        self._term_backoff = backoff or services.Backoff(first_s=0.5, max_s=30.0)
        self._leading = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this host leads right now."""
        return self._leading.is_set()

    async def run(self) -> None:
        """Wait for leadership and lead, again and again."""
        async with self._store.leadership(LEADERSHIP) as leadership:
            while True:
                await leadership.wait_acquired()
                lost = leadership.lost
                _log.info("automation leads from here", extra={"action": "automation_leads"})
                self._leading.set()
                try:
                    await self._lead_until(lost)
                finally:
                    self._leading.clear()
                _log.warning("automation lost its lead", extra={"action": "automation_lost"})

    async def _lead_until(self, lost: asyncio.Event) -> None:
        leads = [
            asyncio.create_task(self._serve(name, make), name=f"term of {name}")
            for name, make in self._makers.items()
        ]
        try:
            await lost.wait()
        finally:
            for task in leads:
                task.cancel()
            await asyncio.gather(*leads, return_exceptions=True)

    async def _serve(self, name: str, make: Callable[[], terms.Term]) -> None:
        """Serve terms of one kind. One that breaks off begins anew, and holds up no other kind."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                await make().run()
            except Exception as error:  # noqa: BLE001 - the boundary of a term: recorded here, then begun anew
                if self._clock.monotonic() - began >= self._term_backoff.reset_s:
                    failures = 0
                failures += 1
                _log.error(
                    "a term of automation broke off and begins anew",
                    exc_info=error,
                    extra={"action": "term_broke", "term": name, "failures": failures},
                )
                await self._clock.sleep(self._term_backoff.delay_s(failures))
