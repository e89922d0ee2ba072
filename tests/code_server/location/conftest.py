"""A code server reduced to its socket, so that the processes of a location can be run for real."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import textwrap
import time

import pytest

from atoll._location import framing, launch, run_directory, spool
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

TIMEOUT_S = 20.0


class Location:
    """A definitions process and the code server's end of its connections."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.socket_path = str(folder / "s")
        self.pids: set[int] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket_path)
        self._listener.listen()
        self._listener.settimeout(TIMEOUT_S)
        self._channels: list[framing.Channel] = []
        self._unclaimed: list[tuple[process_pb2.Hello, framing.Channel]] = []
        self._messages: list[process_pb2.ProcessMessage] = []
        self._nonces = 0
        self._runs = 0

    def start(self, source: str, *, start_method: str = "auto", kind: str = "file") -> None:
        """Start the definitions process with a module of this source, without waiting for it."""
        (self.folder / "defs_under_test.py").write_text(textwrap.dedent(source))
        parameters = launch.LaunchParameters(
            target=launch.Target(
                kind=launch.TargetKind(kind),
                value="defs_under_test.py" if kind == "file" else "defs_under_test",
                working_directory=str(self.folder),
            ),
            socket_path=self.socket_path,
            nonce="d",
            location_name="here",
            build_id="b1",
            start_method=launch.StartMethodOption(start_method),
        )
        environment = parameters.environment({**os.environ, "ATOLL_DATABASE_URL": "secret"})
        self.output_path = self.folder / "definitions.log"
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                parameters.argv(),
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.hello, self.channel = self.accept(process_pb2.PROCESS_ROLE_DEFINITIONS)

    def load(self, source: str, **options: str) -> process_pb2.Loaded:
        """Start the definitions process and wait until it has loaded."""
        self.start(source, **options)
        return self.expect("loaded").loaded

    def accept(
        self, role: process_pb2.ProcessRole.ValueType, nonce: str = ""
    ) -> tuple[process_pb2.Hello, framing.Channel]:
        """Return the next connection of a role, or that of one process."""
        while True:
            for number, (hello, channel) in enumerate(self._unclaimed):
                if hello.role == role and nonce in {"", hello.nonce}:
                    del self._unclaimed[number]
                    return hello, channel
            connection, _ = self._listener.accept()
            channel = framing.Channel(connection, process_pb2.ProcessMessage)
            self._channels.append(channel)
            message = channel.receive(TIMEOUT_S)
            assert message is not None
            self.pids.add(message.hello.pid)
            self._unclaimed.append((message.hello, channel))

    def expect(self, kind: str, **fields: object) -> process_pb2.ProcessMessage:
        """Return the next message of a kind that the definitions process sends, others kept."""
        while True:
            for number, message in enumerate(self._messages):
                body = getattr(message, kind)
                if message.HasField(kind) and all(getattr(body, k) == v for k, v in fields.items()):
                    return self._messages.pop(number)
            message = self.channel.receive(TIMEOUT_S)
            assert message is not None, self.output_path.read_text()
            self._messages.append(message)

    def next_run_id(self) -> str:
        self._runs += 1
        return f"run-{self._runs}"

    def nonce(self) -> str:
        self._nonces += 1
        return f"n{self._nonces}"

    def start_evaluator(self) -> tuple[str, framing.Channel]:
        nonce = self.nonce()
        request = process_pb2.StartEvaluator(nonce=nonce)
        self.channel.send(process_pb2.ServerMessage(start_evaluator=request))
        self.pids.add(self.expect("process_started", nonce=nonce).process_started.pid)
        return nonce, self.accept(process_pb2.PROCESS_ROLE_EVALUATOR, nonce)[1]

    def evaluate(
        self, channel: framing.Channel, sensor: str, **fields: object
    ) -> process_pb2.Evaluated:
        request = location_pb2.EvaluateSensorRequest(sensor_name=sensor, tick_id="t", **fields)
        evaluate = process_pb2.Evaluate(request=request)
        channel.send(process_pb2.ServerMessage(evaluate=evaluate))
        message = channel.receive(TIMEOUT_S)
        assert message is not None
        return message.evaluated

    def evaluate_schedule(
        self, channel: framing.Channel, schedule: str, scheduled_time: str
    ) -> location_pb2.EvaluateScheduleResponse:
        request = location_pb2.EvaluateScheduleRequest(schedule_name=schedule, tick_id="t")
        request.scheduled_time.FromJsonString(scheduled_time)
        evaluate = process_pb2.Evaluate(schedule=request)
        channel.send(process_pb2.ServerMessage(evaluate=evaluate))
        message = channel.receive(TIMEOUT_S)
        assert message is not None
        assert message.evaluated.tick_id == "t"
        return message.evaluated.schedule

    def start_run(
        self, run_id: str = "", job_name: str = "__ASSET_JOB", **plan: object
    ) -> tuple[run_directory.RunDirectory, str, int]:
        """Start a run worker; return its directory, nonce and process id."""
        run_id = run_id or self.next_run_id()
        directory = run_directory.run_directory(self.folder / "runs", run_id)
        directory.accept(
            location_pb2.RunPlan(run_id=run_id, job_name=job_name, attempt=1, **plan), "b1"
        )
        nonce = self.nonce()
        request = process_pb2.StartRunWorker(
            nonce=nonce, run_directory=str(directory.path), run_id=run_id
        )
        self.channel.send(process_pb2.ServerMessage(start_run_worker=request))
        pid = self.expect("process_started", nonce=nonce).process_started.pid
        self.pids.add(pid)
        return directory, nonce, pid

    def exit_code(self, nonce: str) -> int:
        """Wait until a process has ended."""
        return self.expect("process_exited", nonce=nonce).process_exited.exit_code

    def run(self, run_id: str = "", **plan: object) -> run_directory.RunDirectory:
        """Run a run to the end of its worker."""
        directory, nonce, _ = self.start_run(run_id, **plan)
        assert self.exit_code(nonce) == 0, self.said(directory)
        return directory

    def said(self, directory: run_directory.RunDirectory) -> str:
        """Everything that a run wrote, for the message of an assertion."""
        written = [one.path.read_text() for one in directory.captured_outputs()]
        return "\n".join([self.output_path.read_text(), *written])

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._listener.close()
        with contextlib.suppress(AttributeError, subprocess.TimeoutExpired):
            self.process.wait(TIMEOUT_S)
        for pid in self.pids:
            # Each leads a group of its own, which no stranger can get while the test lasts.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def location(tmp_path):
    made = Location(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def _shared(request, tmp_path_factory):
    """Locations for all tests of a module, which names its code SOURCE, by start method."""
    made: dict[str, Location] = {}

    def get(start_method: str) -> Location:
        if start_method not in made:
            made[start_method] = Location(tmp_path_factory.mktemp(start_method))
            made[start_method].load(request.module.SOURCE, start_method=start_method)
            made[start_method].method = start_method
        return made[start_method]

    yield get
    for one in made.values():
        one.close()


@contextlib.contextmanager
def _swept(made: Location):
    """Remove the files that a test leaves in a shared folder."""
    before = set(made.folder.iterdir())
    yield made
    for path in set(made.folder.iterdir()) - before:
        if path.is_file():
            path.unlink()


@pytest.fixture(params=["fork", "spawn"])
def serving(request, _shared):
    """A location that makes processes either way."""
    with _swept(_shared(request.param)) as made:
        yield made


@pytest.fixture
def forking(_shared):
    """A location that forks, for what is the same however a process was made."""
    with _swept(_shared("fork")) as made:
        yield made


def events_of(directory: run_directory.RunDirectory) -> list[events_pb2.Event]:
    return list(spool.events(directory.events_path))


@pytest.fixture
def bodies():
    """The names of the events of a run, as (body, step)."""

    def read(directory: run_directory.RunDirectory) -> list[tuple[str, str]]:
        return [(event.WhichOneof("body"), event.step_key) for event in events_of(directory)]

    return read


@pytest.fixture
def wait_for():
    """Wait until something holds of another process, which sends no signal here."""

    def wait(condition, what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, f"timed out waiting for {what}"
            os.sched_yield()

    return wait
