"""Asks locations what the conditions of their own come to, and keeps their answers.

Called by `leading`: an evaluation that needs an answer which is not here ends without the target,
which is evaluated again once there is one; all other targets go on. Each location has its own bound
of questions under way, and each question a deadline after which its process is killed, so a
location that hangs holds up nobody else. What a location cannot say now is asked again later, which
is no failure of the condition.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Protocol

from atoll import errors as location_errors
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, views
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import definitions
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.automation import evaluations
from atoll_host.automation.conditions import explaining, graphs, viewing

_log = logging.getLogger(__name__)

Entity = entities.Entity
_PartitionsDefinition = definitions.PartitionsDefinition

QUESTIONS_PER_LOCATION_MAX = 4
_ANSWERS_MAX = 20
_RETRY = services.Backoff(first_s=0.5, max_s=15.0)


class ConditionControl(Protocol):
    """What is asked of a code server."""

    async def evaluate_conditions(
        self, request: location_pb2.EvaluateConditionsRequest
    ) -> location_pb2.EvaluateConditionsResponse:
        """Evaluate custom conditions once."""
        ...


class ConditionBroke(location_errors.Error):
    """A condition of a user's own raised, took too long, or cannot be evaluated."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """What a location said to a question."""

    call: views.CustomCall
    said: views.CustomAnswer | None
    failure: values_pb2.Failure | None = None

    def fits(self, call: views.CustomCall) -> bool:
        """Say whether it also answers another question."""
        asked = self.call
        return (
            asked.owner == call.owner
            and asked.ordinal == call.ordinal
            and asked.name == call.name
            and asked.cursor == call.cursor
            and asked.candidates.entity == call.candidates.entity
            and (call.candidates - asked.candidates).is_empty
        )


class Asker:
    """Questions under way, and answers that were not used yet.

    Args:
        servers: The locations.
        clock: Tells the time.
        timeout_s: How long user code may take.
        answered: Called with the target once it can be evaluated again.
    """

    def __init__(
        self,
        servers: evaluations.Servers[ConditionControl],
        clock: clocks.Clock,
        *,
        timeout_s: float,
        answered: Callable[[Entity], None],
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._timeout_s = timeout_s
        self._answered = answered
        self._answers: dict[Entity, list[_Answer]] = {}
        self._tasks: dict[Entity, asyncio.Task[None]] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self.wanted: dict[Entity, views.CustomCall] = {}

    def answer(self, call: views.CustomCall) -> views.CustomAnswer:
        """Answer a question of an evaluation.

        Raises:
            NotAnswered: There is no answer yet; `wanted` then holds the question.
            ConditionBroke: The condition could not be evaluated.
        """
        for each in self._answers.get(call.target, ()):
            if each.fits(call):
                if each.said is None:
                    raise ConditionBroke(_told(each.failure))
                return each.said
        self.wanted[call.target] = call
        raise viewing.NotAnswered(f"The condition {call.name!r} was not asked yet.")

    def ask(self, call: views.CustomCall, blueprint: graphs.Blueprint, now: float) -> None:
        """Have a location asked, unless it is being asked for the same target already."""
        if call.target not in self._tasks:
            task = asyncio.create_task(self._ask(call, blueprint, now), name="ask a condition")
            self._tasks[call.target] = task

    def used(self, target: Entity) -> None:
        """Forget the answers for a target: its evaluation is stored."""
        self._answers.pop(target, None)

    async def close(self) -> None:
        """Ask nothing any more."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, call: views.CustomCall, blueprint: graphs.Blueprint, now: float) -> None:
        location_name = blueprint.graph.node(call.owner).location
        slots = self._slots.setdefault(location_name, asyncio.Semaphore(QUESTIONS_PER_LOCATION_MAX))
        try:
            async with slots:
                answer = await self._answer_of(location_name, call, blueprint, now)
            known = self._answers.setdefault(call.target, [])
            known.append(answer)
            del known[:-_ANSWERS_MAX]
        finally:
            del self._tasks[call.target]
        self._answered(call.target)

    async def _answer_of(
        self,
        location_name: str,
        call: views.CustomCall,
        blueprint: graphs.Blueprint,
        now: float,
    ) -> _Answer:
        partitions_def = blueprint.graph.node(call.candidates.entity).partitions_def
        failures = 0
        while True:
            request = self._request(call, partitions_def, now)
            try:
                control = evaluations.control_of(self._servers, location_name)
                answer = await evaluations.answer_to(
                    control.evaluate_conditions(request), lambda _: self._late(call)
                )
            except errors.LocationError:
                failures += 1
            else:
                if isinstance(answer, values_pb2.Failure):
                    return _Answer(call, None, answer)
                return _read(call, answer, partitions_def)
            if failures == 1:
                _log.info(
                    "a condition waits for its location",
                    extra={"action": "condition_waits", "location": location_name},
                )
            await self._clock.sleep(_RETRY.delay_s(failures))

    def _request(
        self, call: views.CustomCall, partitions_def: _PartitionsDefinition | None, now: float
    ) -> location_pb2.EvaluateConditionsRequest:
        message = location_pb2.CustomConditionCall(
            target=entity_messages.to_message(call.target),
            owner=entity_messages.to_message(call.owner),
            ordinal=call.ordinal,
            name=call.name,
            entity=entity_messages.to_message(call.candidates.entity),
            candidates=entity_messages.value_to_message(call.candidates.value),
            cursor=call.cursor,
        )
        if call.evaluated_at is not None:
            message.evaluated_at.CopyFrom(explaining.timestamp(call.evaluated_at))
        if partitions_def is not None:
            message.partitions.CopyFrom(partition_messages.to_message(partitions_def))
        request = location_pb2.EvaluateConditionsRequest(
            question_id=evaluations.new_id(),
            calls=[message],
            evaluation_time=explaining.timestamp(now),
        )
        request.timeout.FromMilliseconds(round(self._timeout_s * 1000))
        return request

    def _late(self, call: views.CustomCall) -> values_pb2.Failure:
        return values_pb2.Failure(
            type="ConditionDeadlineExceeded",
            message=f"The condition {call.name!r} of {str(call.owner)!r} did not end within its "
            f"deadline of {self._timeout_s:g} s, so the process that evaluated it was killed. Make "
            "it faster.",
        )


def _read(
    call: views.CustomCall,
    response: location_pb2.EvaluateConditionsResponse,
    partitions_def: _PartitionsDefinition | None,
) -> _Answer:
    if response.HasField("failure"):
        return _Answer(call, None, response.failure)
    if len(response.answers) != 1:
        return _Answer(
            call,
            None,
            values_pb2.Failure(
                type="InvalidAnswer",
                message=f"The location gave {len(response.answers)} answers to one question.",
            ),
        )
    (told,) = response.answers
    if told.HasField("failure"):
        return _Answer(call, None, told.failure)
    value = entity_messages.value_from_message(told.value, partitions_def)
    cursor = told.cursor if told.HasField("cursor") else None
    return _Answer(call, views.CustomAnswer(value, cursor))


def _told(failure: values_pb2.Failure | None) -> str:
    if failure is None:
        return "The condition could not be evaluated."
    return f"{failure.type}: {failure.message}" if failure.type else failure.message
