"""What evaluators are asked: one evaluation of a sensor, a schedule or conditions, and the answer.

Called by the servicer, which makes evaluations of requests, and by builds and evaluators, which
treat all kinds alike. How an evaluation is carried out stays out.
"""

from __future__ import annotations

import dataclasses

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

SENSOR = "sensor"
SCHEDULE = "schedule"
CONDITIONS = "condition"

_Outcome = (
    location_pb2.EvaluateSensorResponse
    | location_pb2.EvaluateScheduleResponse
    | location_pb2.EvaluateConditionsResponse
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation.

    Attributes:
        kind: What is evaluated: `SENSOR`, `SCHEDULE` or `CONDITIONS`.
        name: Its name.
        tick_id: The tick that is decided.
        message: What to tell an evaluator.
    """

    kind: str
    name: str
    tick_id: str
    message: process_pb2.Evaluate

    @property
    def whose(self) -> str:
        """What is evaluated, in words."""
        return f"{self.kind} {self.name!r}"

    def failed(
        self, failure: values_pb2.Failure, build_id: str, duration_s: float = 0.0
    ) -> process_pb2.Evaluated:
        """Return the outcome of an evaluation whose process did not answer.

        Args:
            failure: What happened.
            build_id: The build.
            duration_s: How long it took.
        """
        evaluated = process_pb2.Evaluated(tick_id=self.tick_id)
        outcome: _Outcome = evaluated.response
        if self.kind == SCHEDULE:
            outcome = evaluated.schedule
        elif self.kind == CONDITIONS:
            outcome = evaluated.conditions
        outcome.build_id = build_id
        outcome.failure.CopyFrom(failure)
        if duration_s:
            outcome.duration.FromMilliseconds(round(duration_s * 1000))
        return evaluated


def of_sensor(request: location_pb2.EvaluateSensorRequest) -> Evaluation:
    """Return the evaluation that a request asks for."""
    message = process_pb2.Evaluate(request=request)
    return Evaluation(SENSOR, request.sensor_name, request.tick_id, message)


def of_schedule(request: location_pb2.EvaluateScheduleRequest) -> Evaluation:
    """Return the evaluation that a request asks for."""
    message = process_pb2.Evaluate(schedule=request)
    return Evaluation(SCHEDULE, request.schedule_name, request.tick_id, message)


def of_conditions(request: location_pb2.EvaluateConditionsRequest) -> Evaluation:
    """Return the evaluation that a request asks for."""
    message = process_pb2.Evaluate(conditions=request)
    names = ", ".join(sorted({call.name for call in request.calls}))
    return Evaluation(CONDITIONS, names, request.question_id, message)


def note_build(evaluated: process_pb2.Evaluated, build_id: str) -> None:
    """Write into an outcome which build it is of.

    Args:
        evaluated: The outcome.
        build_id: The build.
    """
    if evaluated.HasField("schedule"):
        evaluated.schedule.build_id = build_id
    elif evaluated.HasField("conditions"):
        evaluated.conditions.build_id = build_id
    else:
        evaluated.response.build_id = build_id
