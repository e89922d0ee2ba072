"""What a good pair of locations feels of the others: the time from a materialization in `up` to the
start of the run that it triggers in `down`.

Taken from the timestamps of the two events, both written by run workers on this machine, so that
looking does not count. Used by the tests of isolation alone.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import runs_pb2
from atoll.client import connection, runs
from atoll.definitions.v1 import values_pb2

LAUNCHES = 15
ANSWERED_WITHIN_S = 20.0
ENOUGH_WITHIN_S = 60.0
# A watch would be told of every event that floods in: the observer must not add to the load.
LOOK_EVERY_S = 0.05


async def median_ms(
    client: connection.Client, *, enough: Callable[[], Awaitable[bool]] | None = None
) -> float:
    """Launch again and again, one after the other, and return the median latency.

    Args:
        client: The connection to the host.
        enough: Asked once there are LAUNCHES samples; more are taken for as long as it says no.
    """
    samples: list[float] = []
    async with asyncio.timeout(ENOUGH_WITHIN_S):
        while len(samples) < LAUNCHES or (enough is not None and not await enough()):
            samples.append(await _sample_ms(client))
    return statistics.median(samples)


async def _sample_ms(client: connection.Client) -> float:
    upstream = await client.runs.launch(runs.Launch("make_numbers", "up"))
    async with asyncio.timeout(ANSWERED_WITHIN_S):
        while (answer := await _answer(client, upstream.run_id)) is None:  # noqa: ASYNC110 - see above
            await asyncio.sleep(LOOK_EVERY_S)
    query = api_pb2.EventFilter(
        run_id=upstream.run_id,
        kinds=["asset_materialization"],
        asset_key=values_pb2.AssetKey(path=["numbers"]),
    )
    (materialization,) = [stored.event async for stored in client.events.list(query)]
    began_ns = materialization.timestamp.ToNanoseconds()
    return (answer.start_time.ToNanoseconds() - began_ns) / 1e6


async def _answer(client: connection.Client, upstream_run_id: str) -> runs_pb2.Run | None:
    """Return the run in `down` that the upstream run triggered, once it has ended."""
    async for run in client.runs.list(location_name="down", limit=1):
        if run.tags["upstream_run"] == upstream_run_id and run.status in runs.FINAL_STATUSES:
            assert run.status == runs_pb2.RUN_STATUS_SUCCESS, run
            return run
    return None
