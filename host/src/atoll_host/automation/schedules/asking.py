"""Asks the location of a schedule for one evaluation, and says what the answer comes to.

Called by `evaluating`, which commits that, and by `dry_runs`, which does not.
"""

import dataclasses
import functools
from typing import Protocol

from atoll._rpc import reasons
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.automation import answers, evaluations
from atoll_host.automation.schedules import deciding, due
from atoll_host.runs import partitions
from atoll_storage import database, records

_NOT_NOW = evaluations.NOT_NOW | {reasons.UNKNOWN_SCHEDULE, reasons.UNSUPPORTED}


class ScheduleControl(Protocol):
    """What evaluations ask of a code server."""

    async def evaluate_schedule(
        self, request: location_pb2.EvaluateScheduleRequest
    ) -> location_pb2.EvaluateScheduleResponse:
        """Evaluate a schedule once."""
        ...


Locations = evaluations.Locations[ScheduleControl]
"""What evaluations ask of the registry."""


class Asking:
    """Asks locations. Holds nothing between two questions."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        clock: clocks.Clock,
        *,
        timeout_s: float,
    ) -> None:
        """Make one.

        Args:
            store: Where dynamic partitions are read.
            locations: Where schedules are defined and evaluated.
            clock: Tells the time.
            timeout_s: How long user code may take.
        """
        self._store = store
        self._locations = locations
        self._clock = clock
        self._timeout_s = timeout_s

    def case(self, task: due.Task, time: int) -> deciding.Case:
        """Return the evaluation of a schedule for a time, as its location defines it.

        Raises:
            errors.LocationUnavailable: It no longer does.
        """
        key = task.schedule.key
        view = self._locations.locations().get(key.location_name)
        definition = None if view is None else view.schedule(key.schedule_name)
        if view is None or view.definitions is None or definition is None:
            raise errors.LocationUnavailable(
                f"Location {key.location_name!r} no longer defines schedule {key.schedule_name!r}.",
                location_name=key.location_name,
                reason=reasons.UNKNOWN_SCHEDULE,
            )
        return deciding.Case(
            task=task,
            time=time,
            definition=definition,
            place=evaluations.place_of(self._locations, key.location_name, view.definitions),
            tick_id=evaluations.new_id(),
            start_time=self._clock.now(),
        )

    async def ask(self, case: deciding.Case) -> records.ScheduleCommit:
        """Have the schedule evaluated and return what to commit.

        Raises:
            errors.LocationError: There is no answer now; asking again later may bring one.
        """
        control = evaluations.control_of(self._locations, case.place.location_name)
        answer = await evaluations.answer_to(
            control.evaluate_schedule(deciding.request(case, self._timeout_s)),
            functools.partial(deciding.past_deadline, case, self._timeout_s),
            _NOT_NOW,
        )
        if isinstance(answer, values_pb2.Failure):
            return deciding.failed(case, answer)
        if texts := answers.partition_texts(answer):
            dynamic = await partitions.read_dynamic(
                self._store.partitions, case.place.definitions, texts
            )
            case = dataclasses.replace(case, place=dataclasses.replace(case.place, dynamic=dynamic))
        return await evaluations.decided(
            answer, functools.partial(deciding.decide, case, answer, evaluations.new_id)
        )
