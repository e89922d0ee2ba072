"""Carries out one evaluation: fetches its event, asks the location, commits the tick.

Called by `leading` for each evaluation that `due` lets begin. Says what became of it and never
raises but for cancellation; an evaluation that is cut off at any point has stored everything or
nothing.
"""

import asyncio
import dataclasses
import enum
import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.automation.sensors import deciding, due
from atoll_host.locations import definitions, graph
from atoll_host.locations import registry as registries
from atoll_host.runs import other_locations, partitions, policy_settings, requests
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_REQUESTS_ON_LOOP_MAX = 20
_PASSED_OVER_MAX = 10_000
_COMMIT_BACKOFF = services.Backoff(first_s=0.05, max_s=2.0)

# A location that says so will be able to evaluate later: no failure of the sensor.
_NOT_NOW = frozenset(
    {
        reasons.BUSY,
        reasons.DRAINING,
        reasons.HOST_UNAVAILABLE,
        reasons.NO_BUILD,
        reasons.RELOAD_IN_PROGRESS,
        reasons.UNKNOWN_SENSOR,
        reasons.WRONG_SERVER,
    }
)


class SensorControl(Protocol):
    """What evaluations ask of a code server."""

    async def evaluate_sensor(
        self, request: location_pb2.EvaluateSensorRequest
    ) -> location_pb2.EvaluateSensorResponse:
        """Evaluate a sensor once."""
        ...


class Locations(Protocol):
    """What evaluations ask of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        """Return the code servers that can be given work."""
        ...

    def graph(self) -> graph.AssetGraph:
        """Return the asset graph of all locations."""
        ...

    def control(self, target: str | records.ServerRecord) -> SensorControl:
        """Return a client for a code server."""
        ...

    def subscribe(self) -> signals.Poke:
        """Return a poke that is set when anything changed."""
        ...


class Ending(enum.Enum):
    """What became of an evaluation; the words are those of `due.Agenda`."""

    COMMITTED = "committed"
    FAILED = "failed"
    POSTPONED = "postponed"
    EXHAUSTED = "exhausted"
    RELOADED = "reloaded"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an evaluation, and the state of its sensor where it is known anew."""

    ending: Ending
    state: records.SensorState | None = None


def _new_id() -> str:
    return str(uuid.uuid4())


class Evaluator:
    """Carries out evaluations. Holds nothing between them."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        clock: clocks.Clock,
        *,
        timeout_s: float,
        failure_backoff: services.Backoff,
        policy: policy_settings.PolicySettings,
    ) -> None:
        """Make an evaluator.

        Args:
            store: Where events are read and ticks are committed.
            locations: Where sensors are defined and evaluated.
            clock: Tells the time.
            timeout_s: How long user code may take.
            failure_backoff: The delays after failed ticks in a row.
            policy: What locations may ask of each other.
        """
        self._store = store
        self._locations = locations
        self._clock = clock
        self._timeout_s = timeout_s
        self._failure_backoff = failure_backoff
        self._policy = policy

    async def evaluate(self, evaluation: due.Evaluation) -> Outcome:
        """Carry out one evaluation."""
        key = evaluation.sensor.key
        try:
            return await self._evaluate(evaluation)
        except storage_errors.StorageUnavailable:
            return Outcome(Ending.POSTPONED)
        except errors.LocationError as error:
            _log.info(
                "evaluation postponed",
                extra={
                    "action": "evaluation_postponed",
                    "location": key.location_name,
                    "sensor": key.sensor_name,
                    "reason": error.reason,
                },
            )
            return Outcome(Ending.POSTPONED)
        except Exception:  # noqa: BLE001 - a bug met by one sensor must not end the others
            _log.exception(
                "evaluation broke off",
                extra={
                    "action": "evaluation_broke",
                    "location": key.location_name,
                    "sensor": key.sensor_name,
                },
            )
            return Outcome(Ending.POSTPONED)

    async def _evaluate(self, evaluation: due.Evaluation) -> Outcome:
        place, definition = self._defined(evaluation.sensor.key)
        event = delivery = None
        if evaluation.sensor.kind in {due.Kind.ASSET, due.Kind.RUN_STATUS}:
            event = await self._event(evaluation)
            if event is None:
                return await self._exhausted(evaluation)
        elif evaluation.sensor.kind is due.Kind.WEBHOOK:
            state = evaluation.state
            delivery = await self._store.webhooks.next(state.key, state.position)
            if delivery is None:
                return Outcome(Ending.EXHAUSTED)
        case = deciding.Case(
            evaluation=evaluation,
            definition=definition,
            place=place,
            tick_id=_new_id(),
            start_time=self._clock.now(),
            event=event,
            delivery=delivery,
            retry_after_s=self._failure_backoff.delay_s(evaluation.state.failures + 1),
        )
        return await self._commit(case, await self._ask(case))

    def _defined(
        self, key: records.SensorKey
    ) -> tuple[requests.Place, snapshot_pb2.SensorDefinition]:
        view = self._locations.locations().get(key.location_name)
        definition = None if view is None else view.sensor(key.sensor_name)
        if view is None or view.definitions is None or definition is None:
            raise errors.LocationUnavailable(
                f"Location {key.location_name!r} no longer defines sensor {key.sensor_name!r}.",
                location_name=key.location_name,
                reason=reasons.UNKNOWN_SENSOR,
            )
        return self._place(key.location_name, view.definitions), definition

    def _place(self, location_name: str, defined: definitions.Definitions) -> requests.Place:
        merged = self._locations.graph()
        return requests.Place(location_name, defined, merged.owner, merged.check_owner)

    async def _event(self, evaluation: due.Evaluation) -> events_pb2.StoredEvent | None:
        """Return the event that comes next for a sensor that decides on each."""
        if evaluation.sensor.runs is not None:
            return await self._store.events.next_run_change(
                evaluation.sensor.runs, evaluation.after, through_id=evaluation.horizon
            )
        path = evaluation.sensor.monitored[0]
        position = evaluation.state.position
        events = self._store.events
        if evaluation.sensor.coalesce:
            return await events.newest_materialization_after(path, position)
        event = await events.next_materialization(path, position)
        if event is not None:
            return event
        # What came after the position may be pruned; the newest one survives that.
        latest = await events.latest_materializations([path])
        return next((each for each in latest if each.id > position), None)

    async def _exhausted(self, evaluation: due.Evaluation) -> Outcome:
        """Remember that there is nothing to decide on, where finding that out again would cost."""
        if evaluation.horizon - evaluation.state.position > _PASSED_OVER_MAX:
            await self._store.sensors.pass_over(evaluation.state, evaluation.horizon)
        return Outcome(Ending.EXHAUSTED)

    async def _ask(self, case: deciding.Case) -> records.TickCommit:
        """Have the sensor evaluated and return the tick to commit."""
        key = case.evaluation.sensor.key
        server = self._locations.reachable().get(key.location_name)
        if server is None:
            raise errors.LocationUnavailable(
                f"Location {key.location_name!r} is away.",
                location_name=key.location_name,
                reason=reasons.UNREACHABLE,
            )
        request = deciding.request(case, self._timeout_s)
        try:
            response = await self._locations.control(server).evaluate_sensor(request)
        except errors.LocationUnavailable as error:
            if error.reason != reasons.DEADLINE_EXCEEDED:
                raise
            late = deciding.past_deadline(case, self._timeout_s, str(error))
            return deciding.failed(case, late)
        except errors.LocationRefused as error:
            if error.reason in _NOT_NOW:
                raise
            return deciding.failed(case, deciding.refused(error))
        return await self._decided(case, response)

    async def _decided(
        self, case: deciding.Case, response: location_pb2.EvaluateSensorResponse
    ) -> records.TickCommit:
        keys = sum(len(each.partition_keys) for each in response.dynamic_partitions_requests)
        texts = [each.partition_key for each in response.run_requests if each.partition_key]
        case = await self._with_places(case, response, texts)
        if not texts and len(response.run_requests) + keys <= _REQUESTS_ON_LOOP_MAX:
            return deciding.decide(case, response, _new_id)
        # Checking many of them takes long enough to delay the sensors of other locations.
        return await asyncio.to_thread(deciding.decide, case, response, _new_id)

    async def _with_places(
        self,
        case: deciding.Case,
        response: location_pb2.EvaluateSensorResponse,
        texts: Sequence[str],
    ) -> deciding.Case:
        """Return the case with what has to be known of locations to check what is asked for."""
        asked = (requests.of_run_request(each) for each in response.run_requests)
        targets = (
            other_locations.job_elsewhere(case.place, each, case.definition) for each in asked
        )
        names = {target[0] for target in targets if target is not None}
        places = {case.place.location_name: case.place}
        for name in names - {case.place.location_name}:
            view = self._locations.locations().get(name)
            if view is not None and view.definitions is not None:
                places[name] = self._place(name, view.definitions)
        if texts:
            for name, place in places.items():
                dynamic = await partitions.read_dynamic(
                    self._store.partitions, place.definitions, texts
                )
                places[name] = dataclasses.replace(place, dynamic=dynamic)
        own = places.pop(case.place.location_name)
        others = other_locations.Others(self._policy, places)
        return dataclasses.replace(case, place=own, others=others)

    async def _commit(self, case: deciding.Case, commit: records.TickCommit) -> Outcome:
        key = commit.key
        try:
            tick = await self._committed(case, commit)
        except storage_errors.StaleTick:
            # Somebody stopped the sensor, another leader was faster, or an earlier try was stored
            # after all.
            return Outcome(Ending.RELOADED, await self._store.sensors.state(key))
        except storage_errors.UnknownSensor:
            return Outcome(Ending.RELOADED, None)
        state = deciding.state_after(case.evaluation.state, commit, tick)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            return Outcome(Ending.FAILED, state)
        return Outcome(Ending.COMMITTED, state)

    async def _committed(
        self, case: deciding.Case, commit: records.TickCommit
    ) -> automation_pb2.Tick:
        """Commit, again and again while storage is away: no decision is thrown away."""
        failures = 0
        given_up = False
        while True:
            try:
                return await self._store.sensors.commit_tick(commit)
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._clock.sleep(_COMMIT_BACKOFF.delay_s(failures))
            except storage_errors.InvalidValue as error:
                if given_up:
                    raise
                given_up = True
                commit = deciding.failed(case, deciding.unstorable(case, str(error)))
