"""Which assets change their freshness next: one heap over all policies, and what is stored already.

Called by `leading`, which feeds it and stores what it finds. Pure: no I/O, no clock. An asset has
one entry in the heap, the next moment at which its state changes by itself; everything else that
can change it is told: policies, materializations, and what was stored.
"""

import dataclasses
import datetime as dt
import heapq
from collections.abc import Iterable, Mapping

from atoll_host.automation.freshness import deciding
from atoll_storage import freshness_records

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Materialization:
    """The newest materialization of an asset: its event, and when it was made."""

    event_id: int
    time: dt.datetime


class Agenda:
    """The freshness of all assets that have a policy, or had one."""

    def __init__(self) -> None:
        self._policies: dict[Path, deciding.Policy] = {}
        self._newest: dict[Path, Materialization] = {}
        self._stored: dict[Path, freshness_records.FreshnessRecord] = {}
        self._open: set[Path] = set()
        self._wakes: dict[Path, dt.datetime] = {}
        self._heap: list[tuple[dt.datetime, Path]] = []
        self._orphans_count = False

    def watched(self) -> frozenset[Path]:
        """Return the assets that have a policy."""
        return frozenset(self._policies)

    def set_policies(
        self, policies: Mapping[Path, deciding.Policy], *, complete: bool = True
    ) -> frozenset[Path]:
        """Take the policies of all assets; return the assets whose newest materialization to ask.

        Those are the ones that have a policy now and had none.

        Args:
            policies: The policies.
            complete: Whether there can be no others: then an asset without one has none any more.
        """
        before = self._policies
        if not complete:
            policies = {**before, **policies}
        self._policies = dict(policies)
        self._open |= {
            path
            for path in before.keys() | policies.keys()
            if before.get(path) != policies.get(path)
        }
        # A state that is stored for an asset without a policy is out of date.
        self._orphans_count = complete
        if complete:
            self._open |= self._stored.keys() - policies.keys()
        for path in before.keys() - policies.keys():
            self._newest.pop(path, None)
        return frozenset(policies.keys() - before.keys())

    def set_stored(self, states: Iterable[freshness_records.FreshnessRecord]) -> None:
        """Take what is stored of assets; older news than what is known changes nothing."""
        for state in states:
            known = self._stored.get(state.path)
            if known is None or state.version > known.version:
                self._stored[state.path] = state
                self._open.add(state.path)

    def materialized(self, path: Path, event_id: int, time: dt.datetime) -> None:
        """Take a materialization; an older one than what is known changes nothing."""
        if path not in self._policies:
            return
        known = self._newest.get(path)
        if known is None or event_id > known.event_id:
            self._newest[path] = Materialization(event_id, time)
            self._open.add(path)

    def again(self, paths: Iterable[Path]) -> None:
        """Look at assets again: what was decided of them could not be stored."""
        self._open.update(paths)

    def changes(self, now: dt.datetime, *, limit: int) -> list[freshness_records.FreshnessChange]:
        """Return the states that are others than what is stored, some of them where there are many.

        Whoever takes a change stores it, or says so by `again`.
        """
        while self._heap and self._heap[0][0] <= now:
            moment, path = heapq.heappop(self._heap)
            if self._wakes.get(path) == moment:
                del self._wakes[path]
                self._open.add(path)
        found: list[freshness_records.FreshnessChange] = []
        for path in sorted(self._open):
            if len(found) >= limit:
                break
            self._open.discard(path)
            change = self._change(path, now)
            if change is not None:
                found.append(change)
        return found

    def next_change_at(self) -> dt.datetime | None:
        """Return when to look next, None where nothing changes by itself."""
        while self._heap and self._wakes.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    @property
    def has_open(self) -> bool:
        """Whether there are assets to look at right now."""
        return bool(self._open)

    def _change(self, path: Path, now: dt.datetime) -> freshness_records.FreshnessChange | None:
        newest = self._newest.get(path)
        verdict = deciding.decide(
            self._policies.get(path), None if newest is None else newest.time, now
        )
        self._wake(path, verdict.changes_at)
        stored = self._stored.get(path)
        if verdict.state == deciding.NOT_APPLICABLE and (stored is None or not self._orphans_count):
            return None
        if stored is not None and stored.state == verdict.state:
            return None
        return freshness_records.FreshnessChange(
            path=path,
            state=verdict.state,
            previous_state=deciding.UNKNOWN if stored is None else stored.state,
            expected_version=0 if stored is None else stored.version,
            materialization_id=self._decided_on(path),
            materialization_time=None if newest is None else newest.time,
        )

    def _decided_on(self, path: Path) -> int | None:
        if path not in self._policies:
            return None
        newest = self._newest.get(path)
        return 0 if newest is None else newest.event_id

    def _wake(self, path: Path, moment: dt.datetime | None) -> None:
        if self._wakes.get(path) == moment:
            return
        if moment is None:
            self._wakes.pop(path, None)
            return
        self._wakes[path] = moment
        heapq.heappush(self._heap, (moment, path))
        if len(self._heap) > 2 * len(self._wakes) + 64:
            # Each materialization leaves an entry that is no longer meant: memory stays bounded.
            self._heap = [(at, each) for each, at in self._wakes.items()]
            heapq.heapify(self._heap)
