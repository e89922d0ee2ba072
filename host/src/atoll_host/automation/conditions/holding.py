"""Keeps back what has to wait for something in another run. Pure.

Called by `deciding`. What is requested in one evaluation is executed in the order of dependencies:
where one run can hold both, by that run; where it cannot, because they are of two locations or have
other partitions, the one downstream is held until what it waits for was updated:

    requested --nothing upstream is requested in another run--> run
        |
        +--> held --all of it was updated--> run
               |
               +-- the run that was to do it ended without --> dropped

What is held counts as in progress. `eager` and `on_cron` seldom hold anything, since they request
what is downstream in another run only once what is upstream was updated.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, facts, graph, views
from atoll.api.v1 import conditions_pb2

Entity = entities.Entity
Subset = entity_subsets.EntitySubset
Requested = Mapping[Entity, Subset]


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """What has to be updated.

    Attributes:
        subset: What is still to be updated.
        after: Behind which position of the log.
    """

    subset: Subset
    after: int


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """A request that waits.

    Attributes:
        subset: What is requested.
        waits: What it waits for, by asset or check.
    """

    subset: Subset
    waits: Mapping[Entity, Wait]


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """What became of requests that were held.

    Attributes:
        released: What can be executed now.
        dropped: What is not going to be executed, as what it waited for was not updated.
        kept: What waits on.
    """

    released: Requested
    dropped: Requested
    kept: Mapping[Entity, Held]


def part(
    known: facts.Facts, requested: Requested, kept: Mapping[Entity, Held], position: int
) -> tuple[dict[Entity, Subset], dict[Entity, Held]]:
    """Part what is requested into what can be executed at once and what has to wait.

    Args:
        known: Partitions.
        requested: What is requested.
        kept: What was held before and waits on.
        position: The position of the log that the evaluation saw.
    """
    at_once: dict[Entity, Subset] = {}
    held = dict(kept)
    for entity in sorted(requested, key=known.graph.rank):
        subset = requested[entity]
        waits = _waits(known, subset, requested, held, position)
        if not waits:
            at_once[entity] = subset
            continue
        before = held.get(entity)
        if before is not None:
            subset = subset | before.subset
            waits = {**before.waits, **waits}
        held[entity] = Held(subset, waits)
    _hold_together(known, at_once, held)
    return at_once, held


def settle(
    known: facts.Facts, view: views.View, held: Mapping[Entity, Held], among: Sequence[Entity]
) -> Settled:
    """Look whether what is held can be executed now.

    Args:
        known: Partitions.
        view: What is known.
        held: What is held.
        among: Which of it to look at.
    """
    released: dict[Entity, Subset] = {}
    dropped: dict[Entity, Subset] = {}
    kept = dict(held)
    for entity in sorted(among, key=known.graph.rank):
        each = held[entity]
        waits = {
            other: left
            for other, wait in each.waits.items()
            if (left := _left(known, view, wait)).subset
        }
        if not waits:
            released[entity] = each.subset
            del kept[entity]
        elif any(_is_over(known, view, wait, kept) for wait in waits.values()):
            dropped[entity] = each.subset
            del kept[entity]
        else:
            kept[entity] = dataclasses.replace(each, waits=waits)
    return Settled(released, dropped, kept)


def _waits(
    known: facts.Facts,
    subset: Subset,
    requested: Requested,
    held: Mapping[Entity, Held],
    position: int,
) -> dict[Entity, Wait]:
    """Return what a request has to wait for."""
    entity = subset.entity
    waits: dict[Entity, Wait] = {}
    for upstream in sorted(known.graph.node(entity).upstream):
        wanted = requested.get(upstream)
        before = held.get(upstream)
        if upstream == entity or (wanted is None and before is None):
            continue
        needed = known.mapped(subset, upstream)
        if before is not None and before.subset & needed:
            if known.executable_together(entity, upstream):
                waits.update(before.waits)
            else:
                waits[upstream] = Wait(before.subset & needed, position)
        elif (
            wanted is not None
            and wanted & needed
            and not known.executable_together(entity, upstream)
        ):
            waits[upstream] = Wait(wanted & needed, position)
    return waits


def _hold_together(
    known: facts.Facts, at_once: dict[Entity, Subset], held: dict[Entity, Held]
) -> None:
    """Hold all of a unit where some of it is held: it is executed together."""
    for entity in tuple(held):
        for other in known.graph.node(entity).unit:
            subset = at_once.pop(other, None)
            if subset is not None:
                held[other] = Held(subset, held[entity].waits)


def _left(known: facts.Facts, view: views.View, wait: Wait) -> Wait:
    entity = wait.subset.entity
    left = wait.subset
    for update in view.updates(entity, wait.after):
        left = left - known.current(entity, update.value)
    return dataclasses.replace(wait, subset=left)


def _is_over(known: facts.Facts, view: views.View, wait: Wait, held: Mapping[Entity, Held]) -> bool:
    """Say whether nothing is going to update what is waited for."""
    entity = wait.subset.entity
    left = wait.subset - known.current(entity, view.run_in_progress(entity))
    left = left - known.current(entity, view.backfill_in_progress(entity))
    before = held.get(entity)
    if before is not None:
        left = left - before.subset
    return bool(left)


def to_message(held: Held) -> conditions_pb2.HeldRequest:
    """Return a request that waits as a message."""
    return conditions_pb2.HeldRequest(
        value=entity_messages.value_to_message(held.subset.value),
        waits=[
            conditions_pb2.HeldRequest.Wait(
                entity=entity_messages.to_message(entity),
                value=entity_messages.value_to_message(wait.subset.value),
                after_event_id=wait.after,
            )
            for entity, wait in sorted(held.waits.items())
        ],
    )


def from_message(message: conditions_pb2.HeldRequest, target: Entity, known: graph.Graph) -> Held:
    """Return the request that a message holds, as far as its partitions are still there."""
    waits: dict[Entity, Wait] = {}
    for each in message.waits:
        entity = entity_messages.from_message(each.entity)
        value = entity_messages.value_from_message(each.value, known.node(entity).partitions_def)
        waits[entity] = Wait(Subset(entity, value), each.after_event_id)
    value = entity_messages.value_from_message(message.value, known.node(target).partitions_def)
    return Held(Subset(target, value), waits)
