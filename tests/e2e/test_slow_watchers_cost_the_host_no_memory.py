"""Watchers that do not read are not sent to: the memory of a host does not grow with a flood."""

import asyncio
import pathlib

import grpc.aio
import pytest

from atoll._rpc import options
from atoll.api.v1 import events_pb2, events_pb2_grpc, runs_pb2, runs_pb2_grpc
from tests.e2e import mesh
from tests.integration import code_location

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

WATCHERS = 20
EVENTS = 4_000
EVENT_BYTES = 10_000
GROWTH_MAX = 250 * 1024 * 1024
"""All watchers together would be sent three times as much."""
TIMEOUT_S = 120.0


def resident_bytes(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


async def test_a_flood_that_nobody_reads_stays_out_of_memory(tmp_path):
    with mesh.Mesh(tmp_path) as running:
        running.start()
        async with running.client():
            pass  # it answers now
        channel = grpc.aio.insecure_channel(running.address, options=options.CHANNEL)
        defined = code_location.snapshot(jobs=[code_location.job("job")])
        location = code_location.CodeLocation("flood", defined)
        try:
            await location.start(running.address)
            await location.join()
            run_id = await launched(channel, location)
            calls = [await watching(running.address) for _ in range(WATCHERS)]
            host = running.pid("host")
            before = resident_bytes(host)
            async with asyncio.timeout(TIMEOUT_S):
                for first_seq in range(1, EVENTS + 1, 100):
                    events = code_location.logs(run_id, 100, first_seq=first_seq)
                    for event in events:
                        event.message = "x" * EVENT_BYTES
                    await location.append(events)
                grown = resident_bytes(host) - before
                assert grown < GROWTH_MAX, f"{grown / 1e6:.0f} MB"
                # One of them begins to read, and finds everything.
                assert await seqs(calls[0][1]) == list(range(1, EVENTS + 1))
            for own, _ in calls:
                await own.close()
        finally:
            await location.stop()
            await channel.close()


async def launched(channel, location) -> str:
    """Return a run that the location has."""
    stub = runs_pb2_grpc.RunsServiceStub(channel)
    request = runs_pb2.LaunchRunRequest(location_name="flood", job_name="job")
    run_id = (await stub.LaunchRun(request)).run.run_id
    await location.next_plan()
    return run_id


async def watching(address: str):
    """Open a watch on a connection of its own, and read its first answer only."""
    own = (*options.CHANNEL, ("grpc.use_local_subchannel_pool", 1))
    channel = grpc.aio.insecure_channel(address, options=own)
    request = events_pb2.WatchEventsRequest(filter=events_pb2.EventFilter(kinds=["log_message"]))
    call = events_pb2_grpc.EventsServiceStub(channel).WatchEvents(request)
    await asyncio.wait_for(call.read(), TIMEOUT_S)
    return channel, call


async def seqs(call) -> list[int]:
    found: list[int] = []
    while len(found) < EVENTS:
        found += [each.event.seq for each in (await call.read()).events]
    return found
