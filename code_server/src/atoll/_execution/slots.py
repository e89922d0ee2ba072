"""Slots of pools: which steps that are ready may begin.

Called by the executors. A step whose op names a pool begins only once the instance has given it a
slot, and the slot is free again when the event is stored that ends the step. A run in the user's
own process has nobody to ask, and ignores pools.
"""

import collections
from collections.abc import Iterable, Mapping
from typing import Protocol

from atoll._definitions import events
from atoll._execution import events as event_sinks
from atoll._execution import step_queue


class Source(Protocol):
    """Where slots come from. Asking never waits; the answers do."""

    def want(self, wanted: Mapping[str, str]) -> None:
        """Ask for slots for steps, and for no others any more: what others have is given back.

        A step whose slot was taken is asked for no longer, and keeps it.

        Args:
            wanted: The pool of each step, by the key of the step.
        """
        ...

    def fileno(self) -> int:
        """Return a descriptor that is readable when an answer may be there; -1 for none now."""
        ...

    def take(self, timeout_s: float) -> "Told":
        """Return what was answered since the last call.

        Args:
            timeout_s: How long to wait for an answer.
        """
        ...

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's."""
        ...


class Told:
    """What the instance answered.

    Args:
        granted: The steps that have a slot now.
        waiting: The limits that the others wait for, by step.
        problem: Why there was no answer, empty where there was one.
    """

    def __init__(
        self,
        granted: Iterable[str] = (),
        waiting: Mapping[str, int] | None = None,
        problem: str = "",
    ) -> None:
        self.granted = frozenset(granted)
        self.waiting = dict(waiting or {})
        self.problem = problem


class Gate:
    """Holds back the attempts at steps that need a slot, until they have it.

    Args:
        source: Where slots come from; None lets everything pass.
        emitter: Tells that a step waits.
    """

    def __init__(self, source: Source | None, emitter: event_sinks.Emitter) -> None:
        self._source = source
        self._emitter = emitter
        self._held: dict[str, step_queue.Attempt] = {}
        self._asked: set[str] = set()
        self._told: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for a slot."""
        return not self._held

    def holds(self, attempt: step_queue.Attempt) -> bool:
        """Take an attempt that needs a slot; return whether it was taken.

        Args:
            attempt: An attempt that is ready.
        """
        if self._source is None or not attempt.step.op.pool:
            return False
        self._held[attempt.step.key] = attempt
        return True

    def ask(self, room: int, only: step_queue.Attempt | None = None) -> None:
        """Ask for slots, of each pool for as many steps as could begin, the most urgent first.

        Args:
            room: How many steps could begin. Who waits already goes on waiting.
            only: The one to ask for; what was asked for before is withdrawn.
        """
        if self._source is None or not self._held:
            return
        held = list(self._held.values())
        if only is not None:
            held, self._asked = [only], set()
        counts = collections.Counter(
            one.step.op.pool for one in held if one.step.key in self._asked
        )
        for attempt in sorted(held, key=lambda one: -one.step.priority):
            if attempt.step.key not in self._asked and counts[attempt.step.op.pool] < room:
                counts[attempt.step.op.pool] += 1
                self._asked.add(attempt.step.key)
        self._source.want({key: self._held[key].step.op.pool or "" for key in sorted(self._asked)})

    def withdraw(self) -> None:
        """Ask for nothing any more; what was asked for and not taken is given back."""
        if self._source is not None and self._asked:
            self._asked.clear()
            self._source.want({})

    def fileno(self) -> int:
        """Return a descriptor that tells of answers; -1 where there is none now."""
        return -1 if self._source is None or not self._held else self._source.fileno()

    def take(self, timeout_s: float) -> list[step_queue.Attempt]:
        """Return the attempts that have their slot, and may begin now.

        Args:
            timeout_s: How long to wait for one.
        """
        if self._source is None or not self._held:
            return []
        told = self._source.take(timeout_s)
        for key in sorted(told.waiting.keys() & self._held.keys()):
            count = told.waiting[key]
            self._tell(key, "it is closed" if count == 0 else f"all of its {count} are taken")
        if told.problem:
            for key in sorted(self._held):
                self._tell(key, told.problem)
        passed = [self._held.pop(key) for key in sorted(told.granted & self._held.keys())]
        self._told -= told.granted
        self._asked -= told.granted
        return passed

    def _tell(self, step_key: str, why: str) -> None:
        """Tell once that a step waits."""
        if step_key in self._told:
            return
        self._told.add(step_key)
        pool = self._held[step_key].step.op.pool
        self._emitter.emit(
            events.EventType.ENGINE_EVENT,
            f"Step {step_key} waits for a slot of pool {pool!r}: {why}.",
            events.EngineEventData(),
            step_key=step_key,
        )
