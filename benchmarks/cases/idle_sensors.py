"""What 1,000 asset sensors and 1,000 schedules over 100 locations cost while nothing happens."""

import asyncio
import time

import psycopg

from benchmarks import many_locations, processes, report, rig

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
    async with place.mesh() as mesh, many_locations.joined(mesh):
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
