"""A code location runs without the credential of the database: not in what its processes were
started with, not in their memory, not in what passes between it and the host.

The host of the test gets a URL whose password is a word that stands nowhere else; the same search
that finds nothing in the location finds it in the host.
"""

import asyncio
import contextlib
import dataclasses
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from atoll.api.v1 import runs_pb2
from atoll.client import runs
from tests.e2e import mesh
from tests.isolation import inspection

WAIT_TIMEOUT_S = 30
# The test holds both ends of these pipes: whoever writes never waits for a reader.
DEFINITIONS = """
import pathlib
import atoll as dg

HERE = pathlib.Path(__file__).parent

@dg.asset
def slow() -> None:
    (HERE / "run-began").write_text("x")
    with (HERE / "run-may-end").open() as pipe:
        pipe.read(1)

slow_job = dg.define_asset_job("slow_job", [slow])

@dg.sensor(
    job=slow_job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING
)
def curious(context):
    context.instance.get_latest_materialization_event(dg.AssetKey("slow"))
    (HERE / "tick-began").write_text("x")
    return dg.SkipReason("only looking")

defs = dg.Definitions([slow], jobs=[slow_job], sensors=[curious])
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="looks into /proc"),
]


class Pipe:
    """A named pipe between user code and the test."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def receive(self) -> None:
        """Wait until user code has written."""
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._descriptor, arrived.set)
        try:
            await asyncio.wait_for(arrived.wait(), WAIT_TIMEOUT_S)
        finally:
            loop.remove_reader(self._descriptor)

    def send(self) -> None:
        """Let user code go on that reads."""
        os.write(self._descriptor, b"x")

    def close(self) -> None:
        """Let go of the pipe: whoever still reads sees its end."""
        os.close(self._descriptor)


@contextlib.contextmanager
def _pipes(folder: Path, *names: str) -> Iterator[list[Pipe]]:
    pipes = [Pipe(folder / name) for name in names]
    try:
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()


@dataclasses.dataclass(frozen=True)
class Scene:
    """A host that knows the credential, and a location with a run and a sensor at work."""

    secret: bytes
    database_socket: str
    host_pid: int
    location_pids: list[int]
    traffic: inspection.Recorder


@pytest.fixture
def credential(own_database_url: str, monkeypatch: pytest.MonkeyPatch) -> sa.URL:
    """The URL of a database with a password that stands nowhere else, in this environment."""
    given = sa.make_url(own_database_url).set(password=f"canary-{secrets.token_hex(16)}")
    monkeypatch.setenv("ATOLL_DATABASE_URL", given.render_as_string(hide_password=False))
    return given


@contextlib.asynccontextmanager
async def _scene(
    credential: sa.URL, folder: Path, *, told_by_mistake: bool = False
) -> AsyncIterator[Scene]:
    (folder / "definitions.py").write_text(DEFINITIONS)
    names = ("tick-began", "run-began", "run-may-end")
    async with contextlib.AsyncExitStack() as stack:
        running = stack.enter_context(mesh.Mesh(folder))
        # Whatever happens below, a run that still waits sees the end of its pipe.
        tick_began, run_began, run_may_end = stack.enter_context(_pipes(folder, *names))
        running.start_host()
        client = await stack.enter_async_context(running.client())
        traffic = await stack.enter_async_context(inspection.Recorder.between(running.address))
        url = os.environ["ATOLL_DATABASE_URL"]
        running.add(
            "watched",
            folder / "definitions.py",
            options=("--host", traffic.address),
            environment={"ATOLL_DATABASE_URL": url} if told_by_mistake else {},
        )
        running.start_location("watched")
        await running.serving("watched")
        await tick_began.receive()
        run = await client.runs.launch(runs.Launch("slow_job", location_name="watched"))
        await run_began.receive()
        yield Scene(
            secret=str(credential.password).encode(),
            database_socket=str(credential.query["host"]),
            host_pid=running.pid("host"),
            location_pids=inspection.family(running.pid("watched")),
            traffic=traffic,
        )
        run_may_end.send()
        ended = await client.runs.wait(run.run_id, timeout_s=WAIT_TIMEOUT_S)
        assert ended.status == runs_pb2.RUN_STATUS_SUCCESS


async def test_no_process_of_a_location_holds_the_credential(credential: sa.URL, tmp_path: Path):
    async with _scene(credential, tmp_path) as scene:
        # What finds it where it is finds it where it must not be.
        assert scene.secret in inspection.environment(scene.host_pid)
        assert inspection.holds(scene.host_pid, scene.secret)
        # The code server, the definitions process, an evaluator and a run worker.
        assert len(scene.location_pids) >= 4
        for pid in scene.location_pids:
            assert scene.secret not in inspection.environment(pid)
            assert scene.secret not in inspection.command_line(pid)
            assert not inspection.holds(pid, scene.secret)


async def test_no_process_of_a_location_talks_to_the_database(credential: sa.URL, tmp_path: Path):
    async with _scene(credential, tmp_path) as scene:
        host_peers = inspection.unix_peers(scene.host_pid)
        assert any(path.startswith(scene.database_socket) for path in host_peers)
        for pid in scene.location_pids:
            peers = inspection.unix_peers(pid)
            assert not any(path.startswith(scene.database_socket) for path in peers)
        # Events, ticks and queries of the instance have passed by now.
        assert b"atoll.mesh.v1" in scene.traffic.seen
        assert scene.secret not in scene.traffic.seen


async def test_a_credential_given_by_mistake_does_not_reach_user_code(
    credential: sa.URL, tmp_path: Path
):
    async with _scene(credential, tmp_path, told_by_mistake=True) as scene:
        code_server, *with_user_code = scene.location_pids
        assert scene.secret in inspection.environment(code_server)
        assert len(with_user_code) >= 3
        for pid in with_user_code:
            assert scene.secret not in inspection.environment(pid)
            assert not inspection.holds(pid, scene.secret)
