"""The freshness term of the leader among hosts: feeds the agenda and stores what it finds.

Made by `dispatching` when leadership was won, and thrown away when it is lost. Three followers feed
the agenda:

    log         Changes.tail -> materializations of assets with a policy -> Agenda.materialized
    locations   Registry     -> the policies of all locations            -> Agenda.set_policies
    timer       the clock    -> what the agenda says changes next

A change is stored with its event against what it was decided on. What could not be stored was
overtaken, by a materialization or by another host, and is looked at again.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import signals
from atoll_host.automation import terms
from atoll_host.automation.freshness import agenda, policies
from atoll_host.locations import graph as graphs
from atoll_host.locations import registry as registries
from atoll_storage import database
from atoll_storage import errors as storage_errors

LOG_PAGE = 5000
LOG_PAUSE_S = 0.1
"""Between two looks at the log, so that a burst of materializations costs few queries."""
BACKSTOP_S = 60.0
CHANGES_MAX = 500
"""So many changes are stored in one transaction, which all appends wait for."""


class Locations(Protocol):
    """What the term asks of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def graph(self) -> graphs.AssetGraph:
        """Return the asset graph of all locations."""
        ...

    def subscribe(self) -> signals.Poke:
        """Return a poke that is set when anything changed."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: Locations
    changes: host_changes.Changes
    clock: clocks.Clock


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._clock = surroundings.clock
        self._agenda = agenda.Agenda()
        self._graph: graphs.AssetGraph | None = None
        self._due = signals.Poke()
        # Subscribed before the first look, so that nothing falls between.
        self._tail = surroundings.changes.tail()
        self._views = self._locations.subscribe()
        self._position = 0

    async def run(self) -> None:
        """Read everything anew, then follow and decide."""
        self._position = await terms.persist(self._store.events.head, self._clock)
        stored = await terms.persist(self._store.freshness.all_states, self._clock)
        self._agenda.set_stored(stored)
        await terms.persist(self._take_policies, self._clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_log())
            group.create_task(self._follow_locations())
            group.create_task(self._follow_clock())

    async def _follow_log(self) -> None:
        while True:
            await self._tail.wait(BACKSTOP_S)
            found, self._position, more = self._tail.take(self._position)
            paths = {path for _, path in found}
            if more:
                paths |= await terms.persist(self._read_log, self._clock)
            await self._look_up(paths & self._agenda.watched())
            await self._clock.sleep(LOG_PAUSE_S)

    async def _read_log(self) -> set[agenda.Path]:
        paths: set[agenda.Path] = set()
        while True:
            try:
                found, self._position = await self._store.events.materializations_after(
                    self._position, limit=LOG_PAGE
                )
            except storage_errors.Compacted as error:
                # So far behind that the log was pruned in between: the projection knows the newest.
                self._position = error.oldest_id - 1
                paths |= self._agenda.watched()
                continue
            paths |= {path for _, path in found}
            if len(found) < LOG_PAGE:
                return paths

    async def _follow_locations(self) -> None:
        while True:
            await self._views.wait(BACKSTOP_S)
            await terms.persist(self._take_policies, self._clock)

    async def _take_policies(self) -> None:
        graph = self._locations.graph()
        if graph is self._graph:
            return
        # Off the loop: a large mesh takes a while to go through, and a graph never changes.
        found = await asyncio.to_thread(policies.read, graph)
        # A build whose definitions are not here yet may have policies: none is taken for gone.
        complete = all(
            view.definitions is not None or (view.build is None and view.server.build is None)
            for view in self._locations.locations().values()
        )
        new = self._agenda.set_policies(found, complete=complete)
        await self._look_up(new)
        self._graph = graph if complete else None
        self._due.set()

    async def _look_up(self, paths: Collection[agenda.Path]) -> None:
        """Tell the agenda of the newest materialization of assets."""
        if not paths:
            return
        wanted = sorted(paths)
        latest = await terms.persist(
            lambda: self._store.events.latest_materializations(wanted), self._clock
        )
        for each in latest:
            path = tuple(each.event.asset_materialization.asset_key.path)
            self._agenda.materialized(path, each.id, time_of(each))
        self._due.set()

    async def _follow_clock(self) -> None:
        while True:
            if not await terms.persist(self._store_changes, self._clock):
                await self._due.wait(self._wait_s())

    def _wait_s(self) -> float:
        if self._agenda.has_open:
            return 0.0
        wake_at = self._agenda.next_change_at()
        if wake_at is None:
            return BACKSTOP_S
        return min(BACKSTOP_S, max(0.0, (wake_at - self._clock.now()).total_seconds()))

    async def _store_changes(self) -> bool:
        """Store some of what changed; say whether anything had."""
        changes = self._agenda.changes(self._clock.now(), limit=CHANGES_MAX)
        if not changes:
            return False
        paths = [change.path for change in changes]
        try:
            stored = await self._store.freshness.commit(changes)
        except BaseException:
            self._agenda.again(paths)
            raise
        self._agenda.set_stored(stored)
        overtaken = set(paths) - {record.path for record in stored}
        if overtaken:
            await self._read_again(overtaken)
        return True

    async def _read_again(self, paths: Iterable[agenda.Path]) -> None:
        wanted = sorted(paths)
        self._agenda.again(wanted)
        self._agenda.set_stored(await self._store.freshness.states(wanted))
        await self._look_up(wanted)


def time_of(materialization: events_pb2.StoredEvent) -> dt.datetime:
    """Return when a materialization was made: by its producer's clock, where that is known."""
    event = materialization.event
    stamp = event.timestamp if event.HasField("timestamp") else materialization.stored_time
    return stamp.ToDatetime(tzinfo=dt.UTC)
