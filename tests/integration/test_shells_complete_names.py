"""What a shell proposes while somebody types: names of a real host, or nothing at all."""

import asyncio
import contextlib
import time

import click.testing
import pytest

from atoll._cli import main
from atoll.definitions.v1 import snapshot_pb2
from atoll_host.access import access_settings
from tests.integration import code_location
from tests.integration.conftest import Mesh, _until_view


@pytest.fixture(autouse=True)
def _no_contexts(tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
async def busy(mesh: Mesh):
    """A host with a location that has something of many kinds."""
    host = await mesh.host()
    defined = code_location.snapshot(
        [code_location.asset("raw/sales"), code_location.asset("report")],
        jobs=[code_location.job("load", "raw/sales"), code_location.job("clean", "report")],
        sensors=[snapshot_pb2.SensorDefinition(name="watch_files")],
    )
    await mesh.location(host, "lake", defined)
    await _until_view(host, lambda registry: registry.graph().owner(("report",)))
    return host


async def typed(text: str, address: str, of: str = "bash", **environment) -> list[str]:
    """Return what is proposed after a text, of whose words the last one is under way."""
    words = text.split(" ")
    variables = {
        "_ATOLL_COMPLETE": f"{of}_complete",
        "COMP_WORDS": text,
        "COMP_CWORD": str(len(words) - 1) if of != "fish" else words[-1],
        "ATOLL_HOST": address,
        **environment,
    }
    runner = click.testing.CliRunner()
    result = await asyncio.to_thread(runner.invoke, main.main, [], prog_name="atoll", env=variables)
    assert result.stderr == ""
    assert result.exit_code == 0
    lines = result.stdout.split("\n")
    if of == "zsh":
        return [line for line in lines if line and line not in {"plain", "_"}]
    return [line.partition(",")[2].partition("\t")[0] for line in lines if line]


async def test_names_are_those_of_the_host(busy):
    at = busy.address
    assert await typed("atoll runs launch --job ", at) == ["clean", "load"]
    assert await typed("atoll runs launch --job c", at) == ["clean"]
    assert await typed("atoll runs list --location ", at) == ["lake"]
    assert await typed("atoll assets show r", at) == ["raw/sales", "report"]
    assert await typed("atoll sensors start ", at) == ["watch_files"]
    assert await typed("atoll locations show ", at, of="zsh") == ["lake"]
    assert await typed("atoll locations show ", at, of="fish") == ["lake"]
    # An option before it says otherwise.
    assert await typed("atoll runs list --host 127.0.0.1:1 --location ", at) == []


async def test_runs_are_completed_too(busy, mesh):
    launched = await asyncio.to_thread(
        click.testing.CliRunner().invoke,
        main.main,
        ["runs", "launch", "--asset", "report", "--json"],
        env={"ATOLL_HOST": busy.address},
    )
    assert launched.exit_code == 0, launched.output
    [run_id] = await typed("atoll runs show ", busy.address)
    assert run_id in launched.output


async def test_commands_and_options_need_no_host():
    nowhere = "127.0.0.1:1"
    assert await typed("atoll pool", nowhere) == ["pools"]
    assert "--location" in await typed("atoll runs list --", nowhere)
    assert await typed("atoll runs list --status ca", nowhere) == ["canceled", "canceling"]


@pytest.mark.parametrize(
    "text", ["atoll runs show ", "atoll runs list --location ", "atoll pools create x"]
)
async def test_where_nobody_answers_nothing_is_said(text):
    assert await typed(text, "127.0.0.1:1") == []


async def test_a_host_that_does_not_answer_is_waited_for_about_a_second():
    writers: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        began = time.monotonic()
        assert await typed("atoll locations show ", f"127.0.0.1:{port}") == []
        assert time.monotonic() - began < 10
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_what_the_caller_may_not_see_is_not_proposed(mesh, tmp_path):
    host = await mesh.host(access=access_settings.DEFAULT, data_dir=tmp_path)
    token = (tmp_path / "admin.token").read_text().strip()
    await_tokens = "atoll tokens revoke "
    assert await typed(await_tokens, host.address) == []
    assert len(await typed(await_tokens, host.address, ATOLL_TOKEN=token)) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(shell):
    result = click.testing.CliRunner().invoke(main.main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_ATOLL_COMPLETE={shell}_complete" in result.output


async def test_a_name_that_is_not_there_is_told_with_the_one_that_was_meant(busy):
    runner = click.testing.CliRunner()
    for arguments, near in [
        (["locations", "show", "lakee"], "lake"),
        (["sensors", "show", "watch_file"], "watch_files"),
        (["assets", "show", "raw/sale"], "raw/sales"),
        (["runs", "launch", "--job", "lod"], "load"),
    ]:
        result = await asyncio.to_thread(
            runner.invoke, main.main, arguments, env={"ATOLL_HOST": busy.address}
        )
        assert result.exit_code == 1
        assert f"Did you mean {near!r}?" in result.stderr, result.output
    result = await asyncio.to_thread(
        runner.invoke, main.main, ["locations", "show", "xyz"], env={"ATOLL_HOST": busy.address}
    )
    assert "Did you mean" not in result.stderr
