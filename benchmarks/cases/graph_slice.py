"""The slice of the graph that has 10,000 assets: asked for again, and for the first time.

"The first time" is after a reload: the host has gone through nothing of the new graph yet.
"""

import contextlib
import time

from atoll.client import errors
from atoll.definitions.v1 import values_pb2
from benchmarks import definitions, report, rig

ASSETS = 10_000
ROUNDS = 3


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Ask for the whole graph, and for all that lies up and down from an asset."""
    async with place.mesh() as mesh:
        await mesh.add_location("large", definitions.many_assets(ASSETS))
        first = [await _after_reload_ms(mesh, f"last_{number}") for number in range(ROUNDS)]
        again = [await _slice_ms(mesh) for _ in range(place.count(20))]
    return [
        report.Measured("graph_slice_10000", again),
        report.Measured("graph_slice_10000_first", first),
    ]


async def _after_reload_ms(mesh: rig.Mesh, last: str) -> float:
    source = definitions.many_assets(ASSETS, last)
    (mesh.folder / "large" / "definitions.py").write_text(source)
    key = values_pb2.AssetKey(path=[last])

    async def is_shown() -> bool:
        with contextlib.suppress(errors.RpcError):
            return bool((await mesh.client.assets.get(key)).owner_location_name)
        return False

    await mesh.client.locations.reload("large")
    await rig.until(is_shown, "the host shows the new graph")
    return await _slice_ms(mesh)


async def _slice_ms(mesh: rig.Mesh) -> float:
    begun = time.perf_counter()
    found = [node async for node in mesh.client.graph.nodes()]
    spent_s = time.perf_counter() - begun
    if len(found) < ASSETS:
        raise RuntimeError(f"the slice has {len(found)} assets, not {ASSETS}")
    return spent_s * 1000
