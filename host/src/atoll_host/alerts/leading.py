"""The term of alerts of the leader among hosts: looks at what happens, decides, and delivers.

Made by `automation.dispatching` when leadership was won, and thrown away when it is lost.

    log        events after the own position, of kinds that rules look for --+
    looking    locations that are away, ticks that fail in a row ------------+-> deciding -> stored
    delivering what is stored and due -> sending

The position in the log is stored with what was decided, so that nothing is told twice or missed,
whichever host leads. Without rules there is no position, and nothing is kept for it.
"""

import asyncio
import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import signals
from atoll_host.alerts import deciding, delivering, occurring, rules
from atoll_host.automation import terms
from atoll_host.automation.freshness import policies
from atoll_host.locations import graph as graphs
from atoll_host.locations import registry as registries
from atoll_storage import alert_records, database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

FOLLOWER = "log"
PAGE = 500
LOG_PAUSE_S = 0.1
LOG_BACKSTOP_S = 15.0
LOOK_EVERY_S = 15.0
"""How often locations and ticks are looked at; they change slowly enough."""
LOOK_BACK = dt.timedelta(minutes=10)
SUBSCRIPTIONS_MAX = 1000
MOVE_AFTER_IDS = 1000
"""When nothing is to be decided, the stored position follows in such steps."""

_STATES = frozenset(set(rules.Trigger) - occurring.KINDS.keys())


class Locations(Protocol):
    """What the term asks of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def graph(self) -> graphs.AssetGraph:
        """Return the asset graph of all locations."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: Locations
    changes: host_changes.Changes
    clock: clocks.Clock
    settings: rules.AlertSettings


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(self, surroundings: Surroundings, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._clock = surroundings.clock
        self._rules = surroundings.settings.rules
        self._look_every_s = look_every_s
        wanted = {rule.on for rule in self._rules}
        self._kinds = tuple(occurring.KINDS[each] for each in occurring.KINDS if each in wanted)
        self._looks = bool(wanted & _STATES)
        self._deliverer = delivering.Deliverer(
            surroundings.store.alerts, surroundings.clock, surroundings.settings
        )
        self._poke = surroundings.changes.events.subscribe(signals.Poke())
        self._deciding = asyncio.Lock()
        self._watched_since = surroundings.clock.now()
        self._seen = self._stored = self._version = 0

    async def run(self) -> None:
        """Read the position, then follow, look and deliver."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliverer.run())
            if not self._rules:
                await terms.persist(lambda: self._store.alerts.unfollow(FOLLOWER), self._clock)
                return
            await terms.persist(self._read_position, self._clock)
            if self._kinds:
                group.create_task(self._follow_log())
            if self._looks:
                group.create_task(self._look_around())

    async def _read_position(self) -> None:
        self._stored, self._version = await self._store.alerts.follow(FOLLOWER)
        self._seen = self._stored

    # The log.

    async def _follow_log(self) -> None:
        while True:
            if not await terms.persist(self._take_page, self._clock):
                await self._poke.wait(LOG_BACKSTOP_S)
                await self._clock.sleep(LOG_PAUSE_S)

    async def _take_page(self) -> bool:
        """Decide about the next events; say whether there may be more."""
        async with self._deciding:
            try:
                found, seen = await self._read()
            except storage_errors.Compacted as error:
                _log.error(
                    "events were removed before alerts looked at them",
                    extra={"action": "alerts_missed_events", "after_id": error.after_id},
                )
                self._seen = error.oldest_id - 1
                return True
            return not await self._commit(await self._occurrences(found), seen) or bool(found)

    async def _read(self) -> tuple[list[events_pb2.StoredEvent], int]:
        query = records.EventQuery(kinds=self._kinds)
        return await self._store.events.follow(self._seen, limit=PAGE, query=query)

    async def _occurrences(
        self, found: Sequence[events_pb2.StoredEvent]
    ) -> list[occurring.Occurrence]:
        run_ids = tuple({each.event.run_id for each in found if each.event.HasField("run_failed")})
        runs: dict[str, records.RunRecord] = {}
        if run_ids:
            listed = await self._store.runs.list(
                records.RunQuery(run_ids=run_ids), limit=len(run_ids)
            )
            runs = {run.run_id: run for run in listed}
        told = (self._occurrence(each, runs) for each in found)
        return [each for each in told if each is not None]

    def _occurrence(
        self, stored: events_pb2.StoredEvent, runs: Mapping[str, records.RunRecord]
    ) -> occurring.Occurrence | None:
        event = stored.event
        match event.WhichOneof("body"):
            case "run_failed":
                return occurring.of_run(stored, runs.get(event.run_id))
            case "asset_check_evaluation":
                path = tuple(event.asset_check_evaluation.asset_key.path)
                return occurring.of_check(stored, self._asset(path))
            case "freshness_state_change":
                path = tuple(event.freshness_state_change.asset_key.path)
                given = policies.given(self._locations.graph(), path)
                return occurring.of_freshness(
                    stored, self._asset(path), "" if given is None else given[0]
                )
            case "backfill_ended":
                return occurring.of_backfill(stored)
            case _:
                return None

    def _asset(self, path: tuple[str, ...]) -> snapshot_pb2.AssetDefinition | None:
        node = self._locations.graph().node(path)
        return None if node is None else node.definition

    # States.

    async def _look_around(self) -> None:
        self._watched_since = self._clock.now()
        while True:
            await terms.persist(self._look, self._clock)
            await self._clock.sleep(self._look_every_s)

    async def _look(self) -> None:
        now = self._clock.now()
        views = self._locations.locations()
        since = self._watched_since
        away = (occurring.of_location(view, now, since) for view in views.values())
        occurrences = [each for each in away if each is not None]
        longest = max((rule.in_a_row for rule in self._rules), default=1)
        failing = await self._store.alerts.failing(now - LOOK_BACK, limit=longest)
        occurrences += map(occurring.of_ticks, failing)
        if any(rule.on is rules.Trigger.SUBSCRIPTION_PAUSED for rule in self._rules):
            given_up = await self._store.subscriptions.given_up(limit=SUBSCRIPTIONS_MAX)
            occurrences += map(occurring.of_subscription, given_up)
        async with self._deciding:
            # Where nobody follows the log, all of it counts as seen, so that none is kept for us.
            seen = self._seen if self._kinds else await self._store.events.head()
            await self._commit(occurrences, seen)

    async def _commit(self, occurrences: Sequence[occurring.Occurrence], seen: int) -> bool:
        """Decide and store; say whether this host was the one to decide."""
        keys = deciding.keys_of(occurrences, self._rules)
        memories = await self._store.alerts.memories(keys)
        decided = deciding.decide(occurrences, self._rules, memories)
        if not decided.memories and seen < self._stored + MOVE_AFTER_IDS:
            # Whoever looked again would decide the same: nothing needs to be stored.
            self._seen = seen
            return True
        stored = await self._store.alerts.commit(
            alert_records.AlertCommit(
                follower=FOLLOWER,
                expected_version=self._version,
                position=seen,
                memories=decided.memories,
                alerts=decided.alerts,
            )
        )
        if not stored:
            # Another host decided in between.
            await self._read_position()
            return False
        self._seen = self._stored = seen
        self._version += 1
        if decided.alerts:
            self._deliverer.wake()
        return True
