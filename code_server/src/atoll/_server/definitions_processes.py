r"""The code server's end of one definitions process: wait for its load, have it make processes.

    launched -> loaded -> closed
            \-> failed (it said why, it died, or it took too long) -> closed

Owned by `builds`. The process ends when its connection closes; it is killed if it does not.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import time
from typing import Protocol

from atoll._server import errors, hub, launching, processes, services
from atoll.definitions.v1 import values_pb2
from atoll.process.v1 import process_pb2

_logger = logging.getLogger(__name__)

_OUTPUT_CHUNKS_MAX = 16
_OUTPUT_READ_BYTES = 4096
_LAST_OUTPUT_CHARACTERS = 4000
_CLOSE_TIMEOUT_S = 3.0
_LAST_WORDS_WITHIN_S = 2.0
_HELLO_WITHIN_S = 0.3


class LoadError(errors.CodeServerError):
    """The code could not be loaded.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: values_pb2.Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ChildListener(Protocol):
    """Hears what becomes of a process that a definitions process makes."""

    def process_started(self, pid: int) -> None:
        """It was made."""

    def process_exited(self, exit_code: int) -> None:
        """It ended; a negative code is the number of the signal that killed it."""

    def process_not_made(self, problem: str) -> None:
        """It could not be made."""

    def definitions_process_gone(self) -> None:
        """Nobody will tell any more."""


class DefinitionsProcess:
    """One definitions process.

    Args:
        launched: The process.
        server_hub: Where it reports.
    """

    def __init__(self, launched: launching.Launched, server_hub: hub.Hub) -> None:
        self.build_id = launched.build_id
        self.gone = asyncio.Event()
        self._silent = asyncio.Event()
        self._launched = launched
        self._hub = server_hub
        self._connection: hub.Connection | None = None
        self._outcome: asyncio.Future[process_pb2.Loaded] = (
            asyncio.get_running_loop().create_future()
        )
        self._children: dict[str, ChildListener] = {}
        self._output: collections.deque[bytes] = collections.deque(maxlen=_OUTPUT_CHUNKS_MAX)
        self._handle = processes.ProcessHandle(
            launched.process.pid, ended=lambda: launched.process.poll() is not None
        )
        self._tasks = services.TaskSet(f"definitions process {launched.build_id}")
        server_hub.expect(launched.nonce, process_pb2.PROCESS_ROLE_DEFINITIONS, self)
        asyncio.get_running_loop().add_reader(launched.output.fileno(), self._read_output)
        self._tasks.spawn(self._watch(), name="watch")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._launched.process.pid

    @property
    def age_s(self) -> float:
        """How long ago the process was launched."""
        return time.monotonic() - self._launched.launched_at_s

    async def loaded(self, timeout_s: float) -> process_pb2.Loaded:
        """Wait for the load.

        Args:
            timeout_s: How long it may take; then the process is killed.

        Raises:
            LoadError: It failed, died, or took too long.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self._outcome), timeout_s)
        except asyncio.TimeoutError:
            self._handle.kill()
            message = (
                f"Loading the definitions took longer than {timeout_s:g} s and was stopped. "
                "Move slow work out of the module's top level."
            )
            failure = values_pb2.Failure(
                type="LoadTimeout", message=message, last_output=self.last_output
            )
            raise LoadError(failure) from None

    @property
    def last_output(self) -> str:
        """The last that the process wrote."""
        text = b"".join(self._output).decode(errors="replace")
        return text[-_LAST_OUTPUT_CHARACTERS:]

    async def make(self, request: process_pb2.ServerMessage, listener: ChildListener) -> None:
        """Have a process made: an evaluator or a run worker.

        Args:
            request: StartEvaluator or StartRunWorker.
            listener: Hears what becomes of it.

        Raises:
            ProcessUnavailableError: The definitions process is gone.
        """
        kind = request.WhichOneof("message")
        nonce = (
            request.start_evaluator.nonce
            if kind == "start_evaluator"
            else request.start_run_worker.nonce
        )
        connection = self._connection
        if connection is None or self.gone.is_set():
            raise errors.ProcessUnavailableError("A process", "the code is being loaded again")
        self._children[nonce] = listener
        try:
            await connection.send(request)
        except ConnectionError as error:
            self._children.pop(nonce, None)
            raise errors.ProcessUnavailableError(
                "A process", "the definitions process does not answer"
            ) from error

    async def close(self) -> None:
        """End the process, by force if need be. May be repeated."""
        try:
            await self._end()
        finally:
            self._close_output()
            self._handle.close()
            # The end was seen without asking for it; asking is what takes note of the exit code.
            self._launched.process.poll()

    async def _end(self) -> None:
        self._hub.forget(self._launched.nonce)
        if self._connection is not None:
            self._connection.close()
        else:
            self._handle.kill()
        if not await services.wait_for_event(self._handle.dead, _CLOSE_TIMEOUT_S):
            _logger.warning(
                "A definitions process did not end and is killed",
                extra={"action": "close_build", "build_id": self.build_id, "pid": self.pid},
            )
            self._handle.kill()
        await services.wait_for_event(self.gone, _CLOSE_TIMEOUT_S)
        await self._tasks.cancel()

    def connected(self, connection: hub.Connection) -> None:
        """The process has connected."""
        self._connection = connection

    def received(self, connection: hub.Connection, message: process_pb2.ProcessMessage) -> None:
        """The process says something."""
        del connection
        kind = message.WhichOneof("message")
        if kind == "loaded" and not self._outcome.done():
            self._outcome.set_result(message.loaded)
        elif kind == "load_failed":
            self._fail(message.load_failed.failure)
        elif kind == "process_started":
            if listener := self._children.get(message.process_started.nonce):
                listener.process_started(message.process_started.pid)
        elif kind == "process_exited":
            self._child_exited(message.process_exited)

    def _child_exited(self, exited: process_pb2.ProcessExited) -> None:
        listener = self._children.pop(exited.nonce, None)
        if listener is None:
            return
        if exited.pid == 0:
            listener.process_not_made(os.strerror(exited.exit_code))
        else:
            listener.process_exited(exited.exit_code)

    def disconnected(self, connection: hub.Connection) -> None:
        """The connection is gone: without it the process is of no use, so it ends."""
        del connection
        self._silent.set()
        self._handle.kill()

    async def _watch(self) -> None:
        await self._handle.dead.wait()
        # What it said before it died may still be on its way, the reason of a failed load included.
        connected = self._connection is not None
        await services.wait_for_event(
            self._silent, _LAST_WORDS_WITHIN_S if connected else _HELLO_WITHIN_S
        )
        exit_code = self._launched.process.wait()
        self._read_output()
        if not self._outcome.done():
            self._fail(_death(exit_code, self.last_output))
        self.gone.set()
        children, self._children = self._children, {}
        for listener in children.values():
            listener.definitions_process_gone()

    def _fail(self, failure: values_pb2.Failure) -> None:
        if self._outcome.done():
            return
        if not failure.last_output:
            self._read_output()
            failure.last_output = self.last_output
        self._outcome.set_exception(LoadError(failure))
        # It may be that nobody waits for it any more.
        self._outcome.exception()

    def _read_output(self) -> None:
        while not self._launched.output.closed:
            try:
                data = os.read(self._launched.output.fileno(), _OUTPUT_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._close_output()
                return
            self._output.append(data)

    def _close_output(self) -> None:
        if not self._launched.output.closed:
            asyncio.get_running_loop().remove_reader(self._launched.output.fileno())
            self._launched.output.close()


def _death(exit_code: int, last_output: str) -> values_pb2.Failure:
    how = processes.describe_exit(exit_code)
    message = (
        f"The process that loads the definitions {how} before it had loaded them. "
        "Look for calls that end the process, or crash it, while the module is imported."
    )
    return values_pb2.Failure(type="LoadProcessDied", message=message, last_output=last_output)
