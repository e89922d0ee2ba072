"""A page of 100,000 runs: the first, one deep in the list, and one of a filter."""

import asyncio
import time

import grpc.aio
import psycopg

from atoll._rpc import options
from atoll.api.v1 import runs_pb2, runs_pb2_grpc
from benchmarks import report, rig

RUNS = 100_000
PAGE = 50
DEEP_PAGES = 200
FILTERS: dict[str, runs_pb2.RunFilter] = {
    "job": runs_pb2.RunFilter(job_name="job7"),
    "tag": runs_pb2.RunFilter(tags=[runs_pb2.RunTagFilter(key="order", values=["o5"])]),
    "status": runs_pb2.RunFilter(statuses=[runs_pb2.RUN_STATUS_CANCELED]),
}
_FILL = """
INSERT INTO runs (run_id, location_name, job_name, status, tags, asset_selection, partition_key,
    create_time, update_time, requested_build_id, tick_id, run_key)
SELECT md5(n::text), 'loc' || n %% 5, 'job' || n %% 40,
    CASE WHEN n %% 1000 = 0 THEN 'CANCELED' WHEN n %% 30 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END,
    jsonb_build_object('team', 't' || n %% 4, 'order', 'o' || n %% 2000), '[]', '',
    now() - n * interval '10 seconds', now() - n * interval '10 seconds', '', '', ''
FROM generate_series(1, %s) AS n
"""


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Fill the table, then list over the API."""
    async with (
        place.mesh() as mesh,
        grpc.aio.insecure_channel(mesh.address, options=options.CHANNEL) as channel,
    ):
        await asyncio.to_thread(_fill, mesh.database_url)
        stub = runs_pb2_grpc.RunsServiceStub(channel)
        token = ""
        for _ in range(DEEP_PAGES):
            token = (await stub.ListRuns(_request(token=token))).next_page_token
        first = [await _page_ms(stub, _request()) for _ in range(place.count(30))]
        deep = [await _page_ms(stub, _request(token=token)) for _ in range(place.count(30))]
        chosen = [
            await _page_ms(stub, _request(query))
            for query in FILTERS.values()
            for _ in range(place.count(20))
        ]
    return [
        report.Measured("list_runs_first_page", first, f"{PAGE} of {RUNS:,} runs"),
        report.Measured("list_runs_deep_page", deep, f"after {DEEP_PAGES} pages"),
        report.Measured("list_runs_filtered", chosen, "by " + ", ".join(FILTERS)),
    ]


def _request(
    query: runs_pb2.RunFilter | None = None, *, token: str = ""
) -> runs_pb2.ListRunsRequest:
    return runs_pb2.ListRunsRequest(filter=query, page_size=PAGE, page_token=token)


async def _page_ms(stub: runs_pb2_grpc.RunsServiceStub, request: runs_pb2.ListRunsRequest) -> float:
    begun = time.perf_counter()
    answer = await stub.ListRuns(request)
    if not answer.runs:
        raise RuntimeError(f"no runs for {request}")
    return (time.perf_counter() - begun) * 1000


def _fill(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, [RUNS])
        connection.execute("ANALYZE runs")
