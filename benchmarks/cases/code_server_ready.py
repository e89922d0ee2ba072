"""From the start of `atoll serve` until it tells a host that a build serves."""

import asyncio
import time

from benchmarks import definitions, growth, processes, report, rig
from tests.packaging import simulated_host

TIMEOUT_S = 60
ROUNDS = {10: 10, 100: 10, 1000: 7, 10_000: 3, 50_000: 3}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Start code servers of several sizes, several times each."""
    spent: dict[int, list[processes.Spent]] = {}
    async with simulated_host.serve() as host:
        for assets, rounds in ROUNDS.items():
            # The first writes bytecode, as installing does, and is not counted.
            seen = [await _ready(place, host, assets) for _ in range(place.count(rounds) + 1)]
            spent[assets] = seen[1:]
    return [
        *(
            report.Measured(f"code_server_ready_{assets}", [one.wall_s for one in seen])
            for assets, seen in spent.items()
        ),
        *growth.measured("ready", spent),
    ]


async def _ready(
    place: rig.Rig, host: simulated_host.SimulatedHost, assets: int
) -> processes.Spent:
    folder = place.folder("ready")
    (folder / "definitions.py").write_text(definitions.many_assets(assets))
    begun = time.perf_counter()
    process = await rig.start_code_server("ready", folder, host.address)
    try:
        state = await asyncio.wait_for(host.next_state(), TIMEOUT_S)
        ready_s = time.perf_counter() - begun
        processor_s = processes.cpu_seconds(processes.process_tree(process.pid))
    except TimeoutError:
        process.check()
        raise
    finally:
        await process.stop()
    if state.load_failure.message:
        raise RuntimeError(state.load_failure.message)
    return processes.Spent(ready_s, processor_s)
