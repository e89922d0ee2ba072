"""Evaluates conditions that users wrote, in the process that has their code.

Called by `evaluate_automation_conditions`, and by the evaluator of a location when the host asks.
The host says which of a target's conditions it means by its place in the tree; the name that it
knows has to be that of the condition found there, or the code is another than the host has seen.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from typing import Any

from atoll import errors
from atoll._conditions import compiling, entities, entity_subsets, views
from atoll._definitions import (
    automation_conditions,
    automation_contexts,
    automation_sensors,
    condition_entities,
    definitions,
    keys,
)
from atoll._instance import instance as instances
from atoll._partitions import contexts
from atoll._partitions import definitions as partition_definitions

logger = logging.getLogger(__name__)


def find(
    defined: definitions.Definitions, owner: entities.Entity, ordinal: int, name: str
) -> automation_conditions.AutomationCondition[Any]:
    """Return a condition of a user's own.

    Args:
        defined: The definitions of the location.
        owner: Whose condition holds it.
        ordinal: Which of the custom conditions in the owner's tree it is, counted from 0.
        name: What it calls itself.

    Raises:
        InvariantViolationError: There is no such condition in this build of the location.
    """
    given = _condition_of(defined, owner)
    node = automation_conditions.data_of(given, str(owner))
    found = None
    if node is not None and ordinal >= 0:
        found = next(itertools.islice(compiling.customs(node), ordinal, None), None)
    if found is None or found.name != name or found.implementation is None:
        raise errors.InvariantViolationError(
            f"The condition {name!r} of {str(owner)!r} is not in this build of the location: its"
            " code has changed since the host read it. It is asked again with the new one."
        )
    implementation: automation_conditions.AutomationCondition[Any] = found.implementation
    return implementation


def answer(
    condition: automation_conditions.AutomationCondition[Any],
    call: views.CustomCall,
    partitions_def: partition_definitions.PartitionsDefinition | None,
    context: contexts.PartitionLoadingContext,
    instance: instances.Instance,
) -> views.CustomAnswer:
    """Ask a condition of a user's own.

    Args:
        condition: The condition.
        call: What it is asked.
        partitions_def: The partitions of what it is asked about; None for none.
        context: The time of the evaluation, and the dynamic partitions.
        instance: Answers the condition's questions.

    Raises:
        UserCodeExecutionError: It raised.
        InvariantViolationError: What it returned makes no sense.
    """
    before = call.evaluated_at
    asked = automation_contexts.AutomationContext(
        condition=condition,
        candidate_subset=automation_contexts.EntitySubset(call.candidates, partitions_def, context),
        cursor=call.cursor,
        evaluation_time=context.now,
        previous_evaluation_time=(
            None if before is None else dt.datetime.fromtimestamp(before, dt.timezone.utc)
        ),
        instance=instance,
        log=logger,
    )
    with contexts.partition_loading_context(new_ctx=context):
        try:
            # Whatever user code raises becomes one error that says whose it is.
            result: Any = condition.evaluate(asked)
        except errors.InvariantViolationError:
            raise
        except Exception as error:
            raise errors.UserCodeExecutionError(
                f"The condition {call.name!r}, asked about {str(call.candidates.entity)!r}, raised"
                f" {type(error).__name__}: {error}"
            ) from error
    if not isinstance(result, automation_contexts.AutomationResult):
        raise errors.InvariantViolationError(
            f"The condition {call.name!r} returned {result!r}. Return"
            " AutomationResult(context, true_subset=...)."
        )
    true: entity_subsets.Value = result.true_subset.value
    return views.CustomAnswer(true, result.cursor)


def _condition_of(defined: definitions.Definitions, owner: entities.Entity) -> Any:
    key = condition_entities.key_of(owner)
    graph = defined.graph
    given: Any = None
    if isinstance(key, keys.AssetKey):
        spec = graph.specs.get(key)
        given = None if spec is None else spec.automation_condition
    elif isinstance(key, keys.AssetCheckKey):
        check = graph.check_specs.get(key)
        given = None if check is None else check.automation_condition
    else:
        jobs = (job for job in defined.resolve_all_job_defs() if job.name == key.job_name)
        given = next((job.automation_condition for job in jobs), None)
    if given is not None:
        return given
    local = entities.job("", owner.name) if owner.kind == entities.JOB else owner
    for sensor in defined.sensors:
        if (
            isinstance(sensor, automation_sensors.AutomationConditionSensorDefinition)
            and sensor.default_condition is not None
            and local in sensor.targets(graph)
        ):
            return sensor.default_condition
    return None
