"""Writes what is remembered of targets, once for all that remember the same. Pure.

Called by `deciding`. The names of targets are left out of what is stored of them, so that ten
thousand targets without partitions, one condition and the same past have the same content.
"""

from collections.abc import Hashable

from atoll._condition_messages import states as state_messages
from atoll._conditions import entities, states


class Writer:
    """Writes the states that one evaluation leaves."""

    def __init__(self) -> None:
        self._written: dict[Hashable, bytes] = {}

    def encoded(self, state: states.TargetState, target: entities.Entity) -> bytes:
        """Return what is to be stored of a target.

        Args:
            state: What is remembered of it.
            target: The target.
        """
        content = _content(state, target)
        if content is None:
            return _encoded(state, target)
        found = self._written.get(content)
        if found is None:
            found = self._written[content] = _encoded(state, target)
        return found


def _encoded(state: states.TargetState, target: entities.Entity) -> bytes:
    return state_messages.to_message(state, target).SerializeToString()


def _content(state: states.TargetState, target: entities.Entity) -> Hashable:
    """Return what makes what is stored; None where comparing it would take longer than writing."""
    if not isinstance(state.requested, bool):
        return None
    nodes: list[tuple[str, states.NodeState]] = []
    for (identity, entity), node in state.nodes.items():
        if entity != target or not (node.value is None or isinstance(node.value, bool)):
            return None
        nodes.append((identity, node))
    return (
        state.evaluation_id,
        state.evaluated_at,
        state.position,
        state.partitions,
        state.requested,
        state.settling,
        tuple(nodes),
    )
