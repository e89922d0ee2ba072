"""What a step costs beyond what it does: in a run of a location, and in memory."""

import asyncio
import json
import sys

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import runs
from benchmarks import definitions, report, rig

STEPS = 100
_IN_MEMORY = """
import json, sys, time
import atoll as dg
def made(number):
    @dg.asset(name=f"step_{number}")
    def computed() -> None: ...
    return computed
def timed(assets):
    begun = time.perf_counter()
    assert dg.materialize(assets).success
    return time.perf_counter() - begun
assets = [made(number) for number in range(101)]
timed(assets)
print(json.dumps([(timed(assets) - timed(assets[:1])) * 10 for _ in range(int(sys.argv[1]))]))
"""


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Compare jobs of one step and of many."""
    rounds = place.count(10)
    samples: list[float] = []
    async with place.mesh() as mesh:
        await mesh.add_location("steps", definitions.many_steps(STEPS))
        await _duration_ms(mesh, "many_steps")
        for _ in range(rounds):
            many = await _duration_ms(mesh, "many_steps")
            samples.append((many - await _duration_ms(mesh, "one_step")) / STEPS)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _IN_MEMORY,
        str(rounds),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return [
        report.Measured("step_overhead", samples, "in the run worker, events written to its spool"),
        report.Measured("step_overhead_in_memory", json.loads(output)),
    ]


async def _duration_ms(mesh: rig.Mesh, job: str) -> float:
    """Return how long the worker took from its first event to its last, by its own clock."""
    run = await mesh.client.runs.launch(runs.Launch(job, location_name="steps"))
    await mesh.client.runs.wait(run.run_id, timeout_s=60)
    query = api_pb2.EventFilter(run_id=run.run_id, kinds=["run_started", "run_succeeded"])
    times = [
        stored.event.timestamp.ToNanoseconds() async for stored in mesh.client.events.list(query)
    ]
    if len(times) != 2:
        raise RuntimeError(f"{job} did not succeed: see the run {run.run_id}")
    return (times[1] - times[0]) / 1e6
