"""From a materialization in one location to user code of the run it triggers in another.

Both times are taken by user code and its worker on the same machine's clock: the timestamp of the
materialization in A, and what the asset in B reads first.
"""

import asyncio

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import events, runs
from benchmarks import definitions, report, rig

WARM_UP = 5
TIMEOUT_S = 30


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Materialize in A, and wait for B, again and again."""
    async with place.mesh() as mesh:
        await mesh.add_location("producer", definitions.PRODUCER)
        await mesh.add_location("consumer", definitions.CONSUMER)
        query = api_pb2.EventFilter(kinds=["asset_materialization"])
        async with mesh.client.events.watch(query) as watch:
            await watch.opened()
            samples = [await _latency_ms(mesh, watch) for _ in range(place.count(120) + WARM_UP)]
    return [report.Measured("cross_location_latency", samples[WARM_UP:])]


async def _latency_ms(mesh: rig.Mesh, watch: events.Watch) -> float:
    launch = runs.Launch("source_job", location_name="producer")
    await mesh.client.runs.launch(launch)
    async with asyncio.timeout(TIMEOUT_S):
        produced = await anext(watch)
        consumed = await anext(watch)
    sink = consumed.event.asset_materialization
    if list(sink.asset_key.path) != ["sink"]:
        raise RuntimeError(f"an unexpected materialization: {consumed}")
    began_ns = sink.metadata["began_ns"].int
    return (began_ns - produced.event.timestamp.ToNanoseconds()) / 1e6
