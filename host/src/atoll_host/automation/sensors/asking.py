"""Asks the location of a sensor for one evaluation, and says what the answer comes to.

Called by `evaluating`, which commits that, and by `dry_runs`, which does not.
"""

import dataclasses
import functools
from typing import Protocol

from atoll._rpc import reasons
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.automation import answers, evaluations
from atoll_host.automation.sensors import deciding, due
from atoll_host.policy import deciding as policy_deciding
from atoll_host.policy import policy_settings
from atoll_host.runs import other_locations, partitions, requests
from atoll_storage import database, records

_NOT_NOW = evaluations.NOT_NOW | {reasons.UNKNOWN_SENSOR}


class SensorControl(Protocol):
    """What evaluations ask of a code server."""

    async def evaluate_sensor(
        self, request: location_pb2.EvaluateSensorRequest
    ) -> location_pb2.EvaluateSensorResponse:
        """Evaluate a sensor once."""
        ...


Locations = evaluations.Locations[SensorControl]
"""What evaluations ask of the registry."""


class Asking:
    """Asks locations. Holds nothing between two questions."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        *,
        timeout_s: float,
        policy: policy_settings.PolicySettings,
    ) -> None:
        """Make one.

        Args:
            store: Where events and dynamic partitions are read.
            locations: Where sensors are defined and evaluated.
            timeout_s: How long user code may take.
            policy: What locations may ask of each other.
        """
        self._store = store
        self._locations = locations
        self._timeout_s = timeout_s
        self._policy = policy

    def defined(
        self, key: records.SensorKey
    ) -> tuple[requests.Place, snapshot_pb2.SensorDefinition]:
        """Return a sensor as its location defines it.

        Raises:
            errors.LocationUnavailable: It no longer does.
        """
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

    async def event(self, evaluation: due.Evaluation) -> events_pb2.StoredEvent | None:
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

    async def ask(self, case: deciding.Case) -> records.TickCommit:
        """Have the sensor evaluated and return the tick to commit.

        Raises:
            errors.LocationError: There is no answer now; asking again later may bring one.
        """
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
        declared = {
            name: place.definitions.message.policy
            for name, place in places.items()
            if place.definitions.message.HasField("policy")
        }
        policies = policy_deciding.of(self._policy, declared) if names else policy_deciding.DEFAULT
        others = other_locations.Others(policies, places)
        return dataclasses.replace(case, place=own, others=others)
