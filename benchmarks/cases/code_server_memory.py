"""What all processes of an idle code server hold in memory (PSS), in an environment of its own.

Files of the environment are copied, not linked from a cache, so that no other process of the
machine shares their pages: a location is charged for all of what it maps.
"""

import asyncio

from benchmarks import definitions, processes, report, rig
from tests.packaging import simulated_host

TIMEOUT_S = 60
SETTLE_S = 3
SIZES = {10: "code_server_memory", 10_000: "code_server_memory_10000"}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Start code servers and look at them once they are quiet."""
    command = await rig.copied_environment(place.folder("environment"))
    results: list[report.Measured] = []
    async with simulated_host.serve() as host:
        for assets, figure in SIZES.items():
            samples = [await _memory_mb(place, host, assets, command) for _ in range(3)]
            results.append(report.Measured(figure, samples))
    return results


async def _memory_mb(
    place: rig.Rig, host: simulated_host.SimulatedHost, assets: int, command: str
) -> float:
    folder = place.folder("memory")
    (folder / "definitions.py").write_text(definitions.many_assets(assets))
    process = await rig.start_code_server("memory", folder, host.address, command=command)
    try:
        await asyncio.wait_for(host.next_state(), TIMEOUT_S)
        await asyncio.sleep(SETTLE_S)
        process.check()
        return processes.proportional_memory_bytes(processes.process_tree(process.pid)) / 1e6
    finally:
        await process.stop()
