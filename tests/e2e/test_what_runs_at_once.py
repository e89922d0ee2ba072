"""Limits, pools, retries and timeouts on real processes, with the settings of a file."""

import pathlib

import pytest

from atoll.api.v1 import runs_pb2
from atoll.client import connection, runs
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

EXAMPLE = mesh.EXAMPLES / "concurrency"
SOURCE = """
import os
import pathlib
import signal
import time
import atoll as dg

HERE = pathlib.Path(__file__).parent

@dg.asset
def first():
    with (HERE / "first").open("a") as file:
        file.write("x")

@dg.asset(deps=[first])
def second():
    # The first time its process dies, the second time it raises.
    with (HERE / "second").open("a+") as file:
        file.write("x")
        file.seek(0)
        times = len(file.read())
    if times == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if times == 2:
        raise ValueError("not yet")

@dg.asset
def endless():
    try:
        time.sleep(60)
    finally:
        (HERE / "cleaned up").write_text("")

again = dg.define_asset_job("again", [first, second], run_tags={"atoll/max_retries": "2"})
bounded = dg.define_asset_job("bounded", [endless], run_tags={dg.MAX_RUNTIME_SECONDS_TAG: "1"})
forked = dg.define_asset_job(
    "forked", [endless], run_tags={dg.MAX_RUNTIME_SECONDS_TAG: "1"},
    executor_def=dg.multiprocess_executor,
)
defs = dg.Definitions([first, second, endless], jobs=[again, bounded, forked])
"""


async def launched(client: connection.Client, job: str, **tags: str) -> runs_pb2.Run:
    launch = runs.Launch(job, tags=tags)
    return await client.runs.launch(launch)


async def test_the_example_runs_under_its_limits(tmp_path: pathlib.Path) -> None:
    options = ("--config", str(EXAMPLE / "atoll.toml"))
    with mesh.Mesh(tmp_path, host_options=options) as running:
        running.add("shop", EXAMPLE / "definitions.py")
        running.start()
        await running.serving("shop")
        async with running.client() as client:
            pools = {pool.name: pool async for pool in client.pools.list()}
            assert set(pools) == {"api", "warehouse"}
            assert all((pool.limit, pool.limit_is_default) == (1, True) for pool in pools.values())
            await client.pools.set_limit("warehouse", 2)
            started = [await launched(client, "nightly")]
            started += [await launched(client, "refresh", customer="acme") for _ in range(2)]
            for run in started:
                ended = await client.runs.wait(run.run_id, timeout_s=mesh.WITHIN_S)
                assert ended.status == runs_pb2.RUN_STATUS_SUCCESS, ended.failure
            first, second = [await client.runs.get(run.run_id) for run in started[1:]]
            # One at once for each customer.
            assert second.start_time.ToNanoseconds() >= first.end_time.ToNanoseconds()


async def test_a_run_is_run_again_from_where_it_failed(fresh_mesh: mesh.Mesh) -> None:
    code = fresh_mesh.folder / "code"
    code.mkdir()
    (code / "definitions.py").write_text(SOURCE)
    fresh_mesh.add("place", code / "definitions.py")
    fresh_mesh.start()
    await fresh_mesh.serving("place")
    async with fresh_mesh.client() as client:
        first = await launched(client, "again")

        async def all_ended(client: connection.Client) -> list[runs_pb2.Run]:
            found = [run async for run in client.runs.list()]
            done = runs_pb2.RUN_STATUS_SUCCESS
            return found if any(run.status == done for run in found) else []

        newest, middle, oldest = await fresh_mesh.until(all_ended)
        assert oldest.run_id == first.run_id
        assert (middle.parent_run_id, newest.parent_run_id) == (oldest.run_id, middle.run_id)
        assert oldest.tags["atoll/auto_retry_run_id"] == middle.run_id
        assert (code / "first").read_text() == "x"
        assert (code / "second").read_text() == "xxx"


@pytest.mark.parametrize("job", ["bounded", "forked"])
async def test_a_run_that_takes_too_long_cleans_up_and_fails(
    fresh_mesh: mesh.Mesh, job: str
) -> None:
    code = fresh_mesh.folder / "code"
    code.mkdir()
    (code / "definitions.py").write_text(SOURCE)
    fresh_mesh.add("place", code / "definitions.py")
    fresh_mesh.start()
    await fresh_mesh.serving("place")
    async with fresh_mesh.client() as client:
        run = await launched(client, job)
        ended = await client.runs.wait(run.run_id, timeout_s=mesh.WITHIN_S)
    assert ended.status == runs_pb2.RUN_STATUS_FAILURE
    assert ended.failure.type == "MaxRuntimeExceeded"
    assert (code / "cleaned up").exists()
