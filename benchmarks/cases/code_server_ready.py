"""From the start of `atoll serve` until it tells a host that a build serves."""

import asyncio
import time

from benchmarks import definitions, report, rig
from tests.packaging import simulated_host

TIMEOUT_S = 60
ROUNDS = {10: 7, 1000: 5, 10_000: 3}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Start code servers of three sizes, several times each."""
    results: list[report.Measured] = []
    async with simulated_host.serve() as host:
        for assets, rounds in ROUNDS.items():
            # The first writes bytecode, as installing does, and is not counted.
            times = [await _ready_s(place, host, assets) for _ in range(place.count(rounds) + 1)]
            results.append(report.Measured(f"code_server_ready_{assets}", times[1:]))
    return results


async def _ready_s(place: rig.Rig, host: simulated_host.SimulatedHost, assets: int) -> float:
    folder = place.folder("ready")
    (folder / "definitions.py").write_text(definitions.many_assets(assets))
    begun = time.perf_counter()
    process = await rig.start_code_server("ready", folder, host.address)
    try:
        state = await asyncio.wait_for(host.next_state(), TIMEOUT_S)
        ready_s = time.perf_counter() - begun
    except TimeoutError:
        process.check()
        raise
    finally:
        await process.stop()
    if state.load_failure.message:
        raise RuntimeError(state.load_failure.message)
    return ready_s
