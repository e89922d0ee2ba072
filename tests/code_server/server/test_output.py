"""Captured output: a step that floods is cut while it goes on, with and without a host."""

import asyncio

import pytest

from atoll._location import capture
from atoll.mesh.v1 import mesh_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BOUND = 1000
# Cuts nothing itself: its process has the real bound.
FLOODING = """
    import pathlib, time
    import atoll as dg

    HERE = pathlib.Path.cwd()

    @dg.asset
    def flooding() -> None:
        print("x" * 5000, flush=True)
        (HERE / "flooded").write_text("yes")
        deadline = time.monotonic() + 30
        while not (HERE / "go").exists():
            if time.monotonic() > deadline:
                raise RuntimeError("go never came")
            time.sleep(0.005)

    flooding_job = dg.define_asset_job("flooding_job", selection=[flooding])
"""


@pytest.fixture(autouse=True)
def small_bound(monkeypatch):
    monkeypatch.setattr(capture, "STREAM_BYTES_MAX", BOUND)


async def _cut(path) -> None:
    while path.stat().st_size > BOUND + len(capture.CUT_NOTE):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_step_that_floods_is_cut_while_no_host_takes_its_output(tmp_path):
    async with locations.serving_location(tmp_path, FLOODING) as location:
        plan = locations.new_plan("flooding_job")
        await location.start_run(plan)
        await location.file("flooded")
        output = tmp_path / "state/runs" / plan.run_id / "output/flooding.out"
        await asyncio.wait_for(_cut(output), 10)
        assert output.read_bytes() == b"x" * BOUND + capture.CUT_NOTE


async def test_the_host_gets_what_is_kept_and_the_note(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, FLOODING, host=host.address) as location,
    ):
        plan = locations.new_plan("flooding_job")
        await location.start_run(plan)
        await location.file("flooded")
        location.touch("go")
        await host.ended(plan.run_id)
        while location.server.runs.held():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        key = (plan.run_id, "flooding", mesh_pb2.OUTPUT_STREAM_STDOUT)
        assert host.memory.output[key] == b"x" * BOUND + capture.CUT_NOTE
