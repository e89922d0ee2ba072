"""How many ticks a second the sensors of one location get, when all are due all the time."""

import asyncio
import time

from benchmarks import definitions, report, rig

SENSORS = 800
WARM_UP_S = 6
WINDOW_S = 5
WINDOWS = 3


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Count evaluations over some windows of time."""
    samples: list[float] = []
    async with place.mesh() as mesh:
        await mesh.add_location("polling", definitions.polling_sensors(SENSORS))
        await asyncio.sleep(WARM_UP_S)
        before, begun = await _ticks(mesh), time.perf_counter()
        for _ in range(WINDOWS):
            await asyncio.sleep(WINDOW_S)
            after, now = await _ticks(mesh), time.perf_counter()
            samples.append((after - before) / (now - begun))
            before, begun = after, now
    note = f"{SENSORS} sensors that are due once a second: no more can be seen"
    return [report.Measured("polling_ticks", samples, note)]


async def _ticks(mesh: rig.Mesh) -> int:
    # Each evaluation raises the cursor of its sensor by one; only a committed tick keeps it.
    return sum([int(s.cursor or 0) async for s in mesh.client.sensors.list()])
