"""Takes runs from the queue and hands them to their locations.

A service on every host; claims are serialised by storage, so hosts share the work. Woken by pokes
when runs are queued or end, when a location comes back or has rested, and now and then as a
backstop.

    QUEUED --claim--> STARTING --StartRun--> accepted; RunStarted arrives as an event
       ^                 |--> definite refusal: FAILURE
       |                 |--> unknown: the same code server is asked again, with growing pauses
       +-----------------+--> refused for now; the location rests

A location that does not answer holds up nobody else: each has its own few hand-overs, and while one
of them is in doubt its other runs are claimed one by one. One that refuses rests for a while, and
for longer if it goes on refusing, but no longer than until it registers anew or has another build.
Hand-overs that are given up leave the run STARTING; `watching` finds and adopts them.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable

from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.runs import handover, known_assets, places
from atoll_storage import errors as storage_errors
from atoll_storage import queue_records, records, run_store

_log = logging.getLogger(__name__)

TRIES_MAX = 8

_TRY_BACKOFF = services.Backoff(first_s=0.1, max_s=2.0)
_STORE_BACKOFF = services.Backoff(first_s=0.05, max_s=2.0)
_REST = services.Backoff(first_s=0.5, max_s=30.0)


@dataclasses.dataclass(slots=True)
class _Lane:
    """The hand-overs to one location.

    Attributes:
        in_flight: The runs that are being handed over.
        in_doubt: Those of them that had no clear answer so far.
        refused_by: What refused last; None when the last answer was another.
        refusals: How often it refused in a row. Refusals of runs handed over together count once.
        rests_until: No run is claimed before, in monotonic seconds.
    """

    in_flight: set[str] = dataclasses.field(default_factory=set[str])
    in_doubt: set[str] = dataclasses.field(default_factory=set[str])
    refused_by: tuple[str, int, str] | None = None
    refusals: int = 0
    rests_until: float = 0.0

    def rests(self, server: records.ServerRecord, now: float) -> bool:
        """Say whether the location is to be left alone."""
        return now < self.rests_until and self.refused_by == _identity(server)

    def note_refusal(self, server: records.ServerRecord, now: float) -> None:
        """Have the location left alone for a while."""
        if self.rests(server, now):
            return
        self.refusals = self.refusals + 1 if self.refused_by == _identity(server) else 1
        self.refused_by = _identity(server)
        self.rests_until = now + _REST.delay_s(self.refusals)

    def note_acceptance(self) -> None:
        """Forget earlier refusals."""
        self.refused_by = None


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of launching.

    Attributes:
        claims: How many runs may be active at once.
        handovers_per_location: How many hand-overs to one location may be under way.
    """

    claims: queue_records.ClaimLimits
    handovers_per_location: int = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Baggage:
    """What goes with runs to their locations.

    Attributes:
        known: Completes plans with what is known of the assets of their runs.
        credential: Makes what the code server shows when it asks on behalf of a run.
    """

    known: known_assets.KnownAssets | None = None
    credential: Callable[[records.RunRecord], location_pb2.RunCredential] | None = None


class Launcher(services.Loop):
    """Hands runs over. See the module."""

    def __init__(
        self,
        runs: run_store.RunStore,
        servers: places.Servers,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        limits: Limits,
        baggage: Baggage = Baggage(),
    ) -> None:
        """Make a launcher.

        Args:
            runs: The queue.
            servers: Where runs can be handed to.
            changes: Tells that runs were queued or ended.
            clock: Tells the time.
            limits: The bounds.
            baggage: What goes with runs.
        """
        super().__init__("launcher", expected=(storage_errors.StorageUnavailable,))
        self._runs = runs
        self._servers = servers
        self._clock = clock
        self._limits = limits
        self._baggage = baggage
        self._lanes: dict[str, _Lane] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._poke = servers.subscribe(changes.runs.subscribe())

    @property
    def claim_limits(self) -> queue_records.ClaimLimits:
        """How many runs may be active at once."""
        return self._limits.claims

    def hands_over(self, run_id: str) -> bool:
        """Say whether this host is handing the run over right now."""
        return run_id in self._tasks

    def adopt(self, run: records.RunRecord, server: records.ServerRecord) -> bool:
        """Hand over a run that is STARTING already, because whoever did it before is gone.

        Args:
            run: The run.
            server: The code server that it is bound to; one that drains sends the run back.

        Returns:
            Whether it is being handed over now.
        """
        lane = self._lane(run.location_name)
        if self.hands_over(run.run_id) or self._room(lane) <= 0:
            return False
        self._begin(run, server)
        return True

    async def run(self) -> None:
        """Claim and hand over until stopped."""
        while True:
            while await self._claim():
                pass
            self.did_well()
            await self._poke.wait(self._wait_s())

    async def clean_up(self) -> None:
        """Leave the hand-overs: whether they arrived is asked again by the next host."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim(self) -> bool:
        """Claim once and begin the hand-overs; return whether there may be more to claim."""
        now = self._clock.monotonic()
        open_lanes: dict[str, records.ServerRecord] = {}
        batch_max = self._limits.handovers_per_location
        for name, server in self._servers.reachable().items():
            lane = self._lane(name)
            room = self._room(lane)
            if lane.in_doubt:
                room = min(room, 1 + len(lane.in_doubt) - len(lane.in_flight))
            if room > 0 and not lane.rests(server, now):
                open_lanes[name] = server
                # However the queue is made up, no location gets more than it has room for.
                batch_max = min(batch_max, room)
        if not open_lanes:
            return False
        claimed = await self._runs.claim(
            {name: server.server_id for name, server in open_lanes.items()},
            self._limits.claims,
            batch_max=batch_max,
        )
        for run in claimed:
            self._begin(run, open_lanes[run.location_name])
        return len(claimed) == batch_max

    def _wait_s(self) -> float:
        """Return how long to wait without a poke: nothing tells that a location has rested."""
        now = self._clock.monotonic()
        rests = [lane.rests_until - now for lane in self._lanes.values() if lane.refused_by]
        return min([host_changes.BACKSTOP_S, *(rest_s for rest_s in rests if rest_s > 0)])

    def _lane(self, location_name: str) -> _Lane:
        return self._lanes.setdefault(location_name, _Lane())

    def _room(self, lane: _Lane) -> int:
        return self._limits.handovers_per_location - len(lane.in_flight)

    def _begin(self, run: records.RunRecord, server: records.ServerRecord) -> None:
        self._lane(run.location_name).in_flight.add(run.run_id)
        task = asyncio.create_task(self._hand_over(run, server))
        self._tasks[run.run_id] = task

    async def _hand_over(self, run: records.RunRecord, server: records.ServerRecord) -> None:
        lane = self._lane(run.location_name)
        try:
            await self._try_repeatedly(run, server)
        except Exception:  # noqa: BLE001 - the run stays STARTING and is adopted
            _log.exception("hand-over broke off", extra=_about(run, "handover_broke"))
        finally:
            was_full = self._room(lane) <= 0 or bool(lane.in_doubt)
            lane.in_flight.discard(run.run_id)
            lane.in_doubt.discard(run.run_id)
            self._tasks.pop(run.run_id, None)
            if was_full:
                self._poke.set()

    async def _try_repeatedly(self, run: records.RunRecord, server: records.ServerRecord) -> None:
        lane = self._lane(run.location_name)
        plan = handover.plan(run)
        if self._baggage.known is not None:
            await self._baggage.known.complete(plan, run)
        make = self._baggage.credential
        for tries in range(1, TRIES_MAX + 1):
            try:
                await self._servers.control(server).start_run(
                    plan, None if make is None else make(run)
                )
            except errors.LocationError as error:
                verdict = handover.judge(error)
                if verdict is not handover.Verdict.ASK_AGAIN:
                    await self._carry_out(verdict, run, error)
                    return
                lane.in_doubt.add(run.run_id)
                self._poke.set()  # the next may go
                _log.warning(
                    "hand-over in doubt, asking again",
                    extra={**_about(run, "handover_in_doubt"), "tries": tries},
                )
            else:
                lane.note_acceptance()
                return
            await self._clock.sleep(_TRY_BACKOFF.delay_s(tries))
            current = self._servers.reachable().get(run.location_name)
            if current is None or current.server_id != run.server_id:
                return  # it is away: its registration, or its absence, decides
            if not await self._is_still_ours(run):
                return
            server = current

    async def _is_still_ours(self, run: records.RunRecord) -> bool:
        now = await self._runs.get(run.run_id)
        return (
            now is not None
            and now.status is records.RunStatus.STARTING
            and now.attempt == run.attempt
        )

    async def _carry_out(
        self, verdict: handover.Verdict, run: records.RunRecord, error: errors.LocationError
    ) -> None:
        if verdict is handover.Verdict.REQUEUE:
            self._let_rest(run)
            await self._store(
                lambda: self._runs.requeue(run.run_id, attempt=run.attempt, reason=str(error))
            )
        elif verdict is handover.Verdict.FAIL:
            starting = frozenset({records.RunStatus.STARTING})
            await self._store(
                lambda: self._runs.fail(run.run_id, handover.failure(error), expected=starting)
            )

    def _let_rest(self, run: records.RunRecord) -> None:
        """Leave a location alone for a while, unless another code server serves it by now."""
        current = self._servers.reachable().get(run.location_name)
        if current is not None and current.server_id == run.server_id:
            self._lane(run.location_name).note_refusal(current, self._clock.monotonic())

    async def _store(self, write: Callable[[], Awaitable[bool]]) -> None:
        """Write a verdict, again and again while storage is away; repeating it is safe."""
        failures = 0
        while True:
            try:
                await write()
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._clock.sleep(_STORE_BACKOFF.delay_s(failures))
            else:
                return


def _identity(server: records.ServerRecord) -> tuple[str, int, str]:
    """Return what tells a code server that may answer otherwise than before."""
    return server.server_id, server.epoch, "" if server.build is None else server.build.build_id


def _about(run: records.RunRecord, action: str) -> dict[str, object]:
    return {
        "action": action,
        "run_id": run.run_id,
        "location": run.location_name,
        "server_id": run.server_id,
        "attempt": run.attempt,
    }
