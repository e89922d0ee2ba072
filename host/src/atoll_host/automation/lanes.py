"""Lanes: what is due in one location waits in a queue of its own for one of its own workers.

Called by the agendas of automation. Since every location has a lane, one that hangs delays no
other. Pure: who is due, and why, stays out.
"""

import dataclasses
from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclasses.dataclass(slots=True)
class Lane(Generic[Name]):
    """The queue and the workers of one location.

    Attributes:
        available: Whether the location can be asked.
        ready: What is due, in the order of becoming due; each at most once, so it is bounded.
        in_flight: The tokens of what is under way.
    """

    available: bool = False
    ready: dict[Name, None] = dataclasses.field(default_factory=dict[Name, None])
    in_flight: set[int] = dataclasses.field(default_factory=set[int])

    def put(self, name: Name) -> None:
        """Put something at the end of the queue, unless it is in it."""
        self.ready.setdefault(name)

    def drop(self, name: Name) -> None:
        """Take something out of the queue, wherever it is."""
        self.ready.pop(name, None)

    def pop(self, workers_max: int) -> Name | None:
        """Take what is first, if the location is there and has a free worker."""
        if not (self.available and self.ready and len(self.in_flight) < workers_max):
            return None
        name = next(iter(self.ready))
        del self.ready[name]
        return name
