"""The guides of the API do what they say: each block runs against a host as they describe it.

A call that is written for a general client of gRPC is made by the descriptors, as such a client
does.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

import atoll as dg
from atoll._partition_messages import definitions as partition_messages
from atoll.events.v1 import events_pb2 as log_pb2
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_host.access import access_settings
from atoll_host.http import http_settings
from tests.docs import blocks
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TREE = Path(__file__).parents[2]
GUIDES = TREE / "docs" / "guides"
README = (TREE / "README.md").read_text()
API = (TREE / "docs" / "api" / "README.md").read_text()
LAUNCHING = (GUIDES / "launch-from-another-service.md").read_text()
FOLLOWING = (GUIDES / "follow-events.md").read_text()
ADDRESS = "127.0.0.1:4700"
HTTP_ADDRESS = "127.0.0.1:4701"
TIMEOUT_S = 60.0
DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Location(code_location.CodeLocation):
    """The location of the guides: it runs everything at once, and it goes well."""

    async def _succeed(self, plan) -> None:
        made = log_pb2.AssetMaterialization(
            asset_key=code_location.key("report"), partition=plan.partition_key
        )
        bodies = [
            {"run_started": log_pb2.RunStarted(build_id="b1", pid=1)},
            {"asset_materialization": made},
            {"run_succeeded": log_pb2.RunSucceeded()},
        ]
        await self.append(code_location.numbered(plan.run_id, bodies))
        self.held.pop(plan.run_id, None)


@pytest.fixture
async def host(database_url: str):
    """A host with the location of the guides."""
    settings = {"listen": "127.0.0.1:0", "database_url": database_url, "lease_ttl_s": 30.0}
    settings["access"] = access_settings.OPEN
    settings["http"] = http_settings.HttpSettings(listen="127.0.0.1:0")
    host = hosts.Host(host_settings.Settings(**settings))
    await host.start()
    days = partition_messages.to_message(DAYS)
    defined = code_location.snapshot(
        [code_location.asset("report", partitions=days), code_location.asset("daily_sales")],
        [
            code_location.job("daily", "report", partitions=days),
            code_location.job("sales_job", "daily_sales"),
        ],
    )
    location = Location("sales", defined)
    location.runs_at_once = True
    await location.start(host.address)
    await location.join()
    yield host
    await location.stop()
    await host.stop()


@pytest.fixture
def address(host) -> str:
    return host.address


async def run(folder: Path, address: str, *command: str) -> str:
    """Run a command that ends well; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "ATOLL_HOST": address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(TIMEOUT_S):
        printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def call(address: str, document: str, method: str) -> str:
    """Make a call as a client does that knows only the descriptors; return the first answer."""
    service_name, _, name = method.partition("/")
    found = descriptor_pool.Default().FindServiceByName(service_name).methods_by_name[name]
    make, response = map(message_factory.GetMessageClass, (found.input_type, found.output_type))
    request = json_format.ParseDict(json.loads(document), make())
    async with grpc.aio.insecure_channel(address) as channel:
        kind = channel.unary_stream if found.server_streaming else channel.unary_unary
        made = kind(f"/{method}", make.SerializeToString, response.FromString)(
            request, timeout=TIMEOUT_S
        )
        answer = await (made.read() if found.server_streaming else made)
    return json_format.MessageToJson(answer)


async def say(folder: Path, address: str, line: str) -> str:
    """Do what a line of a shell says."""
    words = shlex.split(line)
    if words[0] == "atoll":
        return await run(folder, address, sys.executable, "-m", *words)
    assert words[:3] == ["grpcurl", "-plaintext", "-d"], line
    assert words[4] == ADDRESS, line
    return await call(address, words[3], words[5])


async def run_page(text: str, folder: Path, address: str) -> dict[str, str]:
    """Run everything on a page, in its order; return what each block or line printed."""
    programs = {text.index(block.text): block.text for block in blocks.blocks_of(text)}
    shells = {found.start(1): found[1] for found in _SHELL.finditer(text)}
    printed: dict[str, str] = {}
    for place in sorted({**programs, **shells}):
        if place in programs:
            program = programs[place].replace(ADDRESS, address)
            printed[program] = await run(folder, address, sys.executable, "-c", program)
            continue
        for line in shells[place].splitlines():
            printed[line] = await say(folder, address, line)
    return printed


async def test_runs_are_launched_from_another_service(address, tmp_path):
    printed = await run_page(LAUNCHING, tmp_path, address)
    said = list(printed.values())
    assert said[0] == "daily 2026-01-05\n"
    assert said[1].split()[-1] == "SUCCESS"
    assert "2026-01-05" in said[2]
    assert "sales 1" in said[2]
    assert all(said)
    launched = next(text for line, text in printed.items() if "order-4713" in line)
    assert json.loads(launched)["run"]["partitionKey"] == "2026-01-08"


async def test_events_are_followed(address, tmp_path):
    launch = "atoll runs launch --job daily --location sales --partition 2026-01-05 --wait"
    await say(tmp_path, address, launch)
    printed = await run_page(FOLLOWING, tmp_path, address)
    said = list(printed.values())
    assert said[0].split()[1:] == ["report", "2026-01-05"]
    assert "was not materialized within 0.1 s" in said[1]
    assert all(said)


async def test_the_page_of_the_api_launches_from_python(address, tmp_path):
    await run_page(API, tmp_path, address)
    listed = await say(tmp_path, address, "atoll runs list --json")
    assert [each["status"] for each in json.loads(listed)["runs"]] == ["SUCCESS"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_readme_launches_over_http_and_from_python(host, tmp_path):
    section = README.partition("## Other services call it\n")[2].partition("\n## ")[0]
    (tmp_path / "token-header.txt").write_text("authorization: Bearer of somebody\n")
    (shell,) = _SHELL.findall(section)
    command = shell.replace(HTTP_ADDRESS, host.parts.http.address)
    await run(tmp_path, host.address, "/bin/sh", "-ec", command)
    (program,) = blocks.blocks_of(section)
    text = program.text.replace(ADDRESS, host.address)
    await run(tmp_path, host.address, sys.executable, "-c", text)
    listed = await say(tmp_path, host.address, "atoll runs list --job sales_job --json")
    assert len(json.loads(listed)["runs"]) == 2
