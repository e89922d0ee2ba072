"""One sweep: finds out what may go and takes it, in small transactions with rests between.

Called by `leading` and by the API. A sweep that is interrupted has taken less and nothing else; one
that repeats takes what became old in between.
"""

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

from atoll.api.v1 import automation_pb2, retention_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import clock as clocks
from atoll_host.locations import registry as registries
from atoll_host.retention import ages, planning
from atoll_storage import database, log_groups, records, retention_records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

REST_S = 0.02
"""Between two transactions, so that a sweep takes a small share of the database."""
BATCH_ROWS = 500
STEPS_MAX = 2000
"""So many transactions make a sweep; what is left is for the next."""

_TICKS = {
    "ticks_success": automation_pb2.TICK_STATUS_SUCCESS,
    "ticks_skipped": automation_pb2.TICK_STATUS_SKIPPED,
    "ticks_failure": automation_pb2.TICK_STATUS_FAILURE,
}
_IN_BATCHES = {
    "requests": "requests",
    "backfills": "backfills",
    "alerts": "alerts",
    "alert_subjects": "alerts",
    "audit": "audit",
    "tokens": "tokens",
    "deliveries": "deliveries",
}
"""The setting that each of these tables follows."""


class Locations(Protocol):
    """What a sweep asks of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...


class Sweeper:
    """Sweeps; one sweep at a time."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        clock: clocks.Clock,
        settings: ages.RetentionSettings,
    ) -> None:
        self._store = store
        self._locations = locations
        self._clock = clock
        self._settings = settings
        self._one = asyncio.Lock()

    async def sweep(self, *, dry_run: bool = False) -> retention_pb2.RetentionSweep:
        """Take what may go, or count it.

        Raises:
            atoll_storage.errors.StorageError: Storage is away; what was taken before is gone.
        """
        async with self._one:
            began = self._clock.now()
            work = _Sweep(self._store, self._locations, self._clock, self._settings, dry_run)
            await work.run()
            counts = [
                retention_pb2.RetentionCount(subject=subject, count=count)
                for subject, count in sorted(work.counts.items())
                if count
            ]
            sweep = retention_pb2.RetentionSweep(
                counts=counts, dry_run=dry_run, has_more=work.steps_left <= 0
            )
            sweep.start_time.FromDatetime(began)
            sweep.end_time.FromDatetime(self._clock.now())
            if counts and not dry_run:
                await self._store.retention.add_sweep(sweep)
                _log.info(
                    "retention took what was old",
                    extra={"action": "retention_swept", "counts": dict(work.counts)},
                )
            return sweep


class _Sweep:
    """The state of one sweep."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        clock: clocks.Clock,
        settings: ages.RetentionSettings,
        dry_run: bool,  # noqa: FBT001 - the one caller passes all by position
    ) -> None:
        self._store = store
        self._retention = store.retention
        self._locations = locations
        self._clock = clock
        self._settings = settings
        self._dry_run = dry_run
        self._now = clock.now()
        self.counts: Counter[str] = Counter()
        self.steps_left = STEPS_MAX

    async def run(self) -> None:
        """Do all of it."""
        facts = await self._retention.log_facts()
        # Ages are told by the clock that gave the times that are stored.
        self._now = facts.now
        await self._sweep_log(facts)
        await self._sweep_runs()
        for subject, status in _TICKS.items():
            before = self._before(subject)
            if before is not None:
                await self._in_batches(subject, self._ticks(status, before))
        for table, subject in _IN_BATCHES.items():
            before = self._before(subject)
            if before is not None:
                await self._in_batches(subject, self._old(table, before))
        await self._sweep_locations()

    # The log.

    async def _sweep_log(self, facts: retention_records.LogFacts) -> None:
        plan = planning.plan(await self._facts(facts))
        await self._drop(plan.drop_before_id, facts)
        for group, after_id, through_id in plan.windows():
            if not await self._step():
                return
            self.counts[group] += await self._retention.thin(
                group, after_id, through_id, dry_run=self._dry_run
            )
        if not self._dry_run:
            await self._drop_empty()

    async def _facts(self, facts: retention_records.LogFacts) -> planning.Facts:
        old: dict[str, int] = {}
        for group, keep in self._settings.ages_of_events().items():
            if keep is not None:
                moment = self._now - keep
                old[group] = await self._retention.last_id_before(moment, facts.head)
        all_groups = all(old.get(group) for group in log_groups.NAMES)
        return planning.Facts(
            head=facts.head,
            first_id=facts.first_id,
            partition_size=facts.partition_size,
            thinned=facts.thinned,
            old=old,
            first_needed=await self._first_needed(facts),
            # Asked for only where whole partitions may go: it takes a look at many rows.
            first_pinned=await self._retention.first_pinned() if all_groups else None,
        )

    async def _first_needed(self, facts: retention_records.LogFacts) -> dict[str, int]:
        """Return the first event of each group that a follower has not seen yet."""
        needed: dict[str, int] = {}
        if facts.followed_through is not None:
            needed = dict.fromkeys(log_groups.NAMES, facts.followed_through + 1)
        waiting: list[tuple[records.AssetPath, int]] = []
        for definition, position in self._running(await self._store.sensors.states()):
            waiting += [(tuple(key.path), position) for key in definition.monitored_assets]
            if definition.kind in _BY_POSITION:
                group = log_groups.RUN_EVENTS
                needed[group] = min(needed.get(group, position + 1), position + 1)
        unconsumed = await self._retention.first_unconsumed(waiting)
        if unconsumed is not None:
            group = log_groups.ASSET_EVENTS
            needed[group] = min(needed.get(group, unconsumed), unconsumed)
        return needed

    def _running(
        self, states: Sequence[records.SensorState]
    ) -> Iterator[tuple[snapshot_pb2.SensorDefinition, int]]:
        """Yield the definition and the position of each sensor that is running."""
        views = self._locations.locations()
        for state in states:
            view = views.get(state.key.location_name)
            definition = None if view is None else view.sensor(state.key.sensor_name)
            if definition is not None and _runs(definition, state):
                yield definition, state.position

    async def _drop(self, before_id: int, facts: retention_records.LogFacts) -> None:
        count = max(0, before_id - facts.first_id) // facts.partition_size
        if count and not self._dry_run:
            count = await self._prune(before_id)
        self.counts["partitions"] += count

    async def _drop_empty(self) -> None:
        """Drop the oldest partitions of which nothing is left."""
        while await self._step():
            facts = await self._retention.log_facts()
            end = facts.first_id + facts.partition_size
            groups = self._settings.ages_of_events()
            taken = min(
                facts.thinned[group] if keep is not None else facts.head
                for group, keep in groups.items()
            )
            if end > facts.head or end - 1 > taken:
                return
            if not await self._retention.is_empty_through(end - 1):
                return
            if not await self._prune(end):
                return
            self.counts["partitions"] += 1

    async def _prune(self, before_id: int) -> int:
        try:
            return await self._store.events.prune(before_id)
        except storage_errors.StorageUnavailable as error:
            # A long reader holds it; the next sweep tries again.
            _log.warning(
                "a partition of the log could not be dropped now",
                extra={"action": "retention_drop_postponed", "cause": str(error)},
            )
            return 0

    # Runs.

    async def _sweep_runs(self) -> None:
        output_before, runs_before = self._before("output"), self._before("runs")
        moments = [moment for moment in (output_before, runs_before) if moment is not None]
        if not moments:
            return
        needed = await self._retention.needed_runs()
        after: tuple[dt.datetime, str] | None = None
        while await self._step():
            ended = await self._retention.ended_runs(max(moments), after, limit=BATCH_ROWS)
            if not ended:
                return
            after = (ended[-1].end_time, ended[-1].run_id)
            gone = [
                run.run_id
                for run in ended
                if runs_before is not None
                and run.end_time < runs_before
                and planning.may_go_run(run.run_id, needed, has_run_key=run.has_run_key)
            ]
            quiet = set(gone)
            if output_before is not None:
                quiet |= {run.run_id for run in ended if run.end_time < output_before}
            self.counts["output"] += await self._retention.take_output(quiet, dry_run=self._dry_run)
            self.counts["runs"] += await self._retention.take_runs(gone, dry_run=self._dry_run)

    # Everything else.

    async def _sweep_locations(self) -> None:
        servers, snapshots = self._before("servers"), self._before("snapshots")
        if servers is not None:
            self.counts["servers"] += await self._retention.take_servers(
                servers, dry_run=self._dry_run
            )
        if snapshots is not None:
            self.counts["snapshots"] += await self._retention.take_snapshots(
                snapshots, dry_run=self._dry_run
            )

    def _ticks(
        self, status: automation_pb2.TickStatus.ValueType, before: dt.datetime
    ) -> Callable[[int], Awaitable[int]]:
        return lambda limit: self._retention.take_ticks(
            status, before, limit=limit, dry_run=self._dry_run
        )

    def _old(self, table: str, before: dt.datetime) -> Callable[[int], Awaitable[int]]:
        return lambda limit: self._retention.take_old(
            table, before, limit=limit, dry_run=self._dry_run
        )

    async def _in_batches(self, subject: str, take: Callable[[int], Awaitable[int]]) -> None:
        limit = BATCH_ROWS * STEPS_MAX if self._dry_run else BATCH_ROWS
        while await self._step():
            count = await take(limit)
            self.counts[subject] += count
            if count < limit:
                return

    def _before(self, subject: str) -> dt.datetime | None:
        keep: dt.timedelta | None = getattr(self._settings, subject)
        return None if keep is None else self._now - keep

    async def _step(self) -> bool:
        """Rest, and say whether the sweep may go on."""
        if self.steps_left <= 0:
            return False
        self.steps_left -= 1
        await self._clock.sleep(REST_S)
        return True


# The others follow the clock, assets, deliveries of their own, or what conditions remember.
_BY_POSITION = frozenset({snapshot_pb2.SENSOR_KIND_RUN_STATUS})


def _runs(definition: snapshot_pb2.SensorDefinition, state: records.SensorState) -> bool:
    if state.running is not None:
        return state.running
    return definition.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING
