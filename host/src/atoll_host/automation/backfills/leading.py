"""The backfills' term of the leader among hosts: requests what is due, and accounts for what ended.

Made by `dispatching` when leadership was won, and thrown away when it is lost: everything in it can
be read again. It is woken by runs that ended, by backfills that were made or steered and by
locations that changed. A round gives each active backfill one step:

    runs that ended  -> the progress        `accounting`
    the progress     -> runs to request     `deciding`, `submitting`
    both             -> one commit          against the version that was read

A step requests a bounded number of runs, so several backfills share the queue; and a backfill keeps
a bounded number of runs in it, so whatever else is launched has its turn. With nothing going on no
query runs but the slow backstop.
"""

import asyncio
import dataclasses
import datetime as dt
import logging
import uuid
from collections.abc import Hashable, Mapping
from typing import Protocol

from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, signals
from atoll_host.automation import terms
from atoll_host.automation.backfills import (
    accounting,
    counting,
    deciding,
    parts,
    planning,
    submitting,
)
from atoll_host.automation.backfills import progress as progresses
from atoll_host.automation.backfills import settings as backfill_settings
from atoll_host.locations import graph
from atoll_host.locations import registry as registries
from atoll_storage import backfill_records, database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

BACKSTOP_S = 15.0
PAUSE_S = 0.05
"""Runs end one by one: what ends within so long is accounted for together."""
ACTIVE_MAX = 1000
"""So many backfills are worked on at once, the oldest ones; the others wait."""
_ENDED_MAX = 1000
_CANCELED_MAX = 1000
_STATUS = backfill_records.BackfillStatus


class Locations(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        """Return the code servers that take runs, by location."""
        ...

    def graph(self) -> graph.AssetGraph:
        """Return the assets of all locations."""
        ...

    def subscribe(self, poke: signals.Poke | None = None) -> signals.Poke:
        """Return a poke that is set whenever any of it changes."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: Locations
    changes: host_changes.Changes
    clock: clocks.Clock

    def defined(self) -> parts.Defined:
        """Return what the mesh defines now."""
        return parts.Defined(
            self.locations.graph(),
            {
                name: view.definitions
                for name, view in self.locations.locations().items()
                if view.definitions is not None
            },
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Loaded:
    """A backfill as it was read, with its plan."""

    record: backfill_records.BackfillRecord
    defined: parts.Defined
    planned: planning.Planned
    progress: progresses.Progress


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    """What a step of a backfill found out; `open_count` of its runs are not accounted for yet."""

    progress: progresses.Progress
    open_count: int
    accounted: tuple[str, ...] = ()
    runs: tuple[records.NewRun, ...] = ()
    failure: values_pb2.Failure | None = None
    more: bool = False


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        surroundings: Surroundings,
        settings: backfill_settings.BackfillSettings | None = None,
    ) -> None:
        self._store = surroundings.store
        self._around = surroundings
        self._clock = surroundings.clock
        self._settings = settings or backfill_settings.BackfillSettings()
        self._loaded: dict[str, _Loaded] = {}
        self._rested_at: dict[str, Hashable] = {}
        self._defined_key: Hashable = None
        self._defined = surroundings.defined()
        # Subscribed before the first look, so that nothing falls between.
        changes = surroundings.changes
        self._poke = changes.runs.subscribe(changes.backfills.subscribe())
        surroundings.locations.subscribe(self._poke)

    async def run(self) -> None:
        """Take rounds: at once while there is more to do, otherwise when something happened."""
        while True:
            more = await terms.persist(self.round, self._clock)
            if not more:
                if not await self._poke.wait(BACKSTOP_S):
                    self._rested_at.clear()
                await self._clock.sleep(PAUSE_S)

    async def round(self) -> bool:
        """Give each active backfill a step; return whether any has more to do at once."""
        self._look_at_definitions()
        heads = await self._store.backfills.heads(limit=ACTIVE_MAX)
        active = {head.backfill_id for head in heads}
        for known in (self._loaded, self._rested_at):
            for backfill_id in known.keys() - active:
                del known[backfill_id]
        more = False
        for head in heads:
            try:
                more = await self._step(head) or more
            except storage_errors.StorageUnavailable:
                raise
            except (storage_errors.StaleBackfill, storage_errors.UnknownBackfill):
                # Somebody steered it, or another leader was faster.
                self._loaded.pop(head.backfill_id, None)
                more = True
            except Exception as error:  # noqa: BLE001 - the boundary of one backfill: recorded, and the others go on
                self._rested_at[head.backfill_id] = self._key_of(head)
                _log.error(
                    "a step of a backfill broke off",
                    exc_info=error,
                    extra={"action": "backfill_broke", "backfill_id": head.backfill_id},
                )
        return more

    def _look_at_definitions(self) -> None:
        views = self._around.locations.locations()
        key = (
            id(self._around.locations.graph()),
            tuple(
                (name, "" if view.definitions is None else view.definitions.digest)
                for name, view in views.items()
            ),
        )
        if key != self._defined_key:
            self._defined_key = key
            self._defined = self._around.defined()

    def _key_of(self, head: backfill_records.BackfillHead) -> Hashable:
        """Return all that a step depends on: with the same again, it would do nothing again."""
        return (
            head.version,
            head.ended_count,
            tuple(sorted(head.queued.items())),
            frozenset(self._around.locations.reachable()),
            self._defined_key,
        )

    async def _step(self, head: backfill_records.BackfillHead) -> bool:
        key = self._key_of(head)
        if self._rested_at.get(head.backfill_id) == key and head.status is not _STATUS.CANCELING:
            return False
        canceled = False
        if head.status is _STATUS.CANCELING:
            canceled = await self._cancel_runs(head)
        loaded = await self._load(head)
        if loaded is None:
            return canceled
        step = await self._account(loaded, head)
        if head.status is _STATUS.REQUESTED:
            step = await self._request(loaded, head, step)
        commit = await asyncio.to_thread(_commit, loaded, step, head.status)
        if commit is None:
            self._rested_at[head.backfill_id] = key
            return canceled or step.more
        version = await self._store.backfills.commit(commit)
        self._remember(loaded, step, commit, version)
        return True

    async def _cancel_runs(self, head: backfill_records.BackfillHead) -> bool:
        """Cancel what waits and ask what runs to stop; return whether there may be more."""
        count = 0
        if any(head.queued.values()):
            count = await self._store.backfills.cancel_queued(head.backfill_id, limit=_CANCELED_MAX)
        active = await self._store.backfills.active_runs(head.backfill_id, limit=_CANCELED_MAX)
        for run_id in active:
            await self._store.runs.request_cancel(run_id, "Its backfill was canceled.")
        return count > 0 or bool(active)

    async def _load(self, head: backfill_records.BackfillHead) -> _Loaded | None:
        """Return the backfill with its plan; None while nothing can be said about it."""
        known = self._loaded.get(head.backfill_id)
        if known is not None and known.record.version == head.version:
            if known.defined is self._defined:
                return known
            record = known.record
        else:
            read = await self._store.backfills.get(head.backfill_id)
            if read is None or read.version != head.version:
                raise storage_errors.StaleBackfill(
                    head.backfill_id, head.version, 0 if read is None else read.version
                )
            record = read
        try:
            loaded = await load(self._store, record, self._defined)
        except errors.HostError as error:
            await self._give_up(head, record, error)
            return None
        found = _Loaded(record, self._defined, *loaded)
        self._loaded[head.backfill_id] = found
        return found

    async def _give_up(
        self,
        head: backfill_records.BackfillHead,
        record: backfill_records.BackfillRecord,
        error: errors.HostError,
    ) -> None:
        """End a backfill that cannot be told what to request, once none of its runs is left.

        What became of these runs is not looked at: a retry requests again what they were for. If
        the reason passes by itself, nothing is done but what was asked for.
        """
        is_canceling = head.status is _STATUS.CANCELING
        if isinstance(error, parts.NotDefined) and error.passing and not is_canceling:
            return
        failure = values_pb2.Failure(type=type(error).__name__, message=str(error))
        status = head.status
        accounted: tuple[str, ...] = ()
        if head.open_count == head.ended_count:
            status = _STATUS.CANCELED if is_canceling else _STATUS.FAILED
            limit = head.open_count + 1
            ended = await self._store.backfills.ended(head.backfill_id, limit=limit)
            accounted = tuple(run_id for run_id, _ in ended)
        if status is not head.status or record.failure != failure:
            await self._store.backfills.commit(
                backfill_records.BackfillCommit(
                    head.backfill_id,
                    head.version,
                    status,
                    record.progress,
                    accounted=accounted,
                    failure=failure,
                )
            )

    async def _account(self, loaded: _Loaded, head: backfill_records.BackfillHead) -> _Step:
        """Take what ended into the progress."""
        if not head.ended_count:
            if head.open_count or not loaded.progress.has_in_flight:
                return _Step(loaded.progress, head.open_count)
            return _Step(loaded.progress.with_lost(), 0)
        ended = await self._store.backfills.ended(head.backfill_id, limit=_ENDED_MAX)
        runs = [run for _, run in ended if run is not None]
        unknown = accounting.to_look_up(runs, loaded.planned, loaded.defined)
        found = await self._store.backfills.materialized(unknown) if unknown else []
        outcome = await asyncio.to_thread(accounting.account, loaded.planned, runs, unknown, found)
        progress = loaded.progress.with_ended(outcome.materialized, outcome.failed)
        open_count = max(0, head.open_count - len(ended))
        if not open_count and progress.has_in_flight:
            progress = progress.with_lost()
        more = len(ended) == _ENDED_MAX
        return _Step(progress, open_count, tuple(run_id for run_id, _ in ended), more=more)

    async def _request(
        self, loaded: _Loaded, head: backfill_records.BackfillHead, step: _Step
    ) -> _Step:
        """Decide what to request, as far as there is room."""
        room = self._room(head)
        plan = loaded.planned.plan
        decision = await asyncio.to_thread(
            deciding.decide, plan, step.progress, room, self._settings.chunk_max
        )
        if not decision.chunks:
            return step
        origin = submitting.Origin(head.backfill_id, loaded.record.tags)
        runs, refusals = await asyncio.to_thread(
            submitting.runs_of, decision.chunks, plan, loaded.defined, origin, _new_id
        )
        progress = decision.progress
        failure = step.failure
        if refusals:
            refused = deciding.taken(plan, [each.chunk for each in refusals])
            progress = progress.with_ended(plan.none(), refused)
            failure = refusals[0].failure
        more = step.more or (decision.more and len(decision.chunks) >= self._settings.chunk_max)
        return dataclasses.replace(
            step, progress=progress, runs=tuple(runs), failure=failure, more=more
        )

    def _room(self, head: backfill_records.BackfillHead) -> dict[str, int]:
        """Return how many more runs may wait in each location that takes runs."""
        room: dict[str, int] = {}
        bound = self._settings.queued_max
        for name in self._around.locations.reachable():
            free = bound - head.queued.get(name, 0)
            # Not one by one: a queue that is nearly full is filled up again once it is emptier.
            if free * 4 >= bound:
                room[name] = free
        return room

    def _remember(
        self,
        loaded: _Loaded,
        step: _Step,
        commit: backfill_records.BackfillCommit,
        version: int,
    ) -> None:
        record = dataclasses.replace(
            loaded.record, version=version, status=commit.status, progress=commit.progress
        )
        self._loaded[commit.backfill_id] = dataclasses.replace(
            loaded, record=record, progress=step.progress
        )


async def load(
    store: database.Database, record: backfill_records.BackfillRecord, defined: parts.Defined
) -> tuple[planning.Planned, progresses.Progress]:
    """Return the plan and the progress of a backfill.

    Args:
        store: Where the keys of dynamic partitions are.
        record: The backfill.
        defined: What the mesh defines.

    Raises:
        parts.NotDefined: Something of it is not defined now.
        errors.InvalidRequest: It can no longer be ordered.
    """
    target = backfills_pb2.BackfillTarget.FromString(record.target)
    found = parts.read_target(target, defined)
    keys = await parts.read_keys(store.partitions, defined.dynamic_names(found))
    moment = target.moment.ToDatetime(tzinfo=dt.UTC)
    planned = await asyncio.to_thread(planning.plan, found, defined, moment, keys)
    stored = backfills_pb2.BackfillProgress.FromString(record.progress)
    progress = parts.read_progress(stored, planned.parts, planned.units, planned.plan)
    return planned, progress


def _commit(
    loaded: _Loaded, step: _Step, status: backfill_records.BackfillStatus
) -> backfill_records.BackfillCommit | None:
    """Return what to store of a step, None if it changed nothing."""
    failure = step.failure
    state = deciding.state(loaded.planned.plan, step.progress)
    # A run that failed may be tried again by itself: as long as that one runs, nothing has ended.
    is_quiet = not step.runs and not step.open_count and not step.progress.has_in_flight
    if status is _STATUS.CANCELING:
        status = _STATUS.CANCELED if is_quiet else status
    elif state is deciding.State.ENDED and is_quiet:
        failed = any(step.progress.failed)
        status = _STATUS.COMPLETED_FAILED if failed else _STATUS.COMPLETED_SUCCESS
    elif state is deciding.State.STUCK and status is _STATUS.REQUESTED:
        status = _STATUS.FAILED
        failure = values_pb2.Failure(
            type="Stuck",
            message="What is left to request waits for partitions of itself that come later, so it "
            "can never begin. Look at the partition mappings of assets that need themselves.",
        )
    if step.progress is loaded.progress and status is loaded.record.status:
        return None
    planned = loaded.planned
    message = parts.progress_message(planned.parts, planned.units, step.progress)
    message.counts.CopyFrom(counting.total(planned, step.progress))
    return backfill_records.BackfillCommit(
        loaded.record.backfill_id,
        loaded.record.version,
        status,
        message.SerializeToString(),
        runs=step.runs,
        accounted=step.accounted,
        failure=failure,
        clear_failure=status is _STATUS.COMPLETED_SUCCESS,
    )


def _new_id() -> str:
    return str(uuid.uuid4())
