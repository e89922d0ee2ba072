"""Which runs have not ended, and what each of them is still to execute. Pure.

Part of `knowledge`: filled from the runs table and the log, asked by `viewing`. Memory is bounded
by the number of runs that have not ended. What a run of a job executes that names no assets is told
by the definitions of its location.
"""

import dataclasses
from collections.abc import Callable

from atoll._conditions import entities
from atoll_storage import condition_records

Entity = entities.Entity
Targets = Callable[[condition_records.OpenRun], frozenset[Entity]]


@dataclasses.dataclass(slots=True)
class Open:
    """A run that has not ended.

    Attributes:
        run: The run.
        targets: What it is to execute.
        done: What it has executed, with the partitions, empty for none.
    """

    run: condition_records.OpenRun
    targets: frozenset[Entity]
    done: set[tuple[Entity, str]] = dataclasses.field(default_factory=set[tuple[Entity, str]])

    @property
    def takes_range(self) -> bool:
        """Whether the run is for a range of partitions."""
        return bool(self.run.partition_range[0])

    def is_left(self, entity: Entity) -> bool:
        """Whether something is still to be executed, as far as that is one thing."""
        if self.takes_range:
            return True
        return not self.done or all(
            each != entity or partition not in {self.run.partition_key, ""}
            for each, partition in self.done
        )


class OpenRuns:
    """The runs that have not ended, by what they execute."""

    def __init__(self) -> None:
        self._open: dict[str, Open] = {}
        self._by_entity: dict[Entity, dict[str, None]] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._open

    def __len__(self) -> int:
        return len(self._open)

    @property
    def ids(self) -> list[str]:
        """The ids of the runs."""
        return list(self._open)

    def get(self, run_id: str) -> Open | None:
        """Return a run, None where it has ended or is unknown."""
        return self._open.get(run_id)

    def of(self, entity: Entity) -> list[Open]:
        """Return the runs that are to execute something."""
        return [self._open[run_id] for run_id in self._by_entity.get(entity, ())]

    def begin(self, run: condition_records.OpenRun, targets: Targets) -> frozenset[Entity]:
        """Take note of a run; return what it is to execute. Repeating it changes nothing."""
        known = self._open.get(run.run_id)
        if known is not None:
            return frozenset()
        made = Open(run, targets(run))
        self._open[run.run_id] = made
        for entity in made.targets:
            self._by_entity.setdefault(entity, {})[run.run_id] = None
        return made.targets

    def did(self, run_id: str, entity: Entity, partition: str) -> None:
        """Take note that a run has executed something."""
        known = self._open.get(run_id)
        if known is not None and entity in known.targets:
            known.done.add((entity, partition))

    def end(self, run_id: str) -> frozenset[Entity]:
        """Forget a run that has ended; return what it was to execute."""
        known = self._open.pop(run_id, None)
        if known is None:
            return frozenset()
        for entity in known.targets:
            runs = self._by_entity[entity]
            del runs[run_id]
            if not runs:
                del self._by_entity[entity]
        return known.targets

    def resolve(self, targets: Targets) -> None:
        """Look anew what each run is to execute, by other definitions than before."""
        before = list(self._open.values())
        self._open.clear()
        self._by_entity.clear()
        for each in before:
            self.begin(each.run, targets)
            self._open[each.run.run_id].done = {
                (entity, partition)
                for entity, partition in each.done
                if entity in self._open[each.run.run_id].targets
            }
