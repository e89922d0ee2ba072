"""What 1,000 asset sensors over 100 locations cost the host while nothing happens."""

import asyncio
import contextlib
import time

import psycopg

from atoll.definitions.v1 import snapshot_pb2, values_pb2
from benchmarks import processes, report, rig, simulated_location

LOCATIONS = 100
SENSORS_EACH = 10
# Backends of Postgres tell what they did after at most ten idle seconds.
SETTLE_S = 12
WINDOW_S = 5
WINDOWS = 4
_TRANSACTIONS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Let simulated locations join a real host, and watch its processor time."""
    async with place.mesh() as mesh, contextlib.AsyncExitStack() as stack:
        for number in range(LOCATIONS):
            location = simulated_location.SimulatedLocation(f"location{number}", _snapshot(number))
            await stack.enter_async_context(simulated_location.join(location, mesh.address))

        async def all_known() -> bool:
            return len([s async for s in mesh.client.sensors.list()]) == LOCATIONS * SENSORS_EACH

        await rig.until(all_known, "the host knows all sensors")
        await asyncio.sleep(SETTLE_S)
        return await _watch_idle(mesh)


async def _watch_idle(mesh: rig.Mesh) -> list[report.Measured]:
    shares: list[float] = []
    pids = processes.process_tree(mesh.host.pid)
    async with await psycopg.AsyncConnection.connect(mesh.database_url, autocommit=True) as link:
        queries_before, first = await _number(link, _TRANSACTIONS), time.perf_counter()
        for _ in range(WINDOWS):
            before, begun = processes.cpu_seconds(pids), time.perf_counter()
            await asyncio.sleep(WINDOW_S)
            used = processes.cpu_seconds(pids) - before
            shares.append(100 * used / (time.perf_counter() - begun))
        queries = await _number(link, _TRANSACTIONS) - queries_before
        rate = queries / (time.perf_counter() - first)
        connections = await _number(link, _CONNECTIONS)
    return [
        report.Measured("idle_sensors_cpu", shares, "simulated code servers, real sessions"),
        report.Measured("idle_sensors_queries", [rate]),
        report.Measured("host_connections", [connections]),
    ]


async def _number(link: psycopg.AsyncConnection[tuple[int]], query: str) -> int:
    row = await (await link.execute(query.encode())).fetchone()
    return row[0] if row else 0


def _snapshot(number: int) -> snapshot_pb2.LocationSnapshot:
    """Return sensors that each watch an asset of the next location."""
    snapshot = snapshot_pb2.LocationSnapshot()
    for index in range(SENSORS_EACH):
        own = values_pb2.AssetKey(path=[f"location{number}", f"asset{index}"])
        watched = values_pb2.AssetKey(path=[f"location{(number + 1) % LOCATIONS}", f"asset{index}"])
        snapshot.assets.add(
            key=own, executable=True, op_name=f"location{number}__asset{index}", group_name="g"
        )
        snapshot.jobs.add(name=f"job{index}", asset_keys=[own])
        snapshot.sensors.add(
            name=f"sensor{index}",
            kind=snapshot_pb2.SENSOR_KIND_ASSET,
            job_names=[f"job{index}"],
            monitored_assets=[watched],
            default_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
        )
    return snapshot
