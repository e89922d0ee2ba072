"""10,000 eager assets: their first evaluation, and from one materialization to a decision.

The assets stand in chains. One without a condition is at the beginning of each; the eager ones
follow. The first evaluation decides on all of them; after it, one asset near the end of a chain is
materialized, and the one after it must be requested. At last a host that starts anew evaluates all
of them, by the states that the first one stored.
"""

import contextlib
import time

from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import composites, entities
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import errors
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from benchmarks import many_locations, processes, report, rig, simulated_location

CHAINS = 1_000
EAGER_EACH = 10
SINGLES = 30
WITHIN_S = 180


class Location(simulated_location.SimulatedLocation):
    """A location that accepts whatever is requested and never ends it."""


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Let one simulated location with all the assets join a real host, and materialize some."""
    location = Location("chains", snapshot())
    async with place.mesh() as mesh:
        pids = processes.process_tree(mesh.host.pid)
        used, begun = processes.cpu_seconds(pids), time.perf_counter()
        async with simulated_location.join(location, mesh.address) as channel:
            await _evaluated(mesh, 0)
            first = time.perf_counter() - begun
            spent = processes.cpu_seconds(pids) - used
            async with many_locations.Producer.open(mesh, location, channel) as producer:
                singles = await _singles(mesh, producer, place.count(SINGLES))
    begun_at = time.time()
    async with place.mesh(database_url=mesh.database_url) as mesh:
        await _evaluated(mesh, begun_at)
        anew = processes.cpu_seconds(processes.process_tree(mesh.host.pid))
    note = f"{CHAINS * EAGER_EACH} eager assets"
    return [
        report.Measured("conditions_first", [first], f"{note}, since the location registered"),
        report.Measured("conditions_first_cpu", [spent], note),
        report.Measured("conditions_latency", singles, f"{note}, to the event of the new run"),
        report.Measured("conditions_anew_cpu", [anew], f"{note}, with the start of the host"),
    ]


async def _evaluated(mesh: rig.Mesh, after: float) -> None:
    """Wait until all conditions are evaluated after a moment, in seconds since 1970."""
    last = entity_messages.to_message(entities.asset(path(CHAINS - 1, EAGER_EACH)))

    async def evaluated() -> bool:
        with contextlib.suppress(errors.RpcError):
            found = await mesh.client.conditions.get(last)
            return found.evaluation_time.ToNanoseconds() > after * 1e9
        return False

    await rig.until(evaluated, "all conditions are evaluated", WITHIN_S)


async def _singles(mesh: rig.Mesh, producer: many_locations.Producer, count: int) -> list[float]:
    """Materialize some assets; return the milliseconds until the one after each is requested."""
    taken: list[float] = []
    query = api_pb2.EventFilter(kinds=["run_enqueued"])
    async with mesh.client.events.watch(query, patience_s=WITHIN_S) as watch:
        for chain in range(count):
            begun = time.perf_counter()
            await producer.materialize([list(path(chain, EAGER_EACH - 1))])
            await anext(watch)
            taken.append(1000 * (time.perf_counter() - begun))
    return taken


def path(chain: int, index: int) -> tuple[str, ...]:
    """Return the key of an asset; the one with index 0 has no condition."""
    return (f"chain{chain}", f"asset{index}")


def snapshot() -> snapshot_pb2.LocationSnapshot:
    """Return the chains, and one sensor that evaluates all of them."""
    made = snapshot_pb2.LocationSnapshot()
    eager = condition_messages.to_message(composites.eager())
    job = made.jobs.add(name="__ASSET_JOB", implicit=True)
    made.jobs.add(name=many_locations.PRODUCER_JOB)
    sensor = made.sensors.add(
        name="conditions",
        kind=snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION,
        default_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
    )
    for chain in range(CHAINS):
        for index in range(EAGER_EACH + 1):
            key = values_pb2.AssetKey(path=path(chain, index))
            asset = made.assets.add(
                key=key, executable=True, op_name=f"c{chain}__a{index}", group_name="g"
            )
            job.asset_keys.append(key)
            if index:
                before = values_pb2.AssetKey(path=path(chain, index - 1))
                asset.dependencies.add(asset_key=before)
                asset.automation_condition.CopyFrom(eager)
                sensor.automation_targets.append(
                    entity_messages.to_message(entities.asset(path(chain, index)))
                )
    return made
