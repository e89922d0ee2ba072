"""The unix socket on which the processes that hold user code report to the code server.

Frames are those of `atoll._location.framing`. The first message is a Hello; its nonce says who
connects. Nonces of processes that this code server started are registered with `expect`; those of
run workers of an earlier code server are looked up by whoever keeps the runs. What a peer says goes
to its `Listener`, which must not block. Nothing else is decided here.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from atoll._location import errors as location_errors
from atoll._location import framing
from atoll._server import services
from atoll.process.v1 import process_pb2

_logger = logging.getLogger(__name__)

_HELLO_TIMEOUT_S = 10.0
_SEND_TIMEOUT_S = 10.0
_READ_BYTES = 256 * 1024
_STRANGERS_MAX = 64


class Connection:
    """The connection of one process that said who it is."""

    def __init__(self, hello: process_pb2.Hello, writer: asyncio.StreamWriter) -> None:
        self.hello = hello
        self.closed = asyncio.Event()
        self._writer = writer
        self._sending = asyncio.Lock()

    async def send(self, message: process_pb2.ServerMessage) -> None:
        """Send a message.

        Raises:
            ConnectionError: The process is gone, or takes nothing.
        """
        if self.closed.is_set():
            raise ConnectionResetError("The process has closed its connection.")
        async with self._sending:
            self._writer.write(framing.encode(message))
            try:
                await asyncio.wait_for(self._writer.drain(), _SEND_TIMEOUT_S)
            except asyncio.TimeoutError as error:
                self.close()
                raise ConnectionResetError("The process takes no messages.") from error

    def close(self) -> None:
        """Close the connection. May be repeated."""
        self._writer.close()


class Listener(Protocol):
    """What a peer's messages go to."""

    def connected(self, connection: Connection) -> None:
        """The peer has said who it is."""

    def received(self, connection: Connection, message: process_pb2.ProcessMessage) -> None:
        """The peer says something."""

    def disconnected(self, connection: Connection) -> None:
        """The connection is gone."""


WorkerLookup = Callable[[str, str], "Listener | None"]
"""Finds the listener of a run worker by its run and its nonce."""


class Hub(services.Service):
    """Accepts connections and brings each to its listener.

    Args:
        listener: The listening socket; the hub owns it from here on.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._socket = listener
        self._server: asyncio.AbstractServer | None = None
        self._expected: dict[str, tuple[process_pb2.ProcessRole.ValueType, Listener]] = {}
        self._worker_lookup: WorkerLookup | None = None
        self._strangers = asyncio.Semaphore(_STRANGERS_MAX)
        self._handlers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take connections, those included that were made before."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self._socket)

    async def stop(self) -> None:
        """Close every connection; the definitions processes and evaluators end by it."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        await asyncio.gather(*(services.cancel(task) for task in tuple(self._handlers)))

    def expect(
        self, nonce: str, role: process_pb2.ProcessRole.ValueType, listener: Listener
    ) -> None:
        """Bring the process that presents a nonce to a listener."""
        self._expected[nonce] = (role, listener)

    def forget(self, nonce: str) -> None:
        """Turn away whoever presents a nonce from now on. May be repeated."""
        self._expected.pop(nonce, None)

    def look_up_workers(self, lookup: WorkerLookup) -> None:
        """Ask for run workers whose nonce is not expected."""
        self._worker_lookup = lookup

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.TimeoutError, location_errors.FramingError) as error:
            _logger.warning(
                "A connection of a process broke",
                extra={"action": "serve_process", "problem": str(error)},
            )
        except asyncio.CancelledError:
            # The hub stops; the task of a handler has nobody who would await it.
            pass
        finally:
            writer.close()
            if task is not None:
                self._handlers.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = framing.Decoder(process_pb2.ProcessMessage)
        async with self._strangers:
            waiting = await asyncio.wait_for(_first(reader, decoder), _HELLO_TIMEOUT_S)
        if not waiting or waiting[0].WhichOneof("message") != "hello":
            raise ConnectionResetError("The first message was no hello.")
        hello = waiting.pop(0).hello
        listener = self._find(hello)
        if listener is None:
            _logger.warning(
                "A process with an unknown nonce was turned away",
                extra={"action": "greet_process", "pid": hello.pid, "run_id": hello.run_id},
            )
            return
        connection = Connection(hello, writer)
        listener.connected(connection)
        try:
            while True:
                for message in waiting:
                    listener.received(connection, message)
                data = await reader.read(_READ_BYTES)
                if not data:
                    return
                waiting = decoder.feed(data)
        finally:
            connection.closed.set()
            listener.disconnected(connection)

    def _find(self, hello: process_pb2.Hello) -> Listener | None:
        role, listener = self._expected.get(hello.nonce, (None, None))
        if listener is not None and role == hello.role:
            return listener
        if hello.role == process_pb2.PROCESS_ROLE_RUN_WORKER and self._worker_lookup is not None:
            return self._worker_lookup(hello.run_id, hello.nonce)
        return None


def same_secret(one: str, other: str) -> bool:
    """Compare two secrets in a time that tells nothing about them."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


async def _first(
    reader: asyncio.StreamReader, decoder: framing.Decoder[process_pb2.ProcessMessage]
) -> list[process_pb2.ProcessMessage]:
    """Return the first messages; none when the peer goes away before."""
    while data := await reader.read(_READ_BYTES):
        if messages := decoder.feed(data):
            return messages
    return []
