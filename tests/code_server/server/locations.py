"""Code servers for tests: in this process with real definitions processes, or as real commands."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import textwrap
import time
import uuid
from collections.abc import AsyncIterator
from typing import cast

from atoll._location import launch, run_directory
from atoll._rpc import authorization, serving
from atoll._server import launching, server, state_directory
from atoll._server import settings as server_settings
from atoll.location.v1 import location_pb2, location_pb2_grpc

NOBODY = "127.0.0.1:1"
"""An address where no host answers."""

# Loads in milliseconds and has something of everything.
BASIC = """
    import os, pathlib, sys, time
    import atoll as dg

    HERE = pathlib.Path.cwd()

    def wait_for(name):
        deadline = time.monotonic() + 30
        while not (HERE / name).exists():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} never came")
            time.sleep(0.005)

    @dg.asset
    def numbers():
        print("counting")
        with (HERE / "numbers_ran").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        return [1, 2, 3]

    @dg.asset
    def patient():
        (HERE / "patient_began").write_text(str(os.getpid()))
        wait_for("go")
        return 1

    @dg.asset
    def stubborn():
        (HERE / "stubborn_began").write_text(str(os.getpid()))
        while True:
            try:
                time.sleep(0.01)
            except BaseException:
                pass

    @dg.asset
    def exits():
        print("last words", file=sys.stderr, flush=True)
        os._exit(7)

    numbers_job = dg.define_asset_job("numbers_job", selection=[numbers])
    patient_job = dg.define_asset_job("patient_job", selection=[patient])
    stubborn_job = dg.define_asset_job("stubborn_job", selection=[stubborn])
    exits_job = dg.define_asset_job("exits_job", selection=[exits])

    @dg.schedule("0 6 * * *", job=numbers_job)
    def slow_schedule():
        while True:
            time.sleep(1)

    @dg.schedule("0 6 * * *", job=numbers_job)
    def quick_schedule(context):
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    @dg.sensor(job=numbers_job)
    def quick(context):
        return dg.RunRequest(run_key=f"{os.getpid()}")

    @dg.sensor(job=numbers_job)
    def hanging(context):
        (HERE / "hanging_began").write_text(str(os.getpid()))
        while True:
            time.sleep(0.01)

    @dg.sensor(job=numbers_job)
    def raising(context):
        raise ValueError("a bad day")

    @dg.sensor(job=numbers_job)
    def dying(context):
        os._exit(9)
"""

EMPTY = "import atoll as dg\n\nnothing = dg.Definitions()\n"


def write(folder: pathlib.Path, code: str) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "defs.py"
    path.write_text(textwrap.dedent(code))
    return path


def new_plan(job_name: str, attempt: int = 1) -> location_pb2.RunPlan:
    return location_pb2.RunPlan(run_id=str(uuid.uuid4()), job_name=job_name, attempt=attempt)


@dataclasses.dataclass
class Location:
    """A code server that runs in this process."""

    folder: pathlib.Path
    server: server.CodeServer
    stub: location_pb2_grpc.CodeLocationServiceAsyncStub

    async def describe(self) -> location_pb2.DescribeResponse:
        return await self.stub.Describe(location_pb2.DescribeRequest(), timeout=5)

    async def evaluate(
        self, sensor_name: str, timeout_s: float = 20
    ) -> location_pb2.EvaluateSensorResponse:
        request = location_pb2.EvaluateSensorRequest(
            sensor_name=sensor_name, tick_id=str(uuid.uuid4())
        )
        request.timeout.FromMilliseconds(int(timeout_s * 1000))
        return await self.stub.EvaluateSensor(request, timeout=60)

    async def evaluate_schedule(
        self, schedule_name: str, scheduled_time: str, timeout_s: float = 20
    ) -> location_pb2.EvaluateScheduleResponse:
        request = location_pb2.EvaluateScheduleRequest(
            schedule_name=schedule_name, tick_id=str(uuid.uuid4())
        )
        request.scheduled_time.FromJsonString(scheduled_time)
        request.timeout.FromMilliseconds(int(timeout_s * 1000))
        return await self.stub.EvaluateSchedule(request, timeout=60)

    async def start_run(
        self, plan: location_pb2.RunPlan, credential: location_pb2.RunCredential | None = None
    ) -> location_pb2.StartRunResponse:
        request = location_pb2.StartRunRequest(plan=plan, run_credential=credential)
        return await self.stub.StartRun(request, timeout=20)

    async def reload(self, build_id: str = "") -> location_pb2.ReloadResponse:
        return await self.stub.Reload(location_pb2.ReloadRequest(build_id=build_id), timeout=30)

    async def cancel(self, run_id: str, grace_s: float = 10) -> bool:
        request = location_pb2.CancelRunRequest(run_id=run_id)
        request.grace_period.FromMilliseconds(int(grace_s * 1000))
        return (await self.stub.CancelRun(request, timeout=5)).found

    async def file(self, name: str, within_s: float = 20) -> str:
        return await file_content(self.folder / name, within_s)

    def touch(self, name: str) -> None:
        (self.folder / name).touch()


async def file_content(path: pathlib.Path, within_s: float = 20) -> str:
    """Wait until another process has written a file."""
    deadline_s = time.monotonic() + within_s
    while not (content := _content(path)):
        assert time.monotonic() < deadline_s, f"{path.name} was not written within {within_s} s"
        await asyncio.sleep(0.01)
    return content


def _content(path: pathlib.Path) -> str:
    return path.read_text() if path.exists() else ""


def settings_for(folder: pathlib.Path, host: str, **changes) -> server_settings.Settings:
    target = launch.Target(
        kind=launch.TargetKind.FILE,
        value=str(folder / "defs.py"),
        working_directory=str(folder),
    )
    settings = server_settings.Settings(
        location_name="here",
        target=target,
        state_path=folder / "state",
        host_address=host,
        load_timeout_s=30,
    )
    return dataclasses.replace(settings, **changes)


@contextlib.asynccontextmanager
async def serving_location(
    folder: pathlib.Path, code: str | None = BASIC, host: str = NOBODY, **changes
) -> AsyncIterator[Location]:
    """Serve a location in this process; its definitions process is a real one."""
    if code is not None:
        write(folder, code)
    chosen = settings_for(folder, host, **changes)
    state = state_directory.StateDirectory(chosen.state_path)
    listener = state.open()
    first = launching.launch_definitions_process(
        chosen, build_id=chosen.build_id or "b1", socket_path=state.socket_path
    )
    code_server = server.CodeServer(server.Prepared(chosen, state, listener, first))
    await code_server.start()
    try:
        await asyncio.wait_for(code_server.builds.first_load_over.wait(), 40)
        async with serving.channel(code_server.address) as channel:
            stub = cast(
                "location_pb2_grpc.CodeLocationServiceAsyncStub",
                location_pb2_grpc.CodeLocationServiceStub(
                    authorization.authorized(channel, code_server.control.token)
                ),
            )
            yield Location(folder, code_server, stub)
    finally:
        kill_workers(state.runs_path)
        await code_server.stop()
        state.close()


def kill_workers(runs_path: pathlib.Path) -> None:
    """Leave no run worker behind."""
    for path in runs_path.glob("*"):
        directory = run_directory.RunDirectory(path)
        directory.signal_worker(signal.SIGKILL)


COMMAND = (sys.executable, "-m", "atoll")


@dataclasses.dataclass
class Command:
    """`atoll serve` as a real process."""

    process: asyncio.subprocess.Process
    lines: list[str]
    _reading: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = dataclasses.field(default_factory=asyncio.Condition)

    async def line(self, text: str, within_s: float = 30) -> str:
        async with self._changed:
            try:
                await asyncio.wait_for(
                    self._changed.wait_for(lambda: any(text in line for line in self.lines)),
                    within_s,
                )
            except TimeoutError:
                raise AssertionError(f"no {text!r} in {self.lines}") from None
        return next(line for line in self.lines if text in line)

    async def read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self._changed:
                self.lines.append(line.decode().rstrip("\n"))
                self._changed.notify_all()

    async def ended(self, within_s: float = 20) -> int:
        code = await asyncio.wait_for(self.process.wait(), within_s)
        if self._reading is not None:
            await asyncio.wait_for(self._reading, 5)
        return code

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


@contextlib.asynccontextmanager
async def serve_command(folder: pathlib.Path, *arguments: str, **environment: str):
    """Run `atoll serve` for the definitions in a folder."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "serve",
        *("--file", "defs.py", "--working-directory", str(folder), "--name", "here"),
        *("--state-dir", str(folder / "state")),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    command = Command(process, [])
    command._reading = asyncio.create_task(command.read())
    try:
        yield command
    finally:
        command.kill()
        await command.ended()
