"""The sensors' term of the leader among hosts: the agenda of all sensors, and what acts on it.

Made by `dispatching` when leadership was won, and thrown away when it is lost: everything in it can
be read again from the stores with a handful of queries. Four followers feed the agenda:

    log         Changes.tail    -> materializations after the own position -> Agenda.arrived
    locations   Registry        -> definitions and availability            -> Agenda.set_location,
        set_available
    states      Changes.sensors -> starts and stops                        -> Agenda.set_state
    timer       the clock       -> what the agenda has due next

and `_advance` lets begin whatever is due. With nothing going on no query runs but the slow
backstops, however many sensors there are.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence

from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import signals, tails
from atoll_host.automation import terms
from atoll_host.automation.sensors import due, evaluating
from atoll_host.locations import registry as registries
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

LOG_PAGE = 5000
LOG_BACKSTOP_S = 15.0
STATES_BACKSTOP_S = 30.0
STATES_PAUSE_S = 1.0
LOCATIONS_BACKSTOP_S = 30.0

DEFAULT_PERIOD_S = 30.0
SHORTEST_PERIOD_S = 0.05
"""A polling sensor that asks for no pause at all still leaves the others some room."""

_KINDS = {
    snapshot_pb2.SENSOR_KIND_POLLING: due.Kind.POLLING,
    snapshot_pb2.SENSOR_KIND_ASSET: due.Kind.ASSET,
    snapshot_pb2.SENSOR_KIND_MULTI_ASSET: due.Kind.MULTI_ASSET,
}


def sensor_of(location_name: str, definition: snapshot_pb2.SensorDefinition) -> due.Sensor | None:
    """Return what the agenda has to know of a sensor; None for a kind that is unknown here."""
    kind = _KINDS.get(definition.kind)
    monitored = tuple(tuple(key.path) for key in definition.monitored_assets)
    if kind is None or (kind is not due.Kind.POLLING and not monitored):
        return None
    interval_s = 0.0
    if definition.HasField("minimum_interval"):
        interval_s = definition.minimum_interval.ToNanoseconds() / 1e9
    elif kind is due.Kind.POLLING:
        interval_s = DEFAULT_PERIOD_S
    if kind is due.Kind.POLLING:
        interval_s = max(SHORTEST_PERIOD_S, interval_s)
    return due.Sensor(
        key=records.SensorKey(location_name, definition.name),
        kind=kind,
        monitored=monitored,
        interval_s=interval_s,
        coalesce=definition.coalesce,
        runs_by_default=definition.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: evaluating.Locations
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
            await self.store.sensors.ensure(
                [records.SensorKey(view.name, name) for name in view.definitions.sensors]
            )


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        tick_timeout_s: float,
        limits: due.Limits | None = None,
    ) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._changes = surroundings.changes
        self._clock = surroundings.clock
        self._agenda = due.Agenda(limits)
        self._evaluator = evaluating.Evaluator(
            self._store, self._locations, self._clock, timeout_s=tick_timeout_s
        )
        self._timer = signals.Poke()
        self._evaluations: set[asyncio.Task[None]] = set()
        self._digests: dict[str, str] = {}
        self._position = 0
        # Subscribed before the first look, so that nothing falls between.
        self._tail = self._changes.tail()
        self._states = self._changes.sensors.subscribe()
        self._views = self._locations.subscribe()

    async def run(self) -> None:
        """Read everything anew, then follow and evaluate."""
        try:
            self._position = await terms.persist(self._store.events.head, self._clock)
            await terms.persist(self._take_locations, self._clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_log())
                group.create_task(self._follow_locations())
                group.create_task(self._follow_states())
                group.create_task(self._follow_clock())
        finally:
            await self._end_evaluations()

    # Followers.

    async def _follow_log(self) -> None:
        while True:
            await self._tail.wait(LOG_BACKSTOP_S)
            found, self._position, more = self._tail.take(self._position)
            self._hear(found)
            if more:
                await terms.persist(self._read_log, self._clock)

    def _hear(self, found: Sequence[tails.Materialization]) -> None:
        if found:
            self._agenda.arrived(found, self._clock.monotonic())
            self._advance()

    async def _read_log(self) -> None:
        while True:
            try:
                found, self._position = await self._store.events.materializations_after(
                    self._position, limit=LOG_PAGE
                )
            except storage_errors.Compacted as error:
                # So far behind that the log was pruned in between: the projection knows the newest.
                self._position = error.oldest_id - 1
                await self._look_up(tuple(self._agenda.watched()))
                continue
            self._hear(found)
            if len(found) < LOG_PAGE:
                return

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
        await self._store.sensors.ensure([each.key for group in sensors.values() for each in group])
        states = {state.key: state for state in await self._store.sensors.states()}
        now, today = self._clock.monotonic(), self._clock.now()
        ages_s = {
            key: (today - state.last_tick_time).total_seconds()
            for key, state in states.items()
            if state.last_tick_time is not None
        }
        for name, group in sensors.items():
            self._agenda.set_location(name, group, states, now, ages_s=ages_s)
        # What was materialized before these sensors were watched for is looked up after they are:
        # so it is seen here or in the log, and seeing it twice does no harm.
        await self._look_up(
            {path for group in sensors.values() for s in group for path in s.monitored}
        )
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

    def _take_outcome(self, evaluation: due.Evaluation, outcome: evaluating.Outcome) -> None:
        now = self._clock.monotonic()
        match outcome.ending:
            case evaluating.Ending.EXHAUSTED:
                self._agenda.exhausted(evaluation, now)
            case evaluating.Ending.POSTPONED:
                self._agenda.postponed(evaluation, now)
            case evaluating.Ending.RELOADED:
                self._agenda.reloaded(evaluation, outcome.state, now)
            case evaluating.Ending.COMMITTED:
                self._agenda.committed(evaluation, outcome.state or evaluation.state, now)
            case evaluating.Ending.FAILED:
                self._agenda.failed(evaluation, outcome.state or evaluation.state, now)

    async def _end_evaluations(self) -> None:
        for task in self._evaluations:
            task.cancel()
        await asyncio.gather(*self._evaluations, return_exceptions=True)


def _sensors_of(view: registries.LocationView) -> list[due.Sensor]:
    if view.definitions is None:
        return []
    known = (sensor_of(view.name, each) for each in view.definitions.sensors.values())
    return [sensor for sensor in known if sensor is not None]
