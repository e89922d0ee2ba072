"""Every command and program of the guide to reports does what the guide says."""

import asyncio
import contextlib
import io
import re
import shlex
from pathlib import Path

import click.testing
import pytest

from atoll._cli import main as cli
from atoll._wire import snapshot as snapshots
from atoll.api.v1 import assets_pb2
from tests.docs import blocks
from tests.integration import code_location

pytestmark = pytest.mark.postgres

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "report-external-assets.md"
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
async def location(mesh, host):
    first, *_ = blocks.blocks_of(GUIDE.read_text())
    names: dict = {"__name__": "guide"}
    exec(first.text, names)  # noqa: S102 - the page is ours
    return await mesh.location(host, "town", snapshots.to_message(names["defs"]))


async def test_the_commands_work_in_their_order(host, location):
    assert len(COMMANDS) > 5
    runner = click.testing.CliRunner()
    said = {}
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "atoll"
        environment = {"ATOLL_HOST": host.address}
        result = await asyncio.to_thread(runner.invoke, cli.main, arguments, env=environment)
        assert result.exit_code == 0, f"{command}: {result.output}"
        said[command] = result.output
    assert "2026-01-06" in said["atoll assets partitions lake/orders --state failed"]
    assert "files=12" in said["atoll assets materializations lake/raw"]


async def test_the_program_reports(host, client, location, monkeypatch):
    monkeypatch.setenv("ATOLL_HOST", host.address)
    program = list(blocks.blocks_of(GUIDE.read_text()))[1]
    printed = io.StringIO()

    def run() -> None:
        exec(program.text, {"__name__": "guide"})  # noqa: S102 - the page is ours

    with contextlib.redirect_stdout(printed):
        await asyncio.to_thread(run)
        await asyncio.to_thread(run)
    request = assets_pb2.ListMaterializationsRequest(asset_key=code_location.key("lake/raw"))
    (stored,) = (await client.assets.ListMaterializations(request)).materializations
    assert printed.getvalue().split() == [str(stored.id)] * 2
    assert stored.event.asset_materialization.metadata["rows"].int == 42
