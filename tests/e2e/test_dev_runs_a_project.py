import asyncio
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from atoll.api.v1 import runs_pb2
from atoll.client import connection, errors, runs
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

READY_WITHIN_S = 80.0


class Dev:
    """A running `atoll dev` and what it printed."""

    def __init__(self, project: pathlib.Path) -> None:
        self.project = project
        self.address = f"127.0.0.1:{mesh.free_port()}"
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [sys.executable, *mesh.CLI, "dev", "--listen", self.address],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self, pattern: str) -> str:
        """Wait for a line that matches."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, READY_WITHIN_S)
            line = found()
        assert line is not None, "\n".join(self.lines)
        return line

    def descendants(self) -> list[int]:
        """Every process below, detached ones included as long as their parents live."""
        found, waiting = [], [self.process.pid]
        while waiting:
            below = mesh.children(waiting.pop())
            found += below
            waiting += below
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@pytest.fixture
def start_dev(tmp_path) -> Iterator[Callable[[], Dev]]:
    started: list[Dev] = []

    def start() -> Dev:
        project = tmp_path / "quickstart"
        if not project.exists():
            shutil.copytree(mesh.EXAMPLES / "quickstart", project)
        started.append(Dev(project))
        return started[-1]

    yield start
    for dev in started:
        dev.end()


async def publish(address: str) -> runs_pb2.Run:
    async with connection.connect(address) as client:
        launched = await client.runs.launch(runs.Launch("publish", "sales"))
        return await client.runs.wait(launched.run_id, timeout_s=30)


def test_both_locations_come_up_work_together_and_stop(start_dev):
    dev = start_dev()
    dev.line(r"Ready\.")
    table = [line.split() for line in dev.lines if "SERVING" in line]
    assert [(row[0], row[1]) for row in table] == [("sales", "SERVING"), ("reports", "SERVING")]
    assert asyncio.run(publish(dev.address)).status == runs_pb2.RUN_STATUS_SUCCESS
    dev.line(r"^reports \| run \w+ of report queued for sensor orders_published")
    dev.line(r"^reports \| run \w+ of report: .*[Ss]ucceeded")
    dev.line(r"^reports \| sensor orders_published requested 1 run")
    below = dev.descendants()
    assert len(below) >= 6
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(20) == 0
    assert mesh.gone(*below, within_s=0)
    assert not any("Traceback" in line for line in dev.lines)


def test_a_killed_code_server_comes_back(start_dev):
    dev = start_dev()
    dev.line(r"Ready\.")
    serving = {
        pid
        for pid in dev.descendants()
        if b"serve" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    }
    os.kill(min(serving), signal.SIGKILL)
    dev.line(r"The process ended \(signal 9\); starting again in 500 ms\.")
    assert asyncio.run(publish(dev.address)).status == runs_pb2.RUN_STATUS_SUCCESS


def test_a_second_start_finds_what_the_first_left(start_dev):
    first = start_dev()
    first.line(r"Ready\.")
    run = asyncio.run(publish(first.address))
    first.process.terminate()
    assert first.process.wait(20) == 0
    second = start_dev()
    second.line(r"Ready\.")

    async def look() -> runs_pb2.Run:
        async with connection.connect(second.address) as client:
            return await client.runs.get(run.run_id)

    assert asyncio.run(look()).status == runs_pb2.RUN_STATUS_SUCCESS


def test_a_killed_dev_takes_everything_along(start_dev):
    dev = start_dev()
    dev.line(r"Ready\.")
    below = dev.descendants()
    dev.process.kill()
    assert mesh.gone(*below, within_s=20)


async def publish_through_an_outage(address: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(errors.RpcError, errors.ConnectError):
                assert (await publish(address)).status == runs_pb2.RUN_STATUS_SUCCESS
                return
            await asyncio.sleep(mesh.LOOK_EVERY_S)  # Storage tells nobody outside that it is back.


def test_a_killed_postgres_comes_back_and_work_goes_on(start_dev):
    dev = start_dev()
    dev.line("Ready")
    assert asyncio.run(publish(dev.address)).status == runs_pb2.RUN_STATUS_SUCCESS
    pid_file = dev.project / ".atoll" / "postgres" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    dev.line("embedded Postgres ended and is started again")
    asyncio.run(publish_through_an_outage(dev.address))
