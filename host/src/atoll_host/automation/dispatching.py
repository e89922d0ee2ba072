"""The dispatcher: wins the leadership of automation among all hosts, and leads while it has it.

Started by `host` on every host; only the leader evaluates sensors. Should two believe to lead for a
moment, no harm is done: a tick commits only against the state that it was decided on.
"""

import asyncio
import logging
from collections.abc import Sequence

from atoll.location.v1 import location_pb2
from atoll_host import services
from atoll_host.automation import due, leading
from atoll_storage import errors as storage_errors
from atoll_storage import records

_log = logging.getLogger(__name__)

LEADERSHIP = "automation"


class Dispatcher(services.Loop):
    """Evaluates the sensors of all locations while this host leads."""

    def __init__(
        self,
        surroundings: leading.Surroundings,
        *,
        tick_timeout_s: float = 60.0,
        limits: due.Limits | None = None,
    ) -> None:
        """Make a dispatcher.

        Args:
            surroundings: The stores, the locations, the host's signals and the clock.
            tick_timeout_s: How long the evaluation of a sensor may take.
            limits: Workers of each location, and delays after failures.
        """
        super().__init__("dispatcher", expected=(storage_errors.StorageUnavailable,))
        self._surroundings = surroundings
        self._tick_timeout_s = tick_timeout_s
        self._limits = limits or due.Limits()
        self._leading = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether this host evaluates the sensors right now."""
        return self._leading.is_set()

    async def enroll(
        self, server: records.ServerRecord, held_runs: Sequence[location_pb2.HeldRun]
    ) -> None:
        """Have the store remember the sensors of a location from the moment it registers.

        For `Registry.on_registered`: what is materialized after the registration is answered is
        then seen by sensors that are new to the mesh, whichever host leads.
        """
        del held_runs
        view = self._surroundings.locations.locations().get(server.location_name)
        if view is not None and view.definitions is not None:
            await self._surroundings.store.sensors.ensure(
                [records.SensorKey(view.name, name) for name in view.definitions.sensors]
            )

    async def run(self) -> None:
        """Wait for leadership and lead, term after term."""
        async with self._surroundings.store.leadership(LEADERSHIP) as leadership:
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
        term = leading.Term(
            self._surroundings, tick_timeout_s=self._tick_timeout_s, limits=self._limits
        )
        leads = asyncio.create_task(term.run(), name="automation term")
        ends = asyncio.create_task(lost.wait(), name="automation lead lost")
        try:
            await asyncio.wait({leads, ends}, return_when=asyncio.FIRST_COMPLETED)
            if leads.done():
                leads.result()
        finally:
            leads.cancel()
            ends.cancel()
            await asyncio.gather(leads, ends, return_exceptions=True)
