"""What 10,000 assets take to be declared, and to be described to the host, without a process.

The garbage collector rests meanwhile, as it all but does while a location loads: what else the
process of the benchmarks holds must not count.
"""

import gc
import time

import atoll as dg
from atoll._wire import snapshot
from benchmarks import report, rig

ASSETS = 10_000


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Declare and describe, several times."""
    declared: list[float] = []
    described: list[float] = []
    for _ in range(place.count(5)):
        gc.collect()
        gc.disable()
        try:
            begun = time.process_time()
            definitions = _declare()
            declared.append(time.process_time() - begun)
            begun = time.process_time()
            snapshot.encode(definitions)
            described.append(time.process_time() - begun)
        finally:
            gc.enable()
    return [
        report.Measured("declare_10000", declared, "processor time"),
        report.Measured("snapshot_10000", described, "processor time"),
    ]


def _declare() -> dg.Definitions:
    def compute() -> None: ...

    assets = [
        dg.asset(
            name=f"a{number}",
            deps=[f"a{number - 1}"] if number else [],
            description="some words",
            owners=["team:x"],
            tags={"a": "b"},
            metadata={"rows": number, "note": "x"},
        )(compute)
        for number in range(ASSETS)
    ]
    definitions = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("all")])
    definitions.resolve_asset_graph()
    definitions.resolve_all_job_defs()
    return definitions
