"""What a step costs beyond what it does: in a run of a location, in memory, and forked."""

import asyncio
import json
import sys

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import runs
from atoll.events.v1 import events_pb2
from benchmarks import definitions, processes, report, rig

STEPS = 1000
FEW = 100
_FORKED_ROUNDS = 2
_RUN_TIMEOUT_S = 120
_IN_MEMORY = """
import json, resource, sys, time
import atoll as dg
def made(number):
    @dg.asset(name=f"step_{number}")
    def computed() -> None: ...
    return computed
def do_nothing(number):
    @dg.op(name=f"op_{number}")
    def done() -> None: ...
    return done
def job_of(ops, executor):
    @dg.job(executor_def=executor)
    def work() -> None:
        for one in ops:
            one()
    return work
def materialized_s(assets):
    begun = time.perf_counter()
    assert dg.materialize(assets).success
    return time.perf_counter() - begun
def processor_s():
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
def executed_s(job):
    with dg.Instance.ephemeral() as instance:
        begun = processor_s()
        assert dg.execute_job(job, instance).success
        return processor_s() - begun
def of_a_step_ms(timed, many, one):
    return (timed(many) - timed(one)) / STEPS * 1000
STEPS, rounds = int(sys.argv[1]), int(sys.argv[2])
assets = [made(number) for number in range(STEPS + 1)]
ops = [do_nothing(number) for number in range(STEPS + 1)]
samples = {
    "step_overhead_in_memory": [
        of_a_step_ms(materialized_s, assets, assets[:1]) for _ in range(rounds)
    ]
}
forked = dg.multiprocess_executor.configured({"max_concurrent": 1})
for name, executor, times in (
    ("step_processor_time", dg.in_process_executor, rounds),
    ("step_processor_time_forked", forked, 1),
):
    many, one = job_of(ops, executor), job_of(ops[:1], executor)
    executed_s(one)
    samples[name] = [of_a_step_ms(executed_s, many, one) for _ in range(times)]
print(json.dumps(samples))
"""


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Compare jobs of one step and of many."""
    rounds = place.count(5)
    note = "in the run worker, events written to its spool"
    peaks = "the worker's peak at the end of the last step less that after 100 steps"
    forks = "one at a time"
    results: list[report.Measured] = []
    async with place.mesh() as mesh:
        await mesh.add_location("steps", definitions.many_steps(STEPS))
        await _duration_ms(mesh, await _run(mesh, "one_step"))
        for suffix, kind, times in (("", "", rounds), ("_forked", "forked_", _FORKED_ROUNDS)):
            samples: list[float] = []
            growths: list[float] = []
            spent: list[float] = []
            for _ in range(times):
                many = await _run(mesh, f"many_{kind}steps")
                one = await _run(mesh, f"one_{kind}step")
                both = await _duration_ms(mesh, many), await _duration_ms(mesh, one)
                samples.append((both[0] - both[1]) / STEPS)
                used = await _usages(mesh, many)
                growths.append(_growth_kb(used))
                spent.append(_processor_ms(used))
            how = f"{note}, {forks}" if kind else note
            results += [
                report.Measured(f"step_overhead{suffix}", samples, how),
                report.Measured(f"step_processor_time_in_run{suffix}", spent),
                report.Measured(f"step_memory{suffix}", growths, peaks),
            ]
    return [*results, *await _in_memory(rounds)]


async def _in_memory(rounds: int) -> list[report.Measured]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _IN_MEMORY,
        str(STEPS),
        str(rounds),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=processes.inherited_environment(),
    )
    output, _ = await process.communicate()
    return [report.Measured(name, samples) for name, samples in json.loads(output).items()]


async def _run(mesh: rig.Mesh, job: str) -> str:
    """Run a job to its end and return the id of the run."""
    run = await mesh.client.runs.launch(runs.Launch(job, location_name="steps"))
    await mesh.client.runs.wait(run.run_id, timeout_s=_RUN_TIMEOUT_S)
    return run.run_id


async def _duration_ms(mesh: rig.Mesh, run_id: str) -> float:
    """Return how long the worker took from its first event to its last, by its own clock."""
    query = api_pb2.EventFilter(run_id=run_id, kinds=["run_started", "run_succeeded"])
    times = [
        stored.event.timestamp.ToNanoseconds() async for stored in mesh.client.events.list(query)
    ]
    if len(times) != 2:
        raise RuntimeError(f"the run {run_id} did not succeed")
    return (times[1] - times[0]) / 1e6


async def _usages(mesh: rig.Mesh, run_id: str) -> list[events_pb2.ResourceUsage]:
    """Return what each step used, in the order in which they ended."""
    query = api_pb2.EventFilter(run_id=run_id, kinds=["step_succeeded"])
    used = {
        stored.event.seq: stored.event.step_succeeded.usage
        async for stored in mesh.client.events.list(query)
    }
    if len(used) <= STEPS:
        raise RuntimeError(f"{len(used)} of {STEPS + 1} steps of the run {run_id} succeeded")
    return [used[seq] for seq in sorted(used)]


def _processor_ms(used: list[events_pb2.ResourceUsage]) -> float:
    """Return what a step takes of the processor by what its last event tells."""
    return sum(one.cpu_user_ms + one.cpu_system_ms for one in used) / len(used)


def _growth_kb(used: list[events_pb2.ResourceUsage]) -> float:
    """Return by how much the peak of memory grew with each step, after the first hundred.

    A forked step begins with the memory of the run worker, so that its peak tells of that.
    """
    peaks = [one.memory_peak_bytes for one in used]
    return (peaks[-1] - peaks[FEW]) / (len(peaks) - 1 - FEW) / 1000
