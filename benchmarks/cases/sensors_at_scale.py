"""1,000 asset sensors over 100 locations at work: one event, a burst, and one beside a flood.

The burst gives every sensor ten events; each is one tick, in order. The flood gives all its events
to the sensors of one location, and what is measured is how long an event to another one takes
meanwhile.
"""

import asyncio
import time
from collections.abc import Sequence

from benchmarks import many_locations, processes, report, rig

SINGLES = 200
EVENTS_EACH = 10
FLOOD = 5_000
SINGLES_IN_FLOOD = 100
BATCH = 500
WITHIN_S = 180

Location = many_locations.SensingLocation


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Let simulated locations join a real host, and send it events."""
    async with place.mesh() as mesh, many_locations.joined(mesh) as joined:
        locations = [location for location, _ in joined]
        producing, channel = joined[0]
        async with many_locations.Producer.open(mesh, producing, channel) as producer:
            singles = await _singles(locations, producer, place.count(SINGLES))
            burst = await _burst(mesh, locations, producer)
            beside = await _beside_a_flood(locations, producer, place.count(SINGLES_IN_FLOOD))
    note = "from before the event is sent to its arrival at the location of the sensor"
    return [
        report.Measured("sensor_latency_at_scale", singles, note),
        report.Measured("sensor_latency_beside_flood", beside, f"beside {FLOOD} of one location"),
        *burst,
    ]


async def _singles(
    locations: Sequence[Location], producer: many_locations.Producer, count: int
) -> list[float]:
    """Send one event after the other; return the milliseconds of each to its sensor."""
    taken: list[float] = []
    for number in range(count):
        watching = locations[number % many_locations.LOCATIONS]
        path = many_locations.asset_path(number + 1, number % many_locations.SENSORS_EACH)
        taken.append(await _single(watching, producer, path))
    return taken


async def _single(watching: Location, producer: many_locations.Producer, path: list[str]) -> float:
    expected = len(watching.evaluated) + 1
    begun = time.perf_counter()
    await producer.materialize([path])
    await _evaluated(watching, expected)
    return 1000 * (max(watching.evaluated.values()) - begun)


async def _burst(
    mesh: rig.Mesh, locations: Sequence[Location], producer: many_locations.Producer
) -> list[report.Measured]:
    """Give every sensor some events at once, and wait until all are decided on."""
    paths = [
        many_locations.asset_path(number, index)
        for _ in range(EVENTS_EACH)
        for number in range(many_locations.LOCATIONS)
        for index in range(many_locations.SENSORS_EACH)
    ]
    pids = processes.process_tree(mesh.host.pid)
    memory = processes.proportional_memory_bytes(pids)
    each = EVENTS_EACH * many_locations.SENSORS_EACH
    expected = {location.name: len(location.evaluated) + each for location in locations}
    begun = time.perf_counter()
    for start in range(0, len(paths), BATCH):
        await producer.materialize(paths[start : start + BATCH])
    for location in locations:
        await _evaluated(location, expected[location.name])
    ends = sorted(max(location.evaluated.values()) - begun for location in locations)
    grown = processes.proportional_memory_bytes(pids) - memory
    note = f"{len(paths)} materializations, a tick each"
    return [
        report.Measured("sensor_burst", [ends[-1]], note),
        report.Measured(
            "sensor_burst_fairness",
            [ends[-1] / ends[len(ends) // 2]],
            "the last location to end against the median one",
        ),
        report.Measured("sensor_burst_memory", [grown / 1e6]),
    ]


async def _beside_a_flood(
    locations: Sequence[Location], producer: many_locations.Producer, count: int
) -> list[float]:
    """Flood the sensors of the first location; return the latencies of the others meanwhile."""
    flooded = locations[0]
    expected = len(flooded.evaluated) + FLOOD
    paths = [
        many_locations.asset_path(1, number % many_locations.SENSORS_EACH)
        for number in range(FLOOD)
    ]
    for start in range(0, FLOOD, BATCH):
        await producer.materialize(paths[start : start + BATCH])
    taken: list[float] = []
    for number in range(count):
        if len(flooded.evaluated) >= expected:
            break  # what follows would no longer be beside it
        watching = locations[1 + number % (many_locations.LOCATIONS - 1)]
        path = many_locations.asset_path(int(watching.name.removeprefix("location")) + 1, 0)
        taken.append(await _single(watching, producer, path))
    await _evaluated(flooded, expected)
    return taken


async def _evaluated(location: Location, expected: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(location.evaluated) < expected:
            location.heard.clear()
            await location.heard.wait()
