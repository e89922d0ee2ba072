"""One run that the code server holds: its facts, and what its worker tells.

`runs` decides what becomes of it. The nonce of its worker is kept in the run directory, so that a
worker can introduce itself to the next code server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from atoll._location import run_directory
from atoll._server import feeds, hub, processes, services
from atoll.process.v1 import process_pb2

Query = Callable[[hub.Connection, process_pb2.InstanceQuery, feeds.Feed], None]

_NONCE_FILE = "nonce"
_EXIT_CODE_WITHIN_S = 1.0


class HeldRun:
    """One run; also the listener of its worker.

    Args:
        directory: The directory of the run.
        on_advanced: Called with the run id when there is more in the spool.
        on_query: Takes what user code asks of the instance, and the events of the run.

    Raises:
        RunDirectoryError: The directory is damaged.
    """

    def __init__(
        self,
        directory: run_directory.RunDirectory,
        on_advanced: Callable[[str], None],
        on_query: Query,
    ) -> None:
        self.directory = directory
        self.run_id = directory.run_id
        self.plan = directory.read_plan()
        self.attempt = self.plan.attempt
        identity = directory.read_identity()
        self.build_id = identity.build_id if identity is not None else directory.read_build_id()
        self.feed = feeds.Feed(directory)
        self.nonce = _read_nonce(directory)
        self.changed = asyncio.Event()
        self.exited = False
        self.exit_code: int | None = None
        self.not_made = False
        self.untold = False
        self.sealed = False
        self.task: asyncio.Task[None] | None = None
        self._on_advanced = on_advanced
        self._on_query = on_query
        self._handle: processes.ProcessHandle | None = None
        self._kill_at_s: float | None = None
        self._asked = False
        # Nobody tells about the worker of an earlier code server.
        self._told = asyncio.Event()
        self._told.set()

    def expect(self, nonce: str) -> None:
        """Note that a worker is being made, and what it will present."""
        self.nonce = nonce
        self.exited = self.not_made = self.untold = False
        self.exit_code = None
        self._told.clear()
        path = self.directory.path / _NONCE_FILE
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, nonce.encode())
        finally:
            os.close(descriptor)

    def process_started(self, pid: int) -> None:
        """The definitions process has made the worker."""
        self._watch(pid)

    def process_exited(self, exit_code: int) -> None:
        """The definitions process has seen the worker end."""
        self.exited = True
        self.exit_code = exit_code
        self._told.set()
        self.changed.set()

    def process_not_made(self, problem: str) -> None:
        """The definitions process could not make the worker."""
        del problem
        self.not_made = True
        self.changed.set()

    def definitions_process_gone(self) -> None:
        """Nobody will tell how the worker ends, nor whether it was ever made."""
        self.untold = self._handle is None
        self._told.set()
        self.changed.set()

    def connected(self, connection: hub.Connection) -> None:
        """The worker, or a child of it, has connected."""
        del connection
        self.changed.set()

    def received(self, connection: hub.Connection, message: process_pb2.ProcessMessage) -> None:
        """The worker, or a child of it, says something."""
        kind = message.WhichOneof("message")
        if kind == "spool_advanced":
            self._on_advanced(self.run_id)
        elif kind == "instance_query":
            # The answer waits for the events before it, and not every one of them was told of.
            self._on_advanced(self.run_id)
            self._on_query(connection, message.instance_query, self.feed)

    def disconnected(self, connection: hub.Connection) -> None:
        """The connection is gone; whether the worker is, is judged by its lock."""
        del connection
        self._on_advanced(self.run_id)
        self.changed.set()

    def watch_worker(self) -> None:
        """Notice the death of the worker that wrote its identity, at once."""
        identity = self.directory.read_identity()
        if identity is not None and (self._handle is None or self._handle.pid != identity.pid):
            self._watch(identity.pid)

    def _watch(self, pid: int) -> None:
        if self._handle is not None:
            self._handle.close()
        self._handle = processes.ProcessHandle(pid, self._worker_died)

    def _worker_died(self) -> None:
        self.exited = True
        self.changed.set()

    async def await_exit_code(self) -> None:
        """Give whoever made the worker a moment to tell how it ended."""
        await services.wait_for_event(self._told, _EXIT_CODE_WITHIN_S)

    def kill_at(self, when_s: float) -> None:
        """Have the worker killed at a time, by the monotonic clock; the earliest one counts."""
        if self._kill_at_s is None or when_s < self._kill_at_s:
            self._kill_at_s = when_s

    def press_cancel(self, now_s: float) -> None:
        """Ask the worker to stop if that is due, or kill it if that is."""
        if self._kill_at_s is None:
            return
        if now_s >= self._kill_at_s:
            self.kill()
        elif not self._asked and self.directory.read_identity() is not None:
            self._asked = True
            self.directory.signal_worker(signal.SIGTERM)

    def look_within_s(self, most_s: float) -> float:
        """Return how soon the run has to be looked at again."""
        if self._kill_at_s is None:
            return most_s
        if not self._asked:
            # The worker is about to write down who it is.
            return min(most_s, 0.05)
        left_s = self._kill_at_s - time.monotonic()
        return max(0.01, min(most_s, left_s))

    def kill(self) -> None:
        """Kill the worker and all its process group."""
        self.directory.signal_worker(signal.SIGKILL)
        if self._handle is not None:
            self._handle.kill()

    async def wait_dead(self, timeout_s: float) -> None:
        """Wait for the death of the worker, for a bounded time."""
        if self._handle is not None:
            await services.wait_for_event(self._handle.dead, timeout_s)

    def release(self) -> None:
        """Stop watching. May be repeated."""
        if self._handle is not None:
            self._handle.close()


def _read_nonce(directory: run_directory.RunDirectory) -> str:
    with contextlib.suppress(OSError):
        return (directory.path / _NONCE_FILE).read_text(encoding="ascii").strip()
    return ""
