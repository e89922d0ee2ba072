"""From the request to launch a run that does nothing until its success is in the log."""

import asyncio
import time

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import events, runs
from benchmarks import definitions, report, rig

WARM_UP = 5
AT_ONCE = 50
TIMEOUT_S = 60
_NOOP = {"job_name": "noop_job", "location_name": "noop"}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Launch runs one after the other, then fifty at once."""
    async with place.mesh() as mesh:
        await mesh.add_location("noop", definitions.NOOP)
        query = api_pb2.EventFilter(kinds=runs.FINAL_KINDS)
        async with mesh.client.events.watch(query) as watch:
            await watch.opened()
            singles = [
                await _until_done_s(mesh, watch, 1) for _ in range(place.count(60) + WARM_UP)
            ]
            fifties = [await _until_done_s(mesh, watch, AT_ONCE) for _ in range(place.count(5))]
    return [
        report.Measured("run_launch", [seconds * 1000 for seconds in singles[WARM_UP:]]),
        report.Measured("fifty_runs", fifties),
    ]


async def _until_done_s(mesh: rig.Mesh, watch: events.Watch, count: int) -> float:
    begun = time.perf_counter()
    launched = await asyncio.gather(
        *(mesh.client.runs.launch(runs.Launch(**_NOOP)) for _ in range(count))
    )
    waiting = {run.run_id for run in launched}
    async with asyncio.timeout(TIMEOUT_S):
        while waiting:
            stored = await anext(watch)
            if stored.event.WhichOneof("body") != "run_succeeded":
                raise RuntimeError(f"a run did not succeed: {stored.event}")
            waiting.discard(stored.event.run_id)
    return time.perf_counter() - begun
