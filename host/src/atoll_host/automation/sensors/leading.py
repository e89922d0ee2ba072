"""The sensors' term of the leader among hosts: the agenda of all sensors, and what acts on it.

Made by `dispatching` when leadership was won, and thrown away when it is lost: everything in it can
be read again from the stores with a handful of queries. Followers feed the agenda:

    log         Changes.tail    -> materializations after the own position -> Agenda.arrived
    runs        Changes.run_tail -> changes of runs, likewise              -> Agenda.arrived
    deliveries  Changes.webhooks -> the newest that wait                   -> Agenda.arrived
    locations   Registry        -> definitions and availability            -> Agenda.set_location,
        set_available
    states      Changes.sensors -> starts, stops and resets                -> Agenda.set_state
    timer       the clock       -> what the agenda has due next

and `_advance` lets begin whatever is due. With nothing going on no query runs but the slow
backstops, however many sensors there are.
"""

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import signals, tails
from atoll_host.automation import evaluations, terms
from atoll_host.automation.sensors import asking, defined, due, evaluating
from atoll_host.locations import registry as registries
from atoll_host.policy import policy_settings
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

LOG_PAGE = 5000
LOG_BACKSTOP_S = 15.0
DELIVERIES_BACKSTOP_S = 15.0
STATES_BACKSTOP_S = 60.0
STATES_PAUSE_S = 1.0
LOCATIONS_BACKSTOP_S = 30.0

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: asking.Locations
    changes: host_changes.Changes
    clock: clocks.Clock

    async def enroll(
        self, server: records.ServerRecord, held_runs: Sequence[location_pb2.HeldRun]
    ) -> None:
        """Have the store remember the sensors of a location from the moment it registers.

        For `Registry.on_registered`: what is materialized after the registration is answered is
        then seen by sensors that are new to the mesh, whichever host leads.
        """
        del held_runs
        view = self.locations.locations().get(server.location_name)
        if view is not None and view.definitions is not None:
            await self.store.sensors.ensure(*defined.beginnings(view.name, view.definitions))


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        tick_timeout_s: float,
        limits: due.Limits | None = None,
        policy: policy_settings.PolicySettings = policy_settings.DEFAULT,
    ) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._changes = surroundings.changes
        self._clock = surroundings.clock
        bounds = limits or due.Limits()
        self._agenda = due.Agenda(bounds)
        self._evaluator = evaluating.Evaluator(
            surroundings.store,
            surroundings.locations,
            surroundings.clock,
            timeout_s=tick_timeout_s,
            failure_backoff=bounds.failure_backoff,
            policy=policy,
        )
        self._timer = signals.Poke()
        self._evaluations: set[asyncio.Task[None]] = set()
        self._digests: dict[str, str] = {}
        # Subscribed before the first look, so that nothing falls between.
        self._tail = self._changes.tail()
        self._run_tail = self._changes.run_tail()
        self._deliveries = self._changes.webhooks.subscribe()
        self._states = self._changes.sensors.subscribe()
        self._views = self._locations.subscribe()

    async def run(self) -> None:
        """Read everything anew, then follow and evaluate."""
        try:
            head = await terms.persist(self._store.events.head, self._clock)
            await terms.persist(self._take_locations, self._clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_materializations(head))
                group.create_task(self._follow_runs(head))
                group.create_task(self._follow_deliveries())
                group.create_task(self._follow_locations())
                group.create_task(self._follow_states())
                group.create_task(self._follow_clock())
        finally:
            await self._end_evaluations()

    # Followers.

    async def _follow_materializations(self, position: int) -> None:
        async def read(after_id: int) -> tuple[list[tails.Materialization], int]:
            return await self._store.events.materializations_after(after_id, limit=LOG_PAGE)

        async def missed() -> None:
            # The projection knows the newest of each asset.
            await self._look_up(tuple(self._agenda.watched()))

        while True:
            await self._tail.wait(LOG_BACKSTOP_S)
            found, position, more = self._tail.take(position)
            self._hear(found)
            if more:
                position = await self._read_on(position, read, self._hear, missed)

    async def _follow_runs(self, position: int) -> None:
        async def read(after_id: int) -> tuple[list[tails.RunChange], int]:
            return await self._store.events.run_changes_after(after_id, limit=LOG_PAGE)

        while True:
            await self._run_tail.wait(LOG_BACKSTOP_S)
            found, position, more = self._run_tail.take(position)
            self._hear_of_runs(found)
            if more:
                position = await self._read_on(
                    position, read, self._hear_of_runs, self._look_up_runs
                )

    async def _follow_deliveries(self) -> None:
        while True:
            await self._deliveries.wait(DELIVERIES_BACKSTOP_S)
            await terms.persist(self._look_up_deliveries, self._clock)

    def _hear(self, found: Sequence[tuple[int, due.Topic]]) -> None:
        if found:
            self._agenda.arrived(found, self._clock.monotonic())
            self._advance()

    def _hear_of_runs(self, found: Sequence[tails.RunChange]) -> None:
        self._hear(
            [
                (event_id, due.RunTopic(told.status, told.location_name, told.job_name))
                for event_id, told in found
            ]
        )

    async def _read_on(
        self,
        position: int,
        read: Callable[[int], Awaitable[tuple[list[_T], int]]],
        hear: Callable[[list[_T]], None],
        missed: Callable[[], Awaitable[None]],
    ) -> int:
        """Read the log from a position to its end, and return where that is."""
        while True:
            try:
                found, position = await terms.persist(
                    functools.partial(read, position), self._clock
                )
            except storage_errors.Compacted as error:
                # So far behind that the log was pruned in between.
                position = error.oldest_id - 1
                await terms.persist(missed, self._clock)
                continue
            hear(found)
            if len(found) < LOG_PAGE:
                return position

    async def _follow_locations(self) -> None:
        while True:
            await self._views.wait(LOCATIONS_BACKSTOP_S)
            await terms.persist(self._take_locations, self._clock)

    async def _take_locations(self) -> None:
        """Bring the agenda up to what the locations define now, with a few queries for all."""
        changed = [
            view
            for name, view in self._locations.locations().items()
            if view.definitions is not None and view.definitions.digest != self._digests.get(name)
        ]
        if changed:
            await self._take_definitions(changed)
        now = self._clock.monotonic()
        reachable = self._locations.reachable()
        for name in self._digests:
            self._agenda.set_available(name, now, available=name in reachable)
        self._advance()

    async def _take_definitions(self, views: Sequence[registries.LocationView]) -> None:
        sensors = {view.name: _sensors_of(view) for view in views}
        keys: list[records.SensorKey] = []
        starts: dict[records.SensorKey, records.StartPosition] = {}
        for view in views:
            if view.definitions is not None:
                of_view, starts_of_view = defined.beginnings(view.name, view.definitions)
                keys += of_view
                starts.update(starts_of_view)
        await self._store.sensors.ensure(keys, starts)
        states = {state.key: state for state in await self._store.sensors.states()}
        now, today = self._clock.monotonic(), self._clock.now()
        ages_s = {
            key: (today - state.last_tick_time).total_seconds()
            for key, state in states.items()
            if state.last_tick_time is not None
        }
        retries_s = {
            key: (state.retry_time - today).total_seconds()
            for key, state in states.items()
            if state.retry_time is not None
        }
        for name, group in sensors.items():
            self._agenda.set_location(name, group, states, now, ages_s=ages_s, retries_s=retries_s)
        # What happened before these sensors were watched for is looked up after they are: so it is
        # seen here or in the log, and seeing it twice does no harm.
        found = [sensor for group in sensors.values() for sensor in group]
        await self._look_up({path for sensor in found for path in sensor.monitored})
        if any(sensor.kind is due.Kind.RUN_STATUS for sensor in found):
            await self._look_up_runs()
        if any(sensor.kind is due.Kind.WEBHOOK for sensor in found):
            await self._look_up_deliveries()
        for view in views:
            if view.definitions is not None:
                self._digests[view.name] = view.definitions.digest

    async def _look_up(self, paths: Iterable[due.AssetPath]) -> None:
        """Tell the agenda of the newest materialization of each asset."""
        wanted = sorted(paths)
        if not wanted:
            return
        latest = await self._store.events.latest_materializations(wanted)
        found = [
            (each.id, tuple(each.event.asset_materialization.asset_key.path)) for each in latest
        ]
        self._agenda.arrived(found, self._clock.monotonic())

    async def _look_up_runs(self) -> None:
        """Tell the agenda how far the log tells of each status: whose runs these are is asked."""
        newest = await self._store.events.newest_run_changes()
        self._hear([(event_id, due.RunTopic(status)) for status, event_id in newest.items()])

    async def _look_up_deliveries(self) -> None:
        """Tell the agenda of the newest delivery for each webhook sensor."""
        self._hear(await self._store.webhooks.newest())

    async def _follow_states(self) -> None:
        while True:
            await self._states.wait(STATES_BACKSTOP_S)
            await terms.persist(self._read_states, self._clock)
            # Each tick pokes as well; the pause bounds what a busy mesh spends on this.
            await self._clock.sleep(STATES_PAUSE_S)

    async def _read_states(self) -> None:
        states = await self._store.sensors.states()
        now = self._clock.monotonic()
        for state in states:
            self._agenda.set_state(state, now)
        self._advance()

    async def _follow_clock(self) -> None:
        while True:
            wake_at = self._agenda.next_wake_at()
            wait_s = None if wake_at is None else max(0.0, wake_at - self._clock.monotonic())
            if not await self._timer.wait(wait_s):
                self._advance()

    # Evaluations.

    def _advance(self) -> None:
        """Let begin what is due."""
        for evaluation in self._agenda.take(self._clock.monotonic()):
            task = asyncio.create_task(self._evaluate(evaluation))
            self._evaluations.add(task)
            task.add_done_callback(self._evaluations.discard)
        self._timer.set()

    async def _evaluate(self, evaluation: due.Evaluation) -> None:
        outcome = await self._evaluator.evaluate(evaluation)
        self._take_outcome(evaluation, outcome)
        self._advance()

    def _take_outcome(
        self, evaluation: due.Evaluation, outcome: evaluating.Outcome | evaluating.Exhausted
    ) -> None:
        now = self._clock.monotonic()
        if isinstance(outcome, evaluating.Exhausted):
            self._agenda.exhausted(evaluation, now)
            return
        match outcome.ending:
            case evaluations.Ending.POSTPONED:
                self._agenda.postponed(evaluation, now)
            case evaluations.Ending.RELOADED:
                self._agenda.reloaded(evaluation, outcome.state, now)
            case evaluations.Ending.COMMITTED:
                self._agenda.committed(evaluation, outcome.state or evaluation.state, now)
            case evaluations.Ending.FAILED:
                self._agenda.failed(evaluation, outcome.state or evaluation.state, now)

    async def _end_evaluations(self) -> None:
        for task in self._evaluations:
            task.cancel()
        await asyncio.gather(*self._evaluations, return_exceptions=True)


def _sensors_of(view: registries.LocationView) -> list[due.Sensor]:
    if view.definitions is None:
        return []
    known = (defined.sensor_of(view.name, each) for each in view.definitions.sensors.values())
    return [sensor for sensor in known if sensor is not None]
