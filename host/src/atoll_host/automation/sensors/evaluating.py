"""Carries out one evaluation: fetches its event, asks the location, commits the tick.

Called by `leading` for each evaluation that `due` lets begin. Says what became of it and never
raises but for cancellation; an evaluation that is cut off at any point has stored everything or
nothing.
"""

import dataclasses
import functools
import logging
from typing import Protocol

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.automation import answers, evaluations
from atoll_host.automation.sensors import deciding, due
from atoll_host.runs import other_locations, partitions, policy_settings, requests
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_PASSED_OVER_MAX = 10_000
_NOT_NOW = evaluations.NOT_NOW | {reasons.UNKNOWN_SENSOR}

_Ending = evaluations.Ending


class SensorControl(Protocol):
    """What evaluations ask of a code server."""

    async def evaluate_sensor(
        self, request: location_pb2.EvaluateSensorRequest
    ) -> location_pb2.EvaluateSensorResponse:
        """Evaluate a sensor once."""
        ...


Locations = evaluations.Locations[SensorControl]
"""What evaluations ask of the registry."""

Outcome = evaluations.Outcome[records.SensorState]
"""What became of an evaluation, and the state of its sensor where it is known anew."""


class Exhausted:
    """What became of an evaluation that there is no event for: the log holds none any more."""


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

    async def evaluate(self, evaluation: due.Evaluation) -> Outcome | Exhausted:
        """Carry out one evaluation."""
        key = evaluation.sensor.key
        try:
            return await self._evaluate(evaluation)
        except storage_errors.StorageUnavailable:
            return evaluations.Outcome(_Ending.POSTPONED)
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
            return evaluations.Outcome(_Ending.POSTPONED)
        except Exception:  # noqa: BLE001 - a bug met by one sensor must not end the others
            _log.exception(
                "evaluation broke off",
                extra={
                    "action": "evaluation_broke",
                    "location": key.location_name,
                    "sensor": key.sensor_name,
                },
            )
            return evaluations.Outcome(_Ending.POSTPONED)

    async def _evaluate(self, evaluation: due.Evaluation) -> Outcome | Exhausted:
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
                return Exhausted()
        case = deciding.Case(
            evaluation=evaluation,
            definition=definition,
            place=place,
            tick_id=evaluations.new_id(),
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
        place = evaluations.place_of(self._locations, key.location_name, view.definitions)
        return place, definition

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

    async def _exhausted(self, evaluation: due.Evaluation) -> Exhausted:
        """Remember that there is nothing to decide on, where finding that out again would cost."""
        if evaluation.horizon - evaluation.state.position > _PASSED_OVER_MAX:
            await self._store.sensors.pass_over(evaluation.state, evaluation.horizon)
        return Exhausted()

    async def _ask(self, case: deciding.Case) -> records.TickCommit:
        """Have the sensor evaluated and return the tick to commit."""
        control = evaluations.control_of(self._locations, case.place.location_name)
        answer = await evaluations.answer_to(
            control.evaluate_sensor(deciding.request(case, self._timeout_s)),
            functools.partial(deciding.past_deadline, case, self._timeout_s),
            _NOT_NOW,
        )
        if isinstance(answer, values_pb2.Failure):
            return deciding.failed(case, answer)
        case = await self._with_places(case, answer)
        return await evaluations.decided(
            answer, functools.partial(deciding.decide, case, answer, evaluations.new_id)
        )

    async def _with_places(
        self, case: deciding.Case, response: location_pb2.EvaluateSensorResponse
    ) -> deciding.Case:
        """Return the case with what has to be known of locations to check what is asked for."""
        texts = answers.partition_texts(response)
        asked = (requests.of_run_request(each) for each in response.run_requests)
        targets = (
            other_locations.job_elsewhere(case.place, each, case.definition) for each in asked
        )
        names = {target[0] for target in targets if target is not None}
        places = {case.place.location_name: case.place}
        for name in names - {case.place.location_name}:
            view = self._locations.locations().get(name)
            if view is not None and view.definitions is not None:
                places[name] = evaluations.place_of(self._locations, name, view.definitions)
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
        instead = functools.partial(_unstorable, case)
        try:
            commit, tick = await evaluations.commit(
                commit, self._store.sensors.commit_tick, instead, self._clock
            )
        except storage_errors.StaleTick:
            # Somebody stopped the sensor, another leader was faster, or an earlier try was stored
            # after all.
            return evaluations.Outcome(_Ending.RELOADED, await self._store.sensors.state(key))
        except storage_errors.UnknownSensor:
            return evaluations.Outcome(_Ending.RELOADED, None)
        state = deciding.state_after(case.evaluation.state, commit, tick)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            return evaluations.Outcome(_Ending.FAILED, state)
        return evaluations.Outcome(_Ending.COMMITTED, state)


def _unstorable(case: deciding.Case, cause: str) -> records.TickCommit:
    """Return what to commit in place of what storage cannot take."""
    return deciding.failed(case, deciding.unstorable(case, cause))
