"""A hundred clients watch the log of one host: how late the last hears, and how much goes out.

Each has a connection of its own. They share the machine with the host, so what they take to read
is part of every figure but the host's own processor time.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from atoll._rpc import options
from atoll.api.v1 import events_pb2, events_pb2_grpc
from benchmarks import processes, report, rig, simulated_location
from benchmarks.cases import intake

CLIENTS = 100
KINDS = ("log_message", "asset_materialization", "run_started")
FLOOD_BATCHES = 20
FLOOD_BATCH = 100
IN_FLIGHT = 4
TIMEOUT_S = 120


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Send single events, then floods, with all clients watching."""
    location = simulated_location.SimulatedLocation("flood", intake.snapshot())
    async with (
        asyncio.timeout(4 * TIMEOUT_S),
        place.mesh() as mesh,
        simulated_location.join(location, mesh.address) as channel,
        intake.Sender.open(mesh, location, channel) as sender,
        _watches(mesh.address) as watches,
    ):
        latencies = [await _seen_ms(sender, watches, 1, 1) for _ in range(place.count(50) + 5)]
        flood = FLOOD_BATCHES * FLOOD_BATCH
        rates: list[float] = []
        costs: list[float] = []
        for _ in range(place.count(5)):
            tree = processes.process_tree(mesh.host.pid)
            before = processes.cpu_seconds(tree)
            took_ms = await _seen_ms(sender, watches, FLOOD_BATCHES, FLOOD_BATCH)
            costs.append((processes.cpu_seconds(tree) - before) * 1_000_000 / (flood * CLIENTS))
            rates.append(flood * CLIENTS / took_ms * 1000)
    note = f"{CLIENTS} clients, {flood} events in batches of {FLOOD_BATCH}"
    return [
        report.Measured("watch_fanout_latency", latencies[5:], f"{CLIENTS} clients"),
        report.Measured("watch_fanout_rate", rates, note),
        report.Measured("watch_fanout_processor_time", costs, "storing the events included"),
    ]


@contextlib.asynccontextmanager
async def _watches(address: str) -> AsyncIterator[list[Any]]:
    """Open a watch on each of many connections."""
    async with contextlib.AsyncExitStack() as stack:
        calls: list[Any] = []
        for _ in range(CLIENTS):
            # Of its own: channels with the same options would share one connection.
            own = (*options.CHANNEL, ("grpc.use_local_subchannel_pool", 1))
            channel = await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=own)
            )
            stub = events_pb2_grpc.EventsServiceStub(channel)
            request = events_pb2.WatchEventsRequest(filter=events_pb2.EventFilter(kinds=KINDS))
            calls.append(stub.WatchEvents(request))
        await asyncio.gather(*(call.read() for call in calls))
        yield calls


async def _seen_ms(sender: intake.Sender, watches: list[Any], batches: int, batch: int) -> float:
    """Append events; return how long it took until every client had all of them."""
    begun = time.perf_counter()
    reading = [asyncio.create_task(_read(call, batches * batch)) for call in watches]
    await sender.rate(batches, batch, IN_FLIGHT)
    await asyncio.gather(*reading)
    return (time.perf_counter() - begun) * 1000


async def _read(call: Any, count: int) -> None:
    while count > 0:
        count -= len((await call.read()).events)
