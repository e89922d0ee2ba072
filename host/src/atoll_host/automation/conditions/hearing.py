"""How events of the log change what is known. Pure.

Called by `reading` with each piece of the log, in order. An event that is heard of twice changes
nothing; a run is known once its row was read, which `Heard.begun` asks for.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from atoll._conditions import entities
from atoll.events.v1 import events_pb2
from atoll_host.automation.conditions import asset_memory, knowledge

Entity = entities.Entity

_BEGINS = "run_enqueued"
_ENDS = ("run_succeeded", "run_failed", "run_canceled")


@dataclasses.dataclass(slots=True)
class Heard:
    """What events say, as far as it has to be acted on.

    Attributes:
        changed: The assets, checks and jobs of which something else is known than before.
        begun: The runs that were queued and have not ended, which have to be read.
        done: What these runs executed, with the partitions.
    """

    changed: set[Entity] = dataclasses.field(default_factory=set[Entity])
    begun: dict[str, None] = dataclasses.field(default_factory=dict[str, None])
    done: list[tuple[str, Entity, str]] = dataclasses.field(
        default_factory=list[tuple[str, Entity, str]]
    )


def hear(
    known: knowledge.Knowledge,
    stored: Sequence[events_pb2.StoredEvent],
    now: float,
    heard: Heard,
) -> None:
    """Take events into account, in the order of the log.

    Args:
        known: What is known.
        stored: The events.
        now: The time, in seconds since 1970.
        heard: Takes up what has to be acted on.
    """
    for each in stored:
        handler = _HANDLERS.get(each.event.WhichOneof("body") or "")
        if handler is not None:
            handler(known, each, known.moment(now), heard)


def _begins(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    if stored.event.run_id not in known.open:
        heard.begun[stored.event.run_id] = None


def _ends(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    heard.begun.pop(stored.event.run_id, None)
    heard.changed |= known.open.end(stored.event.run_id)


def _updated(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    event = stored.event
    recent = asset_memory.recent_of(stored.id, moment, event)
    body = event.asset_observation if recent.observed else event.asset_materialization
    entity = entities.asset(body.asset_key.path)
    node = known.surroundings.graph.node(entity)
    if recent.observed and node.materializable:
        return
    _did(known, event.run_id, entity, recent.partition, heard)
    heard.changed.add(entity)
    for check in known.surroundings.graph.checks(entity):
        # Whether a check is about the latest materialization is read anew.
        known.memories.pop(check, None)
        heard.changed.add(check)
    known.partition_runs.pop((entity, recent.partition), None)
    if recent.partition and not recent.observed:
        known.partition_runs[entity, recent.partition] = recent.run_id
    memory = known.memories.get(entity)
    if memory is None or stored.id <= memory.position:
        return
    memory.updated(recent)
    partitions_def = node.partitions_def
    memory.present = asset_memory.with_partition(memory.present, partitions_def, recent.partition)
    memory.failed = asset_memory.without_partition(memory.failed, partitions_def, recent.partition)


def _failed(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    entity = entities.asset(stored.event.asset_failed_to_materialize.asset_key.path)
    # What counts as failed hangs on positions that are not remembered.
    known.memories.pop(entity, None)
    heard.changed.add(entity)


def _checked(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    body = stored.event.asset_check_evaluation
    entity = entities.check(body.asset_key.path, body.check_name)
    _did(known, stored.event.run_id, entity, body.partition, heard)
    known.memories.pop(entity, None)
    heard.changed.add(entity)


def _dynamic(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    name = stored.event.dynamic_partitions_changed.partitions_def_name
    known.dynamic.forget(name)
    heard.changed.update(known.surroundings.by_dynamic.get(name, ()))


def _freshness(
    known: knowledge.Knowledge, stored: events_pb2.StoredEvent, moment: float, heard: Heard
) -> None:
    del moment
    change = stored.event.freshness_state_change
    entity = entities.asset(change.asset_key.path)
    known.set_freshness(entity, change.new_state)
    heard.changed.add(entity)


def _did(
    known: knowledge.Knowledge, run_id: str, entity: Entity, partition: str, heard: Heard
) -> None:
    if run_id in heard.begun:
        heard.done.append((run_id, entity, partition))
    else:
        known.open.did(run_id, entity, partition)


_Handler = Callable[[knowledge.Knowledge, events_pb2.StoredEvent, float, Heard], None]
_HANDLERS: Mapping[str, _Handler] = {
    _BEGINS: _begins,
    **dict.fromkeys(_ENDS, _ends),
    "asset_materialization": _updated,
    "asset_observation": _updated,
    "asset_failed_to_materialize": _failed,
    "asset_check_evaluation": _checked,
    "dynamic_partitions_changed": _dynamic,
    "freshness_state_change": _freshness,
}
KINDS = tuple(_HANDLERS)
"""The events that change what conditions may come to."""
