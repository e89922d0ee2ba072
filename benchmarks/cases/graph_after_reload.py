"""From a reload of 10,000 assets until the host shows the new graph, beyond the load itself."""

import contextlib
import time

from atoll.client import errors
from atoll.definitions.v1 import values_pb2
from benchmarks import definitions, report, rig

ASSETS = 10_000
ROUNDS = 3


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Reload a large location with one asset changed, several times."""
    async with place.mesh() as mesh:
        await mesh.add_location("large", definitions.many_assets(ASSETS))
        samples = [await _reload(mesh, f"last_{number}") for number in range(ROUNDS)]
    return [report.Measured("graph_after_reload_10000", samples)]


async def _reload(mesh: rig.Mesh, last: str) -> float:
    source = definitions.many_assets(ASSETS, last)
    (mesh.folder / "large" / "definitions.py").write_text(source)
    key = values_pb2.AssetKey(path=[last])

    async def is_shown() -> bool:
        with contextlib.suppress(errors.RpcError):
            return bool((await mesh.client.assets.get(key)).owner_location_name)
        return False

    begun = time.perf_counter()
    answer = await mesh.client.locations.reload("large")
    if answer.load_failure.message:
        raise RuntimeError(answer.load_failure.message)
    await rig.until(is_shown, "the host shows the new graph")
    load_s = answer.current_build.load_duration.ToTimedelta().total_seconds()
    return time.perf_counter() - begun - load_s
