"""Watches runs that were handed over until they have ended.

A service on every host; what it does is conditional on the state of the run, so hosts may do it at
once. At each look:

    CANCELING                       CancelRun, again and again until the final event is here
    STARTING, handed over by nobody  hand it over again (the host that did is gone, or gave up)
    any, code server away too long  the run fails with that reason
    STARTED for too long            it is canceled, and fails when it has stopped
    lost (see `registered`)         handed over again, or asked for once more and then failed

An unknown answer never kills or fails a run: only a definite one, or an absence that was watched
all the while.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.runs import launching, orphans, overdue, places
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
LOOK_PAUSE_S = 0.1
ADOPT_AFTER_S = 5.0
NOT_FOUND_MIN = 2

_CANCEL_BACKOFF = services.Backoff(first_s=0.2, max_s=5.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How long runs are waited for.

    Attributes:
        orphan_timeout_s: How long a run outlives its code server.
        max_runtime_s: How long a run may go on whose tags do not say; None means without limit.
    """

    orphan_timeout_s: float
    max_runtime_s: float | None = None


class Watcher(services.Loop):
    """Watches runs. See the module."""

    def __init__(
        self,
        store: database.Database,
        servers: places.Servers,
        launcher: launching.Launcher,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        patience: Patience,
    ) -> None:
        """Make a watcher.

        Args:
            store: Where runs and code servers are remembered.
            servers: The code servers.
            launcher: Hands runs over.
            changes: Tells that runs were asked to stop.
            clock: Tells the time.
            patience: How long it waits for what.
        """
        super().__init__("run watcher", expected=(storage_errors.StorageUnavailable,))
        self._store = store
        self._servers = servers
        self._launcher = launcher
        self._clock = clock
        self._absences = orphans.AbsenceWatch(
            timeout_s=patience.orphan_timeout_s,
            gap_max_s=max(10 * LOOK_EVERY_S, 0.1 * patience.orphan_timeout_s),
        )
        self._patience = patience
        self._next_absence_look = 0.0
        self._poke = changes.cancels.subscribe()
        self._starting_since: dict[tuple[str, int], float] = {}
        self._not_held: set[tuple[str, int]] = set()
        self._suspects: dict[str, records.RunRecord] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def registered(
        self, server: records.ServerRecord, held_runs: Sequence[location_pb2.HeldRun]
    ) -> None:
        """Compare the runs that a code server holds with those it was given.

        For `Registry.on_registered`. A run that is not held may have been accepted after the code
        server wrote its list, by way of this host or of another. So one that is STARTING is handed
        over again to the same code server, which changes nothing for a run that it holds; and one
        that began is looked into before anything is decided.
        """
        held = {run.run_id for run in held_runs}
        for run in await self._store.runs.active():
            if (run.location_name, run.server_id) != (server.location_name, server.server_id):
                continue
            if run.run_id in held or self._launcher.hands_over(run.run_id):
                continue
            if run.status is records.RunStatus.STARTING:
                self._not_held.add((run.run_id, run.attempt))
            elif run.status is records.RunStatus.STARTED:
                self._suspects[run.run_id] = run
        self._poke.set()

    async def run(self) -> None:
        """Look at the active runs when some are to stop, and every few seconds."""
        while True:
            await self._look()
            self.did_well()
            # The pause bounds what many cancellations at once spend on looking.
            await self._clock.sleep(LOOK_PAUSE_S)
            await self._poke.wait(LOOK_EVERY_S)

    async def clean_up(self) -> None:
        """Leave what is under way: it is begun again from the state of the runs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        active = {run.run_id: run for run in await self._store.runs.active()}
        self._suspects = {key: run for key, run in self._suspects.items() if key in active}
        for run in active.values():
            if run.status is records.RunStatus.CANCELING:
                self._begin(run, self._cancel)
        for run in self._suspects.values():
            self._begin(run, self._look_into)
        await self._time_out(active.values())
        now = self._clock.monotonic()
        await self._adopt_strays(active.values(), now)
        if now >= self._next_absence_look:
            self._next_absence_look = now + LOOK_EVERY_S
            await self._give_up_orphans(active.values(), now)

    async def _time_out(self, active: Iterable[records.RunRecord]) -> None:
        """Have those canceled that go on for longer than they may; the next look tells them."""
        now = self._clock.now()
        for run in active:
            failure = overdue.failure_of(run, now, self._patience.max_runtime_s)
            if failure is not None and await self._store.runs.time_out(run.run_id, failure):
                _log.warning(
                    "run timed out",
                    extra={
                        "action": "run_timed_out",
                        "run_id": run.run_id,
                        "location": run.location_name,
                    },
                )

    def _begin(
        self, run: records.RunRecord, care: Callable[[records.RunRecord], Awaitable[None]]
    ) -> None:
        if run.run_id not in self._tasks:
            self._tasks[run.run_id] = asyncio.create_task(self._take_care(run, care))

    async def _take_care(
        self, run: records.RunRecord, care: Callable[[records.RunRecord], Awaitable[None]]
    ) -> None:
        try:
            await care(run)
        except storage_errors.StorageUnavailable:
            pass  # the next look begins again
        except Exception:  # noqa: BLE001 - the boundary of one run's care; the next look begins again
            _log.exception(
                "watching a run broke off",
                extra={"action": "run_watch_broke", "run_id": run.run_id},
            )
        finally:
            self._tasks.pop(run.run_id, None)

    async def _adopt_strays(self, active: Iterable[records.RunRecord], now: float) -> None:
        """Hand over again what is STARTING for a while though nobody here hands it over."""
        since: dict[tuple[str, int], float] = {}
        due: list[records.RunRecord] = []
        for run in active:
            if run.status is not records.RunStatus.STARTING:
                continue
            key = (run.run_id, run.attempt)
            since[key] = self._starting_since.get(key, now)
            if now - since[key] >= ADOPT_AFTER_S or key in self._not_held:
                due.append(run)
        self._starting_since = since
        self._not_held &= since.keys()
        servers = await self._servers_of(due)
        for run in due:
            key = (run.run_id, run.attempt)
            server = servers.get((run.location_name, run.server_id))
            # One that is away comes back, or its absence decides.
            if server is None or self._launcher.adopt(run, server):
                since[key] = now
                self._not_held.discard(key)

    async def _servers_of(
        self, runs: Collection[records.RunRecord]
    ) -> dict[orphans.ServerKey, records.ServerRecord]:
        """Return the code servers that runs are bound to, as far as they can be asked.

        One that drains takes nothing new, but only it can say that it does not have a run.
        """
        found = {
            (server.location_name, server.server_id): server
            for server in self._servers.reachable().values()
        }
        if any((run.location_name, run.server_id) not in found for run in runs):
            now = self._clock.now()
            for server in await self._store.locations.servers():
                if server.lease_expire_time > now:
                    found.setdefault((server.location_name, server.server_id), server)
        return found

    async def _give_up_orphans(self, active: Collection[records.RunRecord], now: float) -> None:
        bound = {(run.location_name, run.server_id) for run in active}
        alive = await self._alive() if bound else frozenset[orphans.ServerKey]()
        lost = self._absences.look(bound, alive, now)
        for run in active:
            if (run.location_name, run.server_id) in lost:
                await self._give_up(
                    run,
                    "CodeServerAway",
                    f"Code server {run.server_id!r} of location {run.location_name!r} has been "
                    "away for more than "
                    f"{self._patience.orphan_timeout_s:g} s, so its run was given up. Look after "
                    "the code "
                    "server, then launch "
                    "the run again.",
                )

    async def _alive(self) -> frozenset[orphans.ServerKey]:
        reachable = self._servers.reachable().values()
        stored = await self._store.locations.servers()
        now = self._clock.now()
        return frozenset(
            (server.location_name, server.server_id)
            for server in (*reachable, *(each for each in stored if each.lease_expire_time > now))
        )

    async def _give_up(self, run: records.RunRecord, kind: str, text: str) -> None:
        failure = values_pb2.Failure(type=kind, message=text)
        if await self._store.runs.fail(run.run_id, failure, expected=frozenset({run.status})):
            _log.error(
                "run given up",
                extra={
                    "action": "run_given_up",
                    "run_id": run.run_id,
                    "location": run.location_name,
                    "server_id": run.server_id,
                    "cause": kind,
                },
            )

    async def _cancel(self, run: records.RunRecord) -> None:
        """Tell the code server to stop the run until the run has ended."""
        not_found = 0
        tries = 0
        current: records.RunRecord | None = run
        while current is not None and current.status is records.RunStatus.CANCELING:
            held = await self._ask(current, self._cancel_once)
            not_found = not_found + 1 if held is False else 0
            # Twice, because another host may be handing the run over this very moment.
            if not_found >= NOT_FOUND_MIN and not self._launcher.hands_over(run.run_id):
                await self._store.runs.finish_cancel(run.run_id)
                return
            tries += 1
            await self._clock.sleep(_CANCEL_BACKOFF.delay_s(tries))
            current = await self._store.runs.get(run.run_id)

    async def _look_into(self, run: records.RunRecord) -> None:
        """Fail a run that began, if its code server definitely no longer holds it."""
        held = await self._ask(run, self._holds)
        if held is None:
            return
        self._suspects.pop(run.run_id, None)
        # Read after the answer: the final event is stored before a code server lets go of a run.
        now = await self._store.runs.get(run.run_id)
        if not held and now is not None and (now.status, now.attempt) == (run.status, run.attempt):
            await self._give_up(now, "RunLost", _lost(now))

    async def _ask(
        self,
        run: records.RunRecord,
        question: Callable[[places.RunControl, str], Awaitable[bool]],
    ) -> bool | None:
        """Ask the code server of a run; None where there was no answer, or another's."""
        server = await self._store.locations.server(run.location_name, run.server_id)
        if server is None or server.lease_expire_time <= self._clock.now():
            return None
        control = self._servers.control(server)
        try:
            answer = await question(control, run.run_id)
            if answer:
                return True
            # A "no" counts only from the right one: another process may have its address by now.
            return False if (await control.describe()).server_id == run.server_id else None
        except errors.LocationError:
            return None

    @staticmethod
    async def _cancel_once(control: places.RunControl, run_id: str) -> bool:
        return await control.cancel_run(run_id)

    @staticmethod
    async def _holds(control: places.RunControl, run_id: str) -> bool:
        return any(held.run_id == run_id for held in await control.list_runs())


def _lost(run: records.RunRecord) -> str:
    return (
        f"Code server {run.server_id!r} of location {run.location_name!r} no longer knows the run, "
        "which it had begun. "
        "Its state directory may have been emptied. Launch the run again."
    )
