"""The process that evaluates ticks, one after the other.

It ends when the code server closes its connection. Forked from the definitions process, or
spawned. What user code raises, logs and writes is part of the answer. It keeps no
time limit of its own: user code may hang anywhere, so the code server keeps it, and kills.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from google.protobuf import duration_pb2

from atoll._definitions import definitions as definitions_module
from atoll._execution import ticks
from atoll._instance import instance as instance_module
from atoll._location import (
    capture,
    condition_answers,
    errors,
    loading,
    priority,
    relay,
    relay_backend,
    tick_log,
)
from atoll._wire import failures
from atoll._wire import schedules as schedule_messages
from atoll._wire import ticks as tick_messages
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

EXIT_LOAD_FAILED = 1
EXIT_UNREACHABLE = 3

_OUTPUT_BYTES_MAX = 128 * 1024

_Request = TypeVar(
    "_Request",
    location_pb2.EvaluateSensorRequest,
    location_pb2.EvaluateScheduleRequest,
    location_pb2.EvaluateConditionsRequest,
)
_Response = TypeVar(
    "_Response",
    location_pb2.EvaluateSensorResponse,
    location_pb2.EvaluateScheduleResponse,
    location_pb2.EvaluateConditionsResponse,
)


def serve(introduction: relay.Introduction, load: loading.Load) -> int:
    """Evaluate ticks until the code server closes the connection; return the exit code.

    Args:
        introduction: Where the code server is, and who this process is.
        load: Gives the definitions.
    """
    try:
        channel = relay.open_channel(introduction)
    except OSError as error:
        sys.stderr.write(f"The code server does not answer: {error}\n")
        return EXIT_UNREACHABLE
    priority.give_way(priority.TICKS)
    try:
        evaluator = Evaluator(load(), relay.ServerLink(introduction, channel))
    except loading.LoadError as error:
        failed = process_pb2.LoadFailed(failure=error.failure)
        channel.send(process_pb2.ProcessMessage(load_failed=failed))
        return EXIT_LOAD_FAILED
    try:
        while (message := channel.receive()) is not None:
            if message.HasField("evaluate"):
                evaluated = evaluator.evaluate(message.evaluate)
                channel.send(process_pb2.ProcessMessage(evaluated=evaluated))
    except (OSError, errors.FramingError) as error:
        sys.stderr.write(f"The connection to the code server broke: {error}\n")
        return EXIT_UNREACHABLE
    return 0


class Evaluator:
    """Evaluates sensors, schedules and conditions of one location.

    Args:
        definitions: What the location defines.
        link: The connection to the code server.
    """

    def __init__(self, definitions: definitions_module.Definitions, link: relay.ServerLink) -> None:
        self._definitions = definitions
        self._instance = instance_module.Instance(relay_backend.RelayBackend(link))
        instance_module.set_process_instance(self._instance)
        self._capture = capture.TickCapture()

    def evaluate(self, asked: process_pb2.Evaluate) -> process_pb2.Evaluated:
        """Evaluate one sensor or schedule, or some conditions, once.

        Args:
            asked: Which, and what it is due for.
        """
        if asked.HasField("schedule"):
            decided = self._recorded(
                asked.schedule, self._decide_schedule, location_pb2.EvaluateScheduleResponse
            )
            return process_pb2.Evaluated(tick_id=asked.schedule.tick_id, schedule=decided)
        if asked.HasField("conditions"):
            answered = self._recorded(
                asked.conditions, self._answer, location_pb2.EvaluateConditionsResponse
            )
            return process_pb2.Evaluated(tick_id=asked.conditions.question_id, conditions=answered)
        response = self._recorded(
            asked.request, self._decide_sensor, location_pb2.EvaluateSensorResponse
        )
        return process_pb2.Evaluated(tick_id=asked.request.tick_id, response=response)

    def _recorded(
        self,
        request: _Request,
        decide: Callable[[_Request, tick_log.TickLog], _Response],
        response_type: type[_Response],
    ) -> _Response:
        """Have user code decide; whatever it raises, logs and writes goes into the answer."""
        log = tick_log.TickLog()
        self._capture.begin()
        began = time.monotonic()
        try:
            response = decide(request, log)
        except BaseException as error:  # noqa: BLE001 - the boundary to user code, sys.exit included; it is recorded
            response = response_type(failure=failures.of_user_code(error))
        took_s = time.monotonic() - began
        response.duration.CopyFrom(duration_pb2.Duration(nanos=int(took_s % 1 * 1e9)))
        response.duration.seconds = int(took_s)
        for stream, text in self._capture.take(_OUTPUT_BYTES_MAX):
            log.keep_output(stream, text)
        response.log_lines.extend(log.lines())
        return response

    def _decide_schedule(
        self, request: location_pb2.EvaluateScheduleRequest, log: tick_log.TickLog
    ) -> location_pb2.EvaluateScheduleResponse:
        result = ticks.evaluate_schedule(
            self._definitions,
            request.schedule_name,
            scheduled_execution_time=request.scheduled_time.ToDatetime(dt.timezone.utc),
            instance=self._instance,
            log_handler=log,
        )
        return schedule_messages.to_response(result)

    def _answer(
        self, request: location_pb2.EvaluateConditionsRequest, log: tick_log.TickLog
    ) -> location_pb2.EvaluateConditionsResponse:
        return condition_answers.answer(self._definitions, request, self._instance, log)

    def _decide_sensor(
        self, request: location_pb2.EvaluateSensorRequest, log: tick_log.TickLog
    ) -> location_pb2.EvaluateSensorResponse:
        due = tick_messages.due_from_message(request)
        result = ticks.evaluate_sensor(
            self._definitions,
            request.sensor_name,
            cursor=due.cursor,
            triggering_event=due.triggering_event,
            instance=self._instance,
            last_tick_completion_time=due.last_tick_completion_time,
            last_run_key=due.last_run_key,
            last_sensor_start_time=due.last_sensor_start_time,
            start_event_id=due.start_event_id,
            webhook_request=due.webhook_request,
            log_handler=log,
        )
        return tick_messages.to_response(result)
