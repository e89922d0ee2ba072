"""A simulated mesh with assets whose runs end at once, as a test says."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence

from atoll._partition_messages import definitions as definition_messages
from atoll._partition_messages import mappings as mapping_messages
from atoll._partitions import definitions as partition_definitions
from atoll._partitions import mappings, partition_keys
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host.api import backfilling
from atoll_host.automation.backfills import leading, targets
from atoll_host.automation.backfills import settings as backfill_settings
from atoll_storage import backfill_records, database, queue_records, records
from tests.host.runs import simulated

Path = tuple[str, ...]
IMPLICIT = "__ASSET_JOB"
LIMITS = queue_records.ClaimLimits(active_max=100_000, active_per_location_max=100_000)


def asset(
    name: str,
    partitions: partition_definitions.PartitionsDefinition | None = None,
    *needs: str | tuple[str, mappings.PartitionMapping],
    policy: int | None = 1,
    op_name: str = "",
    executable: bool = True,
    skippable: bool = False,
) -> snapshot_pb2.AssetDefinition:
    """Describe an asset; a policy of 0 means one run of all."""
    made = snapshot_pb2.AssetDefinition(
        key=simulated.asset_key((name,)),
        executable=executable,
        op_name=op_name or name,
        skippable=skippable,
    )
    if partitions is not None:
        made.partitions.CopyFrom(definition_messages.to_message(partitions))
    if policy != 1:
        made.backfill_policy.CopyFrom(
            partitions_pb2.BackfillPolicy(max_partitions_per_run=policy or None)
        )
    for need in needs:
        upstream, mapping = (need, None) if isinstance(need, str) else need
        edge = made.dependencies.add(asset_key=simulated.asset_key((upstream,)))
        if mapping is not None:
            edge.partition_mapping.CopyFrom(mapping_messages.to_message(mapping))
    return made


def snapshot(
    assets: Sequence[snapshot_pb2.AssetDefinition],
    jobs: Sequence[snapshot_pb2.JobDefinition] = (),
) -> snapshot_pb2.LocationSnapshot:
    implicit = snapshot_pb2.JobDefinition(
        name=IMPLICIT, implicit=True, asset_keys=[each.key for each in assets if each.executable]
    )
    return snapshot_pb2.LocationSnapshot(assets=assets, jobs=[implicit, *jobs])


@dataclasses.dataclass
class World:
    """A mesh, and what the tests of backfills ask of it.

    Attributes:
        ran: What runs were for, in the order of their ends: assets and partitions.
    """

    mesh: simulated.Mesh
    locations: simulated.Locations
    settings: backfill_settings.BackfillSettings = dataclasses.field(
        default_factory=backfill_settings.BackfillSettings
    )
    ran: list[tuple[tuple[str, ...], str]] = dataclasses.field(default_factory=list)

    @property
    def store(self) -> database.Database:
        return self.mesh.store

    @property
    def around(self) -> leading.Surroundings:
        return leading.Surroundings(self.store, self.locations, self.mesh.changes, self.mesh.clock)

    @property
    def backfilling(self) -> backfilling.Backfilling:
        return backfilling.Backfilling(
            self.store, self.locations, self.mesh.changes, self.mesh.clock
        )

    def term(self) -> leading.Term:
        return leading.Term(self.around, self.settings)

    async def serve(
        self,
        location_name: str,
        *assets: snapshot_pb2.AssetDefinition,
        jobs: Sequence[snapshot_pb2.JobDefinition] = (),
    ) -> None:
        """Have a location define assets."""
        server = simulated.CodeServer(location_name, f"{location_name}-server")
        record = self.mesh.servers.get(server.server_id)
        if record is None:
            record = await simulated.register(self.store, location_name, server.server_id)
        self.mesh.servers[server.server_id] = record
        self.locations.serve(server, record, snapshot(assets, jobs))

    async def create(self, *names: str, **asked: object) -> str:
        """Begin a backfill; return its id."""
        given: dict = {"paths": tuple((name,) for name in names), **asked}
        extra = {key: given.pop(key) for key in ("tags", "request_id", "title") if key in given}
        wish = backfilling.Wish(targets.Asked(**given), **{"title": "", "tags": {}, **extra})
        shown = await self.backfilling.create(wish)
        assert shown.record is not None
        return shown.record.backfill_id

    async def rounds(self, term: leading.Term) -> None:
        """Take rounds until there is nothing more to do at once."""
        while await term.round():
            pass

    async def work(
        self,
        *,
        fails: Callable[[records.RunRecord], bool] = lambda _: False,
        count: int = 100_000,
    ) -> int:
        """Run what waits in locations that can be reached; return how many runs ended."""
        servers = {name: record.server_id for name, record in self.locations.reachable().items()}
        claimed = await self.store.runs.claim(servers, LIMITS, batch_max=count)
        for run in claimed:
            await self.end(run, fails(run))
        return len(claimed)

    async def end(self, run: records.RunRecord, fails: bool) -> None:
        """End a run; one that fails materializes nothing, and is not run again."""
        made = [
            ("/".join(path), key)
            for path in run.asset_selection
            for key in self._keys(run, path)
            if not fails
        ]
        await self.report(run, *made, fails=fails)
        if fails:
            await self.store.retries.decline([run.run_id])
        names = tuple("/".join(path) for path in run.asset_selection) or (run.job_name,)
        self.ran.append((names, run.partition_key or run.target.partition_range_start))

    async def report(
        self, run: records.RunRecord, *made: tuple[str, str], fails: bool = True
    ) -> None:
        """Have a run materialize partitions of assets, and end."""
        events = [events_pb2.Event(run_id=run.run_id, seq=1)]
        events[0].run_started.SetInParent()
        for name, key in made:
            event = events_pb2.Event(run_id=run.run_id, seq=len(events) + 1)
            event.asset_materialization.asset_key.path.append(name)
            event.asset_materialization.partition = key
            events.append(event)
        last = events_pb2.Event(run_id=run.run_id, seq=len(events) + 1)
        (last.run_failed if fails else last.run_succeeded).SetInParent()
        events.append(last)
        await self.store.events.append(
            [
                records.EventBatch(
                    location_name=run.location_name,
                    server_id=run.server_id,
                    epoch=self.mesh.servers[run.server_id].epoch,
                    events=events,
                )
            ]
        )

    def _keys(self, run: records.RunRecord, path: Path) -> list[str]:
        target = run.target
        if not target.partition_range_start:
            return [run.partition_key]
        defined = self.locations.locations()[run.location_name].definitions
        assert defined is not None
        partitions_def = defined.partitions.of_asset(path)
        assert partitions_def is not None
        ends = partition_keys.PartitionKeyRange(
            target.partition_range_start, target.partition_range_end
        )
        return list(partitions_def.empty_subset().with_partition_key_range(ends))

    def keys_of(self, run: records.RunRecord) -> list[str]:
        """Return the partitions that a run was for."""
        return self._keys(run, run.asset_selection[0])

    async def finish(
        self,
        term: leading.Term,
        *,
        fails: Callable[[records.RunRecord], bool] = lambda _: False,
    ) -> None:
        """Go on until nothing more happens."""
        await self.rounds(term)
        while await self.work(fails=fails):
            await self.rounds(term)

    async def record(self, backfill_id: str) -> backfill_records.BackfillRecord:
        found = await self.store.backfills.get(backfill_id)
        assert found is not None
        return found

    async def counts(self, backfill_id: str) -> dict[str, tuple[int, int, int, int, int]]:
        """Return waiting, in progress, materialized, failed and blocked, by part."""
        shown = await self.backfilling.show(backfill_id)
        assert shown.planned is not None
        assert shown.progress is not None
        found = leading.counting.by_state(shown.planned, shown.progress)
        fields = ("waiting", "in_progress", "materialized", "failed", "blocked")
        return {
            part.name: tuple(len(states[field]) for field in fields)  # type: ignore[misc]
            for part, states in zip(shown.planned.parts, found, strict=True)
        }

    async def runs(self) -> list[records.RunRecord]:
        """Return all runs, in the order of the queue."""
        found, _ = await self.store.runs.page(records.RunQuery(), ascending=True, limit=100_000)
        return found


@contextlib.asynccontextmanager
async def world_of(store: database.Database, **settings: int) -> AsyncIterator[World]:
    """Make a world whose signals are fed by Postgres."""
    async with simulated.mesh_of(store) as mesh:
        bounds = backfill_settings.BackfillSettings(**settings)
        yield World(mesh, simulated.Locations(), bounds)
