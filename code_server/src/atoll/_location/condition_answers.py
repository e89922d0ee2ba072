"""Answers the host's questions about conditions that users wrote.

Called by the evaluator, in the process that has their code. One that raises says so in its own
answer; the others of the same request are asked all the same.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Generator

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entity_subsets, views
from atoll._definitions import definitions as definitions_module
from atoll._execution import custom_conditions
from atoll._instance import instance as instance_module
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import contexts
from atoll._wire import failures
from atoll.location.v1 import location_pb2


def answer(
    definitions: definitions_module.Definitions,
    request: location_pb2.EvaluateConditionsRequest,
    instance: instance_module.Instance,
    log: logging.Handler,
) -> location_pb2.EvaluateConditionsResponse:
    """Ask conditions of users' own.

    Args:
        definitions: What the location defines.
        request: Which conditions, and what they are asked.
        instance: Answers their questions.
        log: Takes what they log.
    """
    now = request.evaluation_time.ToDatetime(dt.timezone.utc)
    context = contexts.PartitionLoadingContext(now, instance)
    response = location_pb2.EvaluateConditionsResponse()
    with _logging_to(log):
        for call in request.calls:
            try:
                said = _answer(definitions, call, context, instance)
            except BaseException as error:  # noqa: BLE001 - the boundary to user code, sys.exit included; it is recorded
                said = location_pb2.CustomConditionAnswer(failure=failures.of_user_code(error))
            response.answers.append(said)
    return response


def _answer(
    definitions: definitions_module.Definitions,
    call: location_pb2.CustomConditionCall,
    context: contexts.PartitionLoadingContext,
    instance: instance_module.Instance,
) -> location_pb2.CustomConditionAnswer:
    owner = entity_messages.from_message(call.owner)
    condition = custom_conditions.find(definitions, owner, call.ordinal, call.name)
    partitions_def = None
    if call.HasField("partitions"):
        partitions_def = partition_messages.from_message(call.partitions)
    entity = entity_messages.from_message(call.entity)
    candidates = entity_messages.value_from_message(call.candidates, partitions_def)
    before = call.evaluated_at.ToNanoseconds() / 1e9 if call.HasField("evaluated_at") else None
    asked = views.CustomCall(
        target=entity_messages.from_message(call.target),
        owner=owner,
        ordinal=call.ordinal,
        name=call.name,
        candidates=entity_subsets.EntitySubset(entity, candidates),
        cursor=call.cursor if call.HasField("cursor") else None,
        evaluated_at=before,
    )
    said = custom_conditions.answer(condition, asked, partitions_def, context, instance)
    return location_pb2.CustomConditionAnswer(
        value=entity_messages.value_to_message(said.value), cursor=said.cursor
    )


@contextlib.contextmanager
def _logging_to(handler: logging.Handler) -> Generator[None, None, None]:
    """Have what conditions log go to a handler."""
    custom_conditions.logger.addHandler(handler)
    level = custom_conditions.logger.level
    custom_conditions.logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        custom_conditions.logger.setLevel(level)
        custom_conditions.logger.removeHandler(handler)
