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
from collections.abc import Mapping
from typing import Protocol

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.automation.sensors import deciding, due
from atoll_host.locations import graph
from atoll_host.locations import registry as registries
from atoll_host.runs import partitions, requests
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_REQUESTS_ON_LOOP_MAX = 20
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
    ) -> None:
        """Make an evaluator.

        Args:
            store: Where events are read and ticks are committed.
            locations: Where sensors are defined and evaluated.
            clock: Tells the time.
            timeout_s: How long user code may take.
        """
        self._store = store
        self._locations = locations
        self._clock = clock
        self._timeout_s = timeout_s

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
        event = None
        if evaluation.sensor.kind is due.Kind.ASSET:
            event = await self._event(evaluation)
            if event is None:
                return Outcome(Ending.EXHAUSTED)
        case = deciding.Case(
            evaluation=evaluation,
            definition=definition,
            place=place,
            tick_id=_new_id(),
            start_time=self._clock.now(),
            event_id=0 if event is None else event.id,
        )
        return await self._commit(case, await self._ask(case, event))

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
        merged = self._locations.graph()
        place = requests.Place(
            key.location_name, view.definitions, merged.owner, merged.check_owner
        )
        return place, definition

    async def _event(self, evaluation: due.Evaluation) -> events_pb2.StoredEvent | None:
        """Return the materialization that comes next for an asset sensor."""
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

    async def _ask(
        self, case: deciding.Case, event: events_pb2.StoredEvent | None
    ) -> records.TickCommit:
        """Have the sensor evaluated and return the tick to commit."""
        key = case.evaluation.sensor.key
        server = self._locations.reachable().get(key.location_name)
        if server is None:
            raise errors.LocationUnavailable(
                f"Location {key.location_name!r} is away.",
                location_name=key.location_name,
                reason=reasons.UNREACHABLE,
            )
        request = deciding.request(case, event, self._timeout_s)
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
        if texts:
            dynamic = await partitions.read_dynamic(
                self._store.partitions, case.place.definitions, texts
            )
            case = dataclasses.replace(case, place=dataclasses.replace(case.place, dynamic=dynamic))
        if not texts and len(response.run_requests) + keys <= _REQUESTS_ON_LOOP_MAX:
            return deciding.decide(case, response, _new_id)
        # Checking many of them takes long enough to delay the sensors of other locations.
        return await asyncio.to_thread(deciding.decide, case, response, _new_id)

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
