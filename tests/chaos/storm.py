"""A steady load on two hosts and their locations, and a seeded sequence of kills among them.

The seed decides who dies, in which order, and how long after the last sign of work. Whatever dies
is started again, except what somebody else has to bring back: a definitions process is the code
server's to replace, a run worker nobody's. Between two kills there is proof of work: runs of both
locations that succeeded since.
"""

import asyncio
import contextlib
import os
import pathlib
import random
import signal
import uuid
from collections.abc import Callable

from atoll.api.v1 import backfills_pb2, runs_pb2
from atoll.client import backfills, connection, errors, runs
from atoll.definitions.v1 import conditions_pb2, values_pb2
from atoll_storage import errors as storage_errors
from tests.chaos import verification
from tests.e2e import several_hosts

LOCATIONS = pathlib.Path(__file__).with_name("locations")
SOURCE, SINK = "source", "sink"
IN_FLIGHT = 3
SLOTS = 3
"""Of the pool that all steps are of: fewer than could run at once."""
ROUNDS_MAX = 30
ACTIVE_BACKFILL_RUNS = 3
"""So many may be active, so that a backfill lasts."""
SETTINGS = f"""
[[queue.tags]]
key = "atoll/backfill"
limit = {ACTIVE_BACKFILL_RUNS}
"""
BACKFILLED = ("readings", "reports")
EXPECTED = verification.Expected(
    watched_asset="numbers",
    sensor_name="on_numbers",
    slots=SLOTS,
    automation=verification.Automation(
        schedule_name="every_minute",
        condition_sensor="on_readings",
        condition_asset="echoes",
        backfilled=BACKFILLED,
        run_sensors=(("on_success", "SUCCESS"), ("on_failure", "FAILURE")),
        monitored_location=SOURCE,
        active_backfill_runs=ACTIVE_BACKFILL_RUNS,
    ),
)
WORK_WITHIN_S = 60.0
SETTLE_WITHIN_S = 90.0
BACKFILL_WITHIN_S = 600.0
LONGEST_PAUSE_S = 0.4
VICTIMS = (
    *several_hosts.HOSTS,
    "source",
    "sink",
    "definitions of source",
    "definitions of sink",
    "worker of source",
    "worker of sink",
    "postgres",
)


class Storm:
    """One seeded storm. `await run()`, then look at `findings()` and `told`."""

    def __init__(self, running: several_hosts.Mesh, seed: int) -> None:
        self._mesh = running
        self._random = random.Random(seed)
        self.launched: set[str] = set()
        self.told: list[str] = []

    async def run(self, kills: int) -> None:
        """Kill so many times under load, then let everything come to rest."""
        self._mesh.add(SOURCE, LOCATIONS / "source.py", options=("--build-id", "source-1"))
        self._mesh.add(SINK, LOCATIONS / "sink.py", options=("--build-id", "sink-1"))
        self._mesh.start()
        await self._mesh.serving(SOURCE, SINK)
        await self._mesh.until(_condition_begun, within_s=WORK_WITHIN_S)
        async with self._mesh.client() as client:
            await client.pools.set_limit("storm", SLOTS)
        victims = self._victims(kills)
        load = [asyncio.create_task(self._keep_launching()) for _ in range(IN_FLIGHT)]
        load.append(asyncio.create_task(self._keep_backfilling()))
        try:
            for victim in victims:
                await self._see_work()
                # The one pause that waits for nothing: the random moment of the fault.
                await asyncio.sleep(self._random.uniform(0, LONGEST_PAUSE_S))
                await self._kill(victim)
            await self._see_work()
        finally:
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)
        await self._settle()

    def findings(self) -> verification.Findings:
        assert self._mesh.postgres is not None
        return verification.examine(self._mesh.postgres.url, EXPECTED)

    def _victims(self, kills: int) -> list[str]:
        chosen: list[str] = []
        while len(chosen) < kills:
            chosen += self._random.sample(VICTIMS, len(VICTIMS))
        return chosen[:kills]

    async def _keep_launching(self) -> None:
        while True:
            rounds = self._random.randint(1, ROUNDS_MAX)
            config = {"ops": {"numbers": {"config": {"rounds": rounds}}}}
            launch = runs.Launch(
                "make_numbers", SOURCE, run_config=config, request_id=str(uuid.uuid4())
            )
            run_id = await self._insist(launch)
            self.launched.add(run_id)
            await self._ended(run_id)

    async def _keep_backfilling(self) -> None:
        """One backfill after the other; what failed of one is retried once."""
        while True:
            backfill_id = await self._begin_backfill()
            if await self._completed(backfill_id) != backfills_pb2.BACKFILL_STATUS_COMPLETED_FAILED:
                continue

            async def retried(client: connection.Client, again: str = backfill_id) -> bool:
                return bool((await client.backfills.retry(again)).backfill_id)

            await self._mesh.until(retried, within_s=WORK_WITHIN_S)
            await self._completed(backfill_id)

    async def _begin_backfill(self) -> str:
        new = backfills.NewBackfill(
            asset_keys=[values_pb2.AssetKey(path=[name]) for name in BACKFILLED],
            choice=backfills_pb2.BACKFILL_CHOICE_ALL,
            tags={"atoll/max_retries": "1"},
            request_id=str(uuid.uuid4()),
        )

        async def begun(client: connection.Client) -> str:
            return (await client.backfills.create(new)).backfill_id

        return await self._mesh.until(begun, within_s=WORK_WITHIN_S)

    async def _completed(self, backfill_id: str) -> int:
        async def completed(client: connection.Client) -> int:
            status = (await client.backfills.get(backfill_id)).status
            return status if status in backfills.FINAL_STATUSES else 0

        return await self._mesh.until(completed, within_s=BACKFILL_WITHIN_S)

    async def _insist(self, launch: runs.Launch) -> str:
        """Launch through whatever is down; the request id makes it one run."""

        async def launched(client: connection.Client) -> str:
            return (await client.runs.launch(launch)).run_id

        return await self._mesh.until(launched, within_s=WORK_WITHIN_S)

    async def _ended(self, run_id: str) -> None:
        async def ended(client: connection.Client) -> bool:
            return (await client.runs.get(run_id)).status in runs.FINAL_STATUSES

        await self._mesh.until(ended, within_s=WORK_WITHIN_S)

    async def _see_work(self) -> None:
        """Wait until a run of each location succeeds that had not when the waiting began."""
        before: dict[str, set[str]] = {}

        async def worked(client: connection.Client) -> bool:
            fresh = True
            for location in (SOURCE, SINK):
                succeeded = {
                    run.run_id
                    async for run in client.runs.list(
                        location_name=location, statuses=[runs_pb2.RUN_STATUS_SUCCESS], limit=50
                    )
                }
                known = before.setdefault(location, succeeded)
                fresh = fresh and bool(succeeded - known)
            return fresh

        await self._mesh.until(worked, within_s=WORK_WITHIN_S)

    async def _kill(self, victim: str) -> None:
        self.told.append(victim)
        kind, _, location = victim.partition(" of ")
        if kind in several_hosts.HOSTS:
            self._mesh.kill(kind)
            self._mesh.start_host(kind)
        elif kind == "postgres":
            await asyncio.to_thread(self._restart_postgres)
        elif kind == "worker":
            await self._kill_one(lambda: self._mesh.run_workers(location))
        elif kind == "definitions":
            await self._kill_one(lambda: self._mesh.definitions_processes(location))
        else:
            self._mesh.kill(kind)
            self._mesh.start_location(kind)

    async def _kill_one(self, living: Callable[[], list[int]]) -> None:
        """Kill one of some processes, as soon as there is one."""

        async def found(_: connection.Client) -> list[int]:
            return living()

        pids = await self._mesh.until(found, within_s=WORK_WITHIN_S)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._random.choice(sorted(pids)), signal.SIGKILL)

    def _restart_postgres(self) -> None:
        assert self._mesh.postgres is not None
        os.kill(self._mesh.postgres.pid, signal.SIGKILL)
        with contextlib.suppress(storage_errors.StorageError):
            self._mesh.stop_postgres()
        self._mesh.postgres = None
        self._mesh.start_postgres()

    async def _settle(self) -> None:
        """Wait until every run ended and every materialization has led to its run."""

        async def settled(_: connection.Client) -> bool:
            return not self.findings().violations

        with contextlib.suppress(AssertionError, errors.RpcError):
            # What is left after that is for the test to tell, violation by violation.
            await self._mesh.until(settled, within_s=SETTLE_WITHIN_S)


async def _condition_begun(client: connection.Client) -> bool:
    """Say whether the condition was evaluated: what came before its first time is none of it."""
    assert EXPECTED.automation is not None
    key = values_pb2.AssetKey(path=[EXPECTED.automation.condition_asset])
    with contextlib.suppress(errors.NotFoundError):
        found = await client.conditions.get(conditions_pb2.ConditionEntity(asset=key))
        return found.HasField("evaluation_time")
    return False
