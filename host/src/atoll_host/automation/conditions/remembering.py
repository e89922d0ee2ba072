"""Reads what earlier evaluations left of targets.

Called by `leading`, for targets that are new to it or that another leader may have moved on.
"""

import dataclasses
from collections.abc import Iterable

from atoll._condition_messages import states as state_messages
from atoll._conditions import entities, graph
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll_host.automation.conditions import deciding, holding
from atoll_storage import condition_records, condition_store

Entity = entities.Entity


async def read(
    store: condition_store.ConditionStore, known: graph.Graph, wanted: Iterable[Entity]
) -> dict[Entity, deciding.Target]:
    """Return what is remembered of targets, with nothing for those that are new.

    Args:
        store: Where it is kept.
        known: The graph, for partitions.
        wanted: The targets.
    """
    by_key = {deciding.target_key(entity): entity for entity in wanted}
    rows = await store.states(list(by_key))
    found = {by_key[row.target_key]: target_of(row, by_key[row.target_key], known) for row in rows}
    return {entity: found.get(entity, deciding.NEW) for entity in by_key.values()}


def target_of(
    row: condition_records.ConditionState, entity: Entity, known: graph.Graph
) -> deciding.Target:
    """Return what a row remembers of a target.

    Args:
        row: The row.
        entity: The target.
        known: The graph, for partitions.
    """
    state = None
    if row.state:
        message = definition_pb2.ConditionState.FromString(row.state)
        # The row alone moves on where nothing but the time and the position did.
        state = dataclasses.replace(
            state_messages.from_message(message, entity, known),
            position=row.position,
            evaluated_at=row.evaluation_time.timestamp(),
        )
    held = None
    if row.held is not None:
        held = holding.from_message(conditions_pb2.HeldRequest.FromString(row.held), entity, known)
    return deciding.Target(row.version, state, held, row.failures)
