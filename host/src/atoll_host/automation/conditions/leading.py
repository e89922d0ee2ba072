"""The term of declarative automation: follows the mesh, evaluates what may have changed, commits.

Made by `dispatching` when leadership was won, and thrown away when it is lost: everything in it can
be read again. One loop does everything, a round after the other, so that no two evaluations are
ever under way; it sleeps until something pokes it or a moment comes that a condition waits for:

    the log, the locations, the sensors, answers of locations, a moment
        -> catch up -> agenda -> evaluate <-> read what is lacking -> decide -> commit -> agenda

What a round decided is stored in one transaction, against the versions of the sensors and targets
that it began with. A round that fails anywhere, or is cut off, has stored all of it or nothing, and
is done again.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Protocol, TypeVar

from atoll._conditions import entities, entity_subsets, plans, states, ticking
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import services, signals
from atoll_host.automation import evaluations, terms
from atoll_host.automation.conditions import (
    asking,
    backfilling,
    deciding,
    due,
    graphs,
    knowledge,
    reading,
    remembering,
    viewing,
)
from atoll_host.locations import graph as asset_graphs
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

Entity = entities.Entity
Value = entity_subsets.Value
_T = TypeVar("_T")

BACKSTOP_S = 15.0
PAUSE_S = 0.02
"""Events that come so soon after a round share the next one."""
DEFAULT_INTERVAL_S = 30.0
PASSES_MAX = 50
ON_LOOP_MAX = 100
"""Up to so many targets are evaluated on the event loop; more of them would hold up others."""
_TRIM_EVERY_S = 30.0
_FAILURE_BACKOFF = services.Backoff(first_s=5.0, max_s=300.0)


class Locations(evaluations.Locations[asking.ConditionControl], Protocol):
    """What is asked of the registry."""

    def subscribe(self, poke: signals.Poke | None = None) -> signals.Poke:
        """Return a poke, or the given one, that is set when anything changed."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: Locations
    changes: host_changes.Changes
    clock: clocks.Clock


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug.

    Args:
        surroundings: What it works with.
        tick_timeout_s: How long conditions of users' own may take.

    Attributes:
        position: What is in the log up to here is decided on, as far as it can be now.
    """

    def __init__(self, surroundings: Surroundings, *, tick_timeout_s: float) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._clock = surroundings.clock
        self._poke = signals.Poke()
        self._others = _Others(self._poke)
        self._backfills = _Others(self._poke)
        # Subscribed before the first look, so that nothing falls between.
        surroundings.changes.events.subscribe(self._poke)
        surroundings.changes.sensors.subscribe(self._others)
        surroundings.changes.backfills.subscribe(self._backfills)
        self._locations.subscribe(self._others)
        self._merged: asset_graphs.AssetGraph | None = None
        self._sensors: dict[records.SensorKey, records.SensorState] = {}
        self._running: frozenset[records.SensorKey] = frozenset()
        self._blueprint = graphs.build({}, asset_graphs.AssetGraph({}, {}), ())
        self._plan = plans.NO_PLAN
        self._agenda = due.Agenda(self._plan, self._interval_s)
        self._known = knowledge.Knowledge(self._blueprint.surroundings)
        self._reader = reading.Reader(self._store, self._clock, self._known)
        self._targets: dict[Entity, deciding.Target] = {}
        self._states: dict[Entity, states.TargetState] = {}
        self._holders: set[Entity] = set()
        self._in_backfills: Mapping[Entity, Value] = {}
        self._asker = asking.Asker(
            self._locations, self._clock, timeout_s=tick_timeout_s, answered=self._take_answer
        )
        self._last_id = 0
        self._began_at = 0.0
        self._trimmed_at = 0.0
        self.position = 0

    async def run(self) -> None:
        """Evaluate whatever may have changed, again and again."""
        try:
            while True:
                await terms.persist(self._round, self._clock)
                await self._wait()
        finally:
            await self._asker.close()

    async def _wait(self) -> None:
        """Wait until there may be something to do, and a little longer: bursts come together."""
        wait_s = BACKSTOP_S
        if self._plan.targets:
            wait_s = min(wait_s, self._agenda.next_due - self._clock.now().timestamp())
        if not await self._poke.wait(max(0.0, wait_s)):
            self._others.changed = self._backfills.changed = True
        await self._clock.sleep(PAUSE_S)

    def _take_answer(self, target: Entity) -> None:
        self._agenda.answered(target)
        self._poke.set()

    def _interval_s(self, target: Entity) -> float:
        key = self._blueprint.sensors.get(target)
        if key is None or not self._blueprint.sensor(key).HasField("minimum_interval"):
            return DEFAULT_INTERVAL_S
        return self._blueprint.sensor(key).minimum_interval.ToNanoseconds() / 1e9

    # What there is to evaluate.

    async def _look_around(self) -> None:
        """Take over what locations define and which sensors run, where that changed."""
        if not self._others.changed:
            return
        self._others.changed = False
        try:
            await self._look()
        except BaseException:
            self._others.changed = True
            raise

    async def _look(self) -> None:
        locations = {
            name: view.definitions
            for name, view in self._locations.locations().items()
            if view.definitions is not None
        }
        sensors = {
            records.SensorKey(name, sensor.name): sensor
            for name, defined in locations.items()
            for sensor in graphs.sensors_of(defined)
        }
        if not sensors and not self._sensors:
            return  # Nobody has a condition, so the states of all other sensors are not read.
        known = {state.key: state for state in await self._store.sensors.states()}
        new = [key for key in sensors if key not in known]
        if new:
            await self._store.sensors.ensure(new)
            known = {state.key: state for state in await self._store.sensors.states()}
        running = frozenset(
            key for key, sensor in sensors.items() if _is_running(sensor, known[key])
        )
        merged = self._locations.graph()
        if merged is not self._merged or running != self._running:
            blueprint = await asyncio.to_thread(graphs.build, locations, merged, running)
            await self._redefine(blueprint)
            self._merged, self._running = merged, running
        self._sensors = {key: known[key] for key in sensors}

    async def _redefine(self, blueprint: graphs.Blueprint) -> None:
        for entity, cause in blueprint.unusable.items():
            if self._blueprint.unusable.get(entity) != cause:
                _log.warning(
                    "a condition cannot be evaluated here",
                    extra={"action": "condition_unusable", "target": str(entity), "cause": cause},
                )
        plan = await asyncio.to_thread(plans.Plan, blueprint.graph)
        changed = plan.differences(self._plan)
        read = await remembering.read(self._store.conditions, blueprint.graph, changed)
        if not self._plan.targets and plan.targets:
            # Nobody followed the log so far.
            self._known.forget()
            self._known.redefine(blueprint.surroundings)
            await self._reader.begin()
        else:
            self._known.redefine(blueprint.surroundings)
        self._blueprint, self._plan = blueprint, plan
        kept = {entity: one for entity, one in self._targets.items() if entity in plan.targets}
        self._targets, self._states = {}, {}
        self._remember({**kept, **read})
        self._agenda.set_plan(plan)
        self._agenda.mark(changed)
        self._backfills.changed = True

    def _remember(self, targets: Mapping[Entity, deciding.Target]) -> None:
        self._targets.update(targets)
        for entity, target in targets.items():
            if target.held is None:
                self._holders.discard(entity)
            else:
                self._holders.add(entity)
            if target.state is None:
                self._states.pop(entity, None)
            else:
                self._states[entity] = target.state
                self._last_id = max(self._last_id, target.state.evaluation_id)

    async def _reload(self, some: Collection[Entity]) -> None:
        """Read anew what somebody else may have moved on."""
        self._others.changed = True
        self._remember(await remembering.read(self._store.conditions, self._blueprint.graph, some))

    # A round.

    async def _round(self) -> None:
        await self._look_around()
        if not self._plan.targets:
            return
        self._hear(await self._reader.catch_up())
        await self._look_at_backfills()
        found = await self._evaluate()
        if found is None:
            self.position = self._known.position
            return
        case, decision = found
        for target in case.pending:
            self._agenda.asked(target)
            self._asker.ask(self._asker.wanted[target], case.blueprint, case.tick.now.timestamp())
        if not decision.targets:
            self.position = self._known.position
            return
        try:
            await self._store.conditions.commit(decision.commit)
        except storage_errors.StaleEvaluation as error:
            _log.info(
                "evaluation of conditions is stale",
                extra={"action": "conditions_stale", "cause": str(error)},
            )
            await self._reload(decision.targets.keys())
            self._poke.set()
            return
        self._take_over(decision, case)
        self.position = self._known.position

    async def _look_at_backfills(self) -> None:
        """Take over what backfills are still to execute, where they went on."""
        if not self._backfills.changed:
            return
        self._backfills.changed = False
        try:
            found = await self._store.backfills.page(
                statuses=backfilling.ACTIVE, limit=backfilling.AT_ONCE_MAX
            )
        except BaseException:
            self._backfills.changed = True
            raise
        before, left = self._in_backfills, backfilling.left_of(found, self._blueprint.graph)
        self._in_backfills = left
        entities_of_both = before.keys() | left.keys()
        self._hear(frozenset(one for one in entities_of_both if before.get(one) != left.get(one)))

    def _hear(self, changed: frozenset[Entity]) -> None:
        self._agenda.changed(changed)
        self._wake_holders(changed)

    def _wake_holders(self, changed: frozenset[Entity]) -> None:
        """Have those evaluated that wait for what changed."""
        for entity in self._holders if changed else ():
            target = self._targets.get(entity)
            held = None if target is None else target.held
            if held is not None and not changed.isdisjoint(held.waits):
                self._agenda.mark([entity])

    async def _evaluate(self) -> tuple[deciding.Case, deciding.Decision] | None:
        """Decide on what is due; what that lacks is read, and all of it decided on again."""
        for _ in range(PASSES_MAX):
            now, self._began_at = self._clock.now(), self._clock.monotonic()
            taken = self._agenda.take(now.timestamp())
            if not taken:
                return None
            lacking = knowledge.Needs()
            lacking.of({one for target in taken for one in self._plan.reads(target)}, self._known)
            if not lacking:
                case, lacking = await self._evaluated(taken, now)
                if not lacking:
                    decision = await self._computed(
                        functools.partial(deciding.decide, case, _new_id)
                    )
                    if not lacking:
                        return case, decision
            await self._reader.read(lacking)
            self._hear(await self._reader.catch_up())
        raise RuntimeError(f"conditions lacked something after {PASSES_MAX} looks at storage")

    async def _evaluated(
        self, taken: frozenset[Entity], now: dt.datetime
    ) -> tuple[deciding.Case, knowledge.Needs]:
        self._asker.wanted.clear()
        view = viewing.View(
            self._known,
            now,
            self._asker.answer,
            backfills=self._in_backfills.get,
            held={
                entity: target.held.subset.value
                for entity in self._holders
                if (target := self._targets.get(entity)) is not None and target.held is not None
            },
        )
        evaluation_id = max(self._last_id + 1, round(now.timestamp() * 1e6))
        tick = ticking.Tick(evaluation_id, now, self._known.position)
        outcome = await self._outcome(view, tick, taken)
        case = deciding.Case(
            blueprint=self._blueprint,
            targets=self._targets,
            sensors={key: state.version for key, state in self._sensors.items()},
            view=view,
            tick=tick,
            outcome=outcome,
            pending=frozenset(self._asker.wanted) & outcome.failures.keys(),
        )
        return case, view.needs

    async def _outcome(
        self, view: viewing.View, tick: ticking.Tick, taken: frozenset[Entity]
    ) -> ticking.Outcome:
        """Evaluate targets; those that cannot be for a bug rest, and the others are evaluated."""
        evaluate = functools.partial(ticking.evaluate, self._plan, view, self._states, tick)
        try:
            return await self._computed(functools.partial(evaluate, taken))
        except Exception:
            broken = await self._computed(functools.partial(_broken, evaluate, taken))
            if not broken:
                raise
        for target, error in broken.items():
            _log.error(
                "a condition broke its evaluation",
                exc_info=error,
                extra={"action": "condition_broke", "target": str(target)},
            )
            self._agenda.failed(target, tick.now.timestamp() + _FAILURE_BACKOFF.max_s)
        return await self._computed(functools.partial(evaluate, taken - broken.keys()))

    async def _computed(self, work: Callable[[], _T]) -> _T:
        """Do what takes long where there are many targets: one event may concern them all."""
        if len(self._plan.targets) <= ON_LOOP_MAX:
            return work()
        return await asyncio.to_thread(work)

    def _take_over(self, decision: deciding.Decision, case: deciding.Case) -> None:
        """Remember what is stored."""
        moved = {
            entity
            for entity, target in decision.targets.items()
            if target.held != self._targets.get(entity, deciding.NEW).held
        }
        self._remember(decision.targets)
        self._last_id = max(self._last_id, case.tick.evaluation_id)
        now = case.tick.now.timestamp()
        took_s = self._clock.monotonic() - self._began_at
        for entity in decision.evaluated:
            state = decision.targets[entity].state
            self._asker.used(entity)
            if state is not None:
                self._agenda.done(entity, state, took_s)
        for entity in decision.failed:
            self._asker.used(entity)
            pause_s = _FAILURE_BACKOFF.delay_s(decision.targets[entity].failures)
            self._agenda.failed(entity, now + pause_s)
            _log.warning(
                "a condition could not be evaluated",
                extra={"action": "condition_failed", "target": str(entity)},
            )
        for each in decision.commit.sensors:
            if each.tick is not None:
                known = self._sensors[each.key]
                self._sensors[each.key] = dataclasses.replace(known, version=known.version + 1)
        self._wake_holders(frozenset(moved))
        if self._clock.monotonic() - self._trimmed_at > _TRIM_EVERY_S:
            self._trimmed_at = self._clock.monotonic()
            self._known.trim()


class _Others(signals.Poke):
    """A poke that remembers that something else than the log changed, and pokes on."""

    __slots__ = ("_onward", "changed")

    def __init__(self, onward: signals.Poke) -> None:
        super().__init__()
        self._onward = onward
        self.changed = True

    def set(self) -> None:
        """Note the change and wake the waiter."""
        self.changed = True
        self._onward.set()


def _broken(
    evaluate: Callable[[frozenset[Entity]], object], targets: Collection[Entity]
) -> dict[Entity, Exception]:
    """Return the targets whose evaluation raises, with what it raised."""
    broken: dict[Entity, Exception] = {}
    for target in targets:
        try:
            evaluate(frozenset([target]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
            broken[target] = error
    return broken


def _is_running(sensor: snapshot_pb2.SensorDefinition, state: records.SensorState) -> bool:
    if state.running is None:
        return sensor.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING
    return state.running


def _new_id() -> str:
    return str(uuid.uuid4())
