"""Loads the definitions of a location once, the way a code server does, and tells how it went.

Called by `atoll check`. The user's code runs in a definitions process; this process needs neither
gRPC nor asyncio for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import socket
import tempfile
import threading
import time
from collections.abc import Generator
from typing import IO

from atoll._location import errors as location_errors
from atoll._location import framing
from atoll._server import launching, processes, settings
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.process.v1 import process_pb2

_END_WITHIN_S = 3.0
_LOOK_EVERY_S = 0.2
_OUTPUT_BYTES_MAX = 8192


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a load went.

    Attributes:
        snapshot: The definitions; None when they did not load.
        failure: Why they did not; None when they did.
        loaded: How processes would be made; None when they did not load.
        duration_s: How long it took.
    """

    snapshot: snapshot_pb2.LocationSnapshot | None
    failure: values_pb2.Failure | None
    loaded: process_pb2.Loaded | None
    duration_s: float


def check(chosen: settings.Settings) -> Outcome:
    """Load the definitions of a location.

    Args:
        chosen: The settings; those of serving do not count.

    Raises:
        ProcessUnavailableError: No process could be started.
    """
    begun_s = time.monotonic()
    with _listening() as (listener, path):
        launched = launching.launch_definitions_process(chosen, build_id="check", socket_path=path)
        output = _Output(launched.output)
        try:
            message = _await_load(listener, launched, chosen.load_timeout_s)
        finally:
            launched.process.kill()
            exit_code = launched.process.wait(_END_WITHIN_S)
            output.finish()
    duration_s = time.monotonic() - begun_s
    if message is not None and message.WhichOneof("message") == "loaded":
        snapshot = snapshot_pb2.LocationSnapshot.FromString(message.loaded.snapshot)
        return Outcome(snapshot, None, message.loaded, duration_s)
    failure = _failure(message, exit_code, timed_out=duration_s >= chosen.load_timeout_s)
    if not failure.last_output:
        failure.last_output = output.text
    return Outcome(None, failure, None, duration_s)


class _Output:
    """Keeps the last that a process writes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        os.set_blocking(stream.fileno(), True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def _read(self) -> None:
        while data := os.read(self._stream.fileno(), _OUTPUT_BYTES_MAX):
            self._kept = (self._kept + data)[-_OUTPUT_BYTES_MAX:]

    def finish(self) -> None:
        # A process that user code left behind may hold the other end for ever.
        self._thread.join(_LOOK_EVERY_S)
        if not self._thread.is_alive():
            self._stream.close()


@contextlib.contextmanager
def _listening() -> Generator[tuple[socket.socket, str], None, None]:
    with tempfile.TemporaryDirectory(prefix="atoll-check-") as folder:
        path = str(pathlib.Path(folder) / "server.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(1)
            listener.settimeout(_LOOK_EVERY_S)
            yield listener, path


def _await_load(
    listener: socket.socket, launched: launching.Launched, timeout_s: float
) -> process_pb2.ProcessMessage | None:
    """Return Loaded or LoadFailed; None when the process died or took too long."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            if launched.process.poll() is not None:
                return None
            continue
        return _receive(framing.Channel(connection, process_pb2.ProcessMessage), deadline_s)
    return None


def _receive(
    channel: framing.Channel[process_pb2.ProcessMessage], deadline_s: float
) -> process_pb2.ProcessMessage | None:
    with contextlib.closing(channel):
        try:
            while message := channel.receive(max(deadline_s - time.monotonic(), 0.001)):
                if message.WhichOneof("message") != "hello":
                    return message
        except (OSError, location_errors.FramingError):
            return None
    return None


def _failure(
    message: process_pb2.ProcessMessage | None, exit_code: int, *, timed_out: bool
) -> values_pb2.Failure:
    if message is not None:
        return message.load_failed.failure
    if timed_out:
        return values_pb2.Failure(type="LoadTimeout", message="Loading took too long.")
    how = processes.describe_exit(exit_code)
    text = f"The process that loads the definitions {how} before it had loaded them."
    return values_pb2.Failure(type="LoadProcessDied", message=text)
