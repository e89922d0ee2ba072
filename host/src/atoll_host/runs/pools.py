"""Slots of pools for the steps of runs that wait on this host.

`acquire` is called for code servers by the instance API. A step that gets no slot at once waits in
the call, for as long as one call may; the run worker calls again. The service grants what becomes
free while anybody waits here, and wakes whom it concerns: it looks when slots were given back, when
runs ended, and now and then as a backstop. Any host grants for all, so who waits on which host
decides nothing.
"""

import asyncio
import contextlib

from atoll_host import changes as host_changes
from atoll_host import services
from atoll_host.runs import pool_settings
from atoll_storage import errors as storage_errors
from atoll_storage import pool_store, queue_records

WAIT_MAX_S = 5.0
"""Well below the deadline of a call and the patience of the processes that ask."""


class Pools(services.Loop):
    """Gives slots to steps. See the module.

    Args:
        store: Pools and their slots.
        changes: Tells that slots were given back, and that runs ended.
        settings: How pools work.
    """

    def __init__(
        self,
        store: pool_store.PoolStore,
        changes: host_changes.Changes,
        settings: pool_settings.PoolSettings,
    ) -> None:
        super().__init__("pools", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._settings = settings
        self._poke = changes.pools.subscribe(changes.runs.subscribe())
        self._waiters: set[_Waiter] = set()

    @property
    def settings(self) -> pool_settings.PoolSettings:
        """How pools work."""
        return self._settings

    async def acquire(
        self, request: queue_records.SlotRequest, wait_s: float
    ) -> queue_records.SlotAnswer:
        """Ask for slots for steps of a run, and wait until one is granted.

        Args:
            request: What the steps need.
            wait_s: How long to wait; a while at the most.

        Raises:
            atoll_storage.errors.RunFenced: The run is not active, or not in this attempt.
        """
        if self._settings.granularity == "run":
            # The run has the slots of all its pools since it left the queue.
            return queue_records.SlotAnswer(frozenset(request.wanted), {})
        # Before the first look: a slot that is granted right after it is not missed.
        waiter = _Waiter(request)
        self._waiters.add(waiter)
        try:
            answer = await self._store.acquire(request, self._settings.default_limit)
            if answer.granted or wait_s <= 0 or not request.wanted:
                return answer
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, WAIT_MAX_S)):
                    await waiter.granted.wait()
        finally:
            self._waiters.discard(waiter)
        # Only read: who withdrew meanwhile does not wait again.
        found = await self._store.granted_among([request.run_id])
        granted = {step_key for _, step_key in found} & request.wanted.keys()
        left = {step: limit for step, limit in answer.waiting.items() if step not in granted}
        return queue_records.SlotAnswer(frozenset(granted), left)

    async def run(self) -> None:
        """Grant what is free whenever something may be, as long as somebody waits here."""
        while True:
            if self._waiters:
                await self._store.grant(self._settings.default_limit)
                run_ids = {waiter.request.run_id for waiter in self._waiters}
                granted = await self._store.granted_among(run_ids)
                for waiter in self._waiters:
                    if not granted.isdisjoint(waiter.steps):
                        waiter.granted.set()
            self.did_well()
            await self._poke.wait(host_changes.BACKSTOP_S)


class _Waiter:
    """One call that waits for a slot."""

    def __init__(self, request: queue_records.SlotRequest) -> None:
        self.request = request
        self.steps = frozenset((request.run_id, step_key) for step_key in request.wanted)
        self.granted = asyncio.Event()
