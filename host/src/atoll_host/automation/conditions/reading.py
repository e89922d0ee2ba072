"""Reads what is to be known: what an evaluation lacks, in sets, and the log.

Called by `leading`. The only module of conditions that asks storage for facts. What is read holds
for a position of the log at or behind that of the knowledge: `catch_up` then brings the knowledge
there, and only then may be evaluated, so that no evaluation sees less of one asset than of another.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from atoll._conditions import entities
from atoll.events.v1 import events_pb2
from atoll_host import clock as clocks
from atoll_host.automation.conditions import asset_memory, hearing, knowledge
from atoll_storage import condition_records, database, records
from atoll_storage import errors as storage_errors

Entity = entities.Entity
_T = TypeVar("_T")

LOG_PAGE = 5_000
AT_ONCE_MAX = 2_000
"""So many assets, checks or runs are asked for in one statement."""


class Reader:
    """Brings knowledge up to date.

    Args:
        store: Where to read.
        clock: Tells the time.
        known: What is known.
    """

    def __init__(
        self, store: database.Database, clock: clocks.Clock, known: knowledge.Knowledge
    ) -> None:
        self._facts = store.condition_facts
        self._events = store.events
        self._freshness = store.freshness
        self._clock = clock
        self._known = known
        self._reaches_to = 0
        self._heard = hearing.Heard()

    async def begin(self) -> None:
        """Read which runs have not ended, how fresh assets are, and where the log is."""
        position, runs = await self._facts.open_runs()
        self._known.begin_runs(runs)
        for some in _chunks([run.run_id for run in runs]):
            self._take_done(await self._facts.done_by(some))
        for each in await self._freshness.all_states():
            self._known.set_freshness(entities.asset(each.path), each.state)
        self._known.position = position

    async def catch_up(self) -> frozenset[Entity]:
        """Hear the log to its end; return what is known otherwise now.

        What was read holds at most for the end of the log, so it is not behind what was read then.
        One that raises goes on next time where it ended, and forgets nothing that it heard.
        """
        while True:
            await self._read_begun()
            try:
                events, position = await self._events.follow(
                    self._known.position,
                    limit=LOG_PAGE,
                    query=records.EventQuery(kinds=hearing.KINDS),
                )
            except storage_errors.Compacted:
                # So far behind that the log was pruned in between: everything is read anew.
                self._heard = hearing.Heard(set(self._known.surroundings.graph.nodes))
                self._known.forget()
                await self.begin()
                continue
            hearing.hear(self._known, events, self._clock.now().timestamp(), self._heard)
            self._known.position = position
            if len(events) < LOG_PAGE and position >= self._reaches_to:
                await self._read_begun()
                changed, self._heard.changed = self._heard.changed, set()
                return frozenset(changed)

    async def read(self, needs: knowledge.Needs) -> None:
        """Read what an evaluation lacks. `catch_up` before evaluating again."""
        await self._each(needs.assets, self._read_assets)
        await self._each(needs.checks, self._read_checks)
        await self._each(needs.updates.items(), self._read_updates)
        await self._each(needs.runs, self._read_runs)
        await self._each(needs.partition_runs, self._read_partition_runs)
        await self._each(needs.versions, self._read_versions)
        for name in sorted(needs.dynamic):
            position, keys = await self._facts.dynamic_partitions(name)
            self._known.dynamic.set(name, keys)
            self._reach(position)

    async def _each(
        self, some: Collection[_T], read: Callable[[Sequence[_T]], Awaitable[None]]
    ) -> None:
        for chunk in _chunks(sorted(some, key=str)):
            await read(chunk)

    async def _read_begun(self) -> None:
        """Read the runs that were heard of."""
        heard = self._heard
        if not heard.begun:
            return
        for some in _chunks(list(heard.begun)):
            runs = await self._facts.runs(some)
            heard.changed |= self._known.begin_runs(runs.values())
        heard.begun.clear()
        for run_id, entity, partition in heard.done:
            self._known.open.did(run_id, entity, partition)
        heard.done.clear()

    def _reach(self, position: int) -> None:
        self._reaches_to = max(self._reaches_to, position)

    def _take_done(self, done: Sequence[tuple[int, bytes]]) -> None:
        for _, payload in done:
            event = events_pb2.Event.FromString(payload)
            if event.HasField("asset_check_evaluation"):
                checked = event.asset_check_evaluation
                entity = entities.check(checked.asset_key.path, checked.check_name)
                self._known.open.did(event.run_id, entity, checked.partition)
            else:
                observed = event.HasField("asset_observation")
                made = event.asset_observation if observed else event.asset_materialization
                entity = entities.asset(made.asset_key.path)
                self._known.open.did(event.run_id, entity, made.partition)

    async def _read_assets(self, some: Sequence[Entity]) -> None:
        known = self._known
        facts = await self._facts.assets([entity.path for entity in some])
        partitioned = [
            entity
            for entity in some
            if known.surroundings.graph.node(entity).partitions_def is not None
        ]
        parts: dict[Entity, condition_records.PartitionFacts] = {}
        if partitioned:
            found = await self._facts.partitions([entity.path for entity in partitioned])
            parts = dict(zip(partitioned, found, strict=True))
        observed = [
            (entity, fact.observation_id)
            for entity, fact in zip(some, facts, strict=True)
            if fact.observation_id > fact.materialization_id and self._counts(entity)
        ]
        newest = await self._newest_observations(observed)
        for entity, fact in zip(some, facts, strict=True):
            part = parts.get(entity)
            memory = self._asset_memory(entity, fact, part, newest.get(entity))
            known.remember(entity, memory)
            self._reach(max(fact.position, 0 if part is None else part.position))

    def _counts(self, entity: Entity) -> bool:
        """Say whether observing an asset makes it present."""
        return not self._known.surroundings.graph.node(entity).materializable

    async def _newest_observations(
        self, observed: Sequence[tuple[Entity, int]]
    ) -> dict[Entity, asset_memory.Recent]:
        if not observed:
            return {}
        found = await self._facts.updates(
            [(entity.path, "", event_id - 1) for entity, event_id in observed]
        )
        return {
            entity: _recent_of(facts[-1])
            for (entity, _), facts in zip(observed, found, strict=True)
            if facts
        }

    def _asset_memory(
        self,
        entity: Entity,
        fact: condition_records.AssetFact,
        part: condition_records.PartitionFacts | None,
        observed: asset_memory.Recent | None,
    ) -> asset_memory.Memory:
        partitions_def = self._known.surroundings.graph.node(entity).partitions_def
        newest = observed
        if newest is None and fact.event is not None and fact.stored_time is not None:
            event = events_pb2.Event.FromString(fact.event)
            newest = asset_memory.recent_of(
                fact.materialization_id, fact.stored_time.timestamp(), event
            )
        position = fact.position if part is None else min(fact.position, part.position)
        if partitions_def is None or part is None:
            present: asset_memory.Value = newest is not None
            failed: asset_memory.Value = fact.failed_id > fact.materialization_id
        else:
            counts = self._counts(entity)
            keys = [
                each.partition
                for each in part.partitions
                if each.materialization_id or (counts and each.observation_id)
            ]
            present = asset_memory.value_of(partitions_def, keys)
            failed = self._failed_partitions(partitions_def, fact, part)
        return asset_memory.Memory(
            position=position,
            newest=newest,
            present=present,
            failed=failed,
            recent_from=position,
        )

    def _failed_partitions(
        self,
        partitions_def: asset_memory.PartitionsDefinition,
        fact: condition_records.AssetFact,
        part: condition_records.PartitionFacts,
    ) -> asset_memory.Value:
        failed = [
            each.partition for each in part.partitions if each.failed_id > each.materialization_id
        ]
        start, end = fact.failed_range_start, fact.failed_range_end
        if fact.failed_id and start:
            since = [
                each.partition
                for each in part.partitions
                if each.materialization_id > fact.failed_id
            ]
            whole = asset_memory.range_of(partitions_def, start, end, self._known.dynamic)
            left = asset_memory.without(whole, asset_memory.value_of(partitions_def, since))
            return asset_memory.joined(left, asset_memory.value_of(partitions_def, failed))
        return asset_memory.value_of(partitions_def, failed)

    async def _read_checks(self, some: Sequence[Entity]) -> None:
        for entity, facts in zip(
            some,
            await self._facts.checks([(entity.path, entity.name) for entity in some]),
            strict=True,
        ):
            self._known.remember(entity, self._check_memory(entity, facts))
            self._reach(facts.position)

    def _check_memory(
        self, entity: Entity, facts: condition_records.CheckFacts
    ) -> asset_memory.Memory:
        partitions_def = self._known.surroundings.graph.node(entity).partitions_def
        evaluations = sorted(facts.evaluations, key=lambda each: each.evaluation_id)
        newest: asset_memory.Recent | None = None
        passed: list[str] = []
        failed: list[str] = []
        run_ids: dict[str, str] = {}
        for number, each in enumerate(evaluations, start=1):
            event = events_pb2.Event.FromString(each.event)
            told = event.asset_check_evaluation
            newest = asset_memory.recent_of(
                each.evaluation_id, event.timestamp.ToNanoseconds() / 1e9, event
            )
            run_ids[told.partition] = event.run_id
            # Of a check without partitions, the newest evaluation counts, whatever it was for.
            counts = partitions_def is not None or number == len(evaluations)
            if counts and asset_memory.is_about_latest(
                event, each.materialization_id, each.materialization
            ):
                name = told.partition if partitions_def is not None else "it"
                (passed if told.passed else failed).append(name)
        return asset_memory.Memory(
            position=facts.position,
            newest=newest,
            present=asset_memory.value_of(partitions_def, [*passed, *failed]),
            failed=asset_memory.value_of(partitions_def, failed),
            passed=asset_memory.value_of(partitions_def, passed),
            run_ids=run_ids,
            recent_from=facts.position,
        )

    async def _read_updates(self, some: Sequence[tuple[Entity, int]]) -> None:
        found = await self._facts.updates(
            [(entity.path, entity.name, after) for entity, after in some]
        )
        for (entity, after), facts in zip(some, found, strict=True):
            memory = self._known.memory(entity)
            if memory is not None:
                counts = self._counts(entity)
                recent = [_recent_of(fact) for fact in facts]
                memory.look_back(after, [each for each in recent if counts or not each.observed])

    async def _read_runs(self, some: Sequence[str]) -> None:
        found = await self._facts.runs(some)
        for run_id in some:
            self._known.runs[run_id] = found.get(run_id)

    async def _read_partition_runs(self, some: Sequence[tuple[Entity, str]]) -> None:
        found = await self._facts.newest_of_partitions(
            [(entity.path, partition) for entity, partition in some]
        )
        for key, fact in zip(some, found, strict=True):
            run_id = "" if fact is None else events_pb2.Event.FromString(fact.event).run_id
            self._known.partition_runs[key] = run_id

    async def _read_versions(self, some: Sequence[tuple[Entity, str, int]]) -> None:
        found = await self._facts.events_before(
            [(entity.path, partition, before) for entity, partition, before in some]
        )
        for key, payload in zip(some, found, strict=True):
            version = None
            if payload is not None:
                event = events_pb2.Event.FromString(payload)
                version = asset_memory.recent_of(0, 0.0, event).version
            self._known.versions_before[key] = version


def _recent_of(fact: condition_records.UpdateFact) -> asset_memory.Recent:
    event = events_pb2.Event.FromString(fact.event)
    return asset_memory.recent_of(fact.event_id, fact.stored_time.timestamp(), event)


def _chunks(some: Sequence[_T]) -> list[Sequence[_T]]:
    return [some[start : start + AT_ONCE_MAX] for start in range(0, len(some), AT_ONCE_MAX)]
