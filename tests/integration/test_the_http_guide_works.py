"""The commands of docs/guides/http-api.md are run as they stand there, against a real host."""

import asyncio
import json
import pathlib
import re
import shutil

import pytest

from atoll_host.http import http_settings
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "guides" / "http-api.md"
_BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 20.0


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_commands_of_the_guide_do_what_it_says(mesh, tmp_path):
    (tmp_path / "token-header.txt").write_text("authorization: Bearer of somebody\n")
    host = await mesh.host(http=http_settings.HttpSettings(listen="127.0.0.1:0"))
    defined = code_location.snapshot(
        [code_location.asset("orders")], [code_location.job("load", "orders")]
    )
    await mesh.location(host, "sales", defined)
    blocks = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    said = [
        await run(text, host.parts.http.address, tmp_path) for kind, text in blocks if kind == "sh"
    ]
    launched, listed, watched, refused, known = said
    run_id = json.loads(launched)["run"]["runId"]
    assert [each["runId"] for each in json.loads(listed)["runs"]] == [run_id]
    assert all("resumeToken" in json.loads(line) for line in watched.splitlines())
    [shown] = [json.loads(text) for kind, text in blocks if kind == "json"]
    assert json.loads(refused) == shown
    assert [each["name"] for each in json.loads(known)["locations"]] == ["sales"]


async def run(command: str, address: str, folder: pathlib.Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-ec",
        command,
        cwd=folder,
        env={"ATOLL": f"http://{address}", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 0, (command, out, problems)
    return out.decode()
