"""A code server works with every Python, gRPC and protobuf that the distribution says it supports.

Each combination is a new environment with the built wheel; a real code server is started in it. It
must load definitions, tell a host about them, and evaluate a sensor in a process of its own.
"""

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf import duration_pb2

from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2, location_pb2_grpc
from tests.packaging import environments, simulated_host

LOAD_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
CALL_TIMEOUT_S = 30
# The floors of the distribution's metadata.
LOWEST = (
    "grpcio==1.66.2",
    "grpcio-health-checking==1.66.2",
    "grpcio-reflection==1.66.2",
    "protobuf==5.27.5",
    "pydantic==2.7.0",
    "click==8.1.0",
)
NEWEST = tuple(
    environments.newest("grpcio", "grpcio-health-checking", "grpcio-reflection", "protobuf")
)
DEFINITIONS = """
import atoll as dg

@dg.asset(kinds={"python"}, metadata={"rows": 3})
def numbers() -> list[int]:
    return [1, 2, 3]

numbers_job = dg.define_asset_job("numbers_job", [numbers])

@dg.sensor(job=numbers_job)
def on_request(context):
    context.update_cursor("seen")
    return dg.RunRequest(run_key="one", tags={"why": "test"})

defs = dg.Definitions([numbers], jobs=[numbers_job], sensors=[on_request])
"""

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(600)]


@dataclasses.dataclass(frozen=True)
class Combination:
    """What one code server runs on."""

    python: str
    label: str
    requirements: tuple[str, ...]

    def __str__(self) -> str:
        return f"python{self.python}-{self.label}"


CURRENT = "{}.{}".format(*sys.version_info)
COMBINATIONS = [Combination(python, "newest", NEWEST) for python in environments.SUPPORTED_PYTHONS]
COMBINATIONS += [Combination(CURRENT, "lowest", LOWEST), Combination("3.10", "lowest", LOWEST)]


@contextlib.asynccontextmanager
async def _code_server(
    environment: environments.Environment, folder: Path, host: simulated_host.SimulatedHost
) -> AsyncIterator[location_pb2_grpc.CodeLocationServiceStub]:
    """Start a code server, wait until its code is loaded, and stop it in the end."""
    (folder / "definitions.py").write_text(DEFINITIONS)
    arguments = ["--file", "definitions.py", "--name", "tiny", "--host", host.address]
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(environment.atoll), "serve", *arguments, "--state-dir", str(folder / "state")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env=environment.variables(),
        )
    try:
        ended = asyncio.create_task(process.wait())
        told = asyncio.create_task(host.next_state())
        await asyncio.wait(
            {ended, told}, timeout=LOAD_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        assert told.done(), f"no build: {log.read_text()}"
        assert not told.result().load_failure.message, told.result().load_failure
        async with grpc.aio.insecure_channel(host.code_server_address) as channel:
            yield location_pb2_grpc.CodeLocationServiceStub(channel)
        process.terminate()
        assert await asyncio.wait_for(ended, STOP_TIMEOUT_S) == 0, log.read_text()
    finally:
        told.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
async def test_a_code_server_serves_and_evaluates(combination: Combination, tmp_path: Path):
    python = environments.interpreter(combination.python)
    if python is None:
        pytest.skip(f"This machine has no Python {combination.python}.")
    environment = environments.environment(python, combination.requirements)
    installed = environment.versions()
    assert all(installed[p.split("==")[0]] == p.split("==")[1] for p in combination.requirements)

    async with simulated_host.serve() as host, _code_server(environment, tmp_path, host) as stub:
        described = await stub.Describe(location_pb2.DescribeRequest(), timeout=CALL_TIMEOUT_S)
        assert described.location_name == "tiny"
        wanted = location_pb2.StreamDefinitionsRequest(build_id=described.current_build.build_id)
        chunks = [part.chunk async for part in stub.StreamDefinitions(wanted, timeout=30)]
        snapshot = snapshot_pb2.LocationSnapshot.FromString(b"".join(chunks))
        assert [list(asset.key.path) for asset in snapshot.assets] == [["numbers"]]

        request = location_pb2.EvaluateSensorRequest(
            sensor_name="on_request", tick_id="tick-1", timeout=duration_pb2.Duration(seconds=20)
        )
        answer = await stub.EvaluateSensor(request, timeout=CALL_TIMEOUT_S)
        assert not answer.HasField("failure"), answer.failure
        assert [run.run_key for run in answer.run_requests] == ["one"]
        assert answer.cursor == "seen"
        assert answer.build_id == described.current_build.build_id


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see what was left behind")
async def test_a_stopped_code_server_leaves_no_process_behind(tmp_path: Path):
    environment = environments.environment(Path(sys.executable), NEWEST)
    async with simulated_host.serve() as host:
        async with _code_server(environment, tmp_path, host):
            assert _processes_of(tmp_path)
        assert not _processes_of(tmp_path)


def _processes_of(folder: Path) -> list[int]:
    """Return the processes that work in a folder."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if (entry / "cwd").resolve() == folder.resolve():
                    found.append(int(entry.name))
    return found
