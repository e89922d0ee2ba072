"""The instance as seen from inside a location: questions over the code server's socket.

`ServerLink` is a process's connection to its code server, shared by what it reports and what it
asks. `Questions` asks over it; the code server passes each question on to the host. A run worker
outlives its code server, so it connects when it needs to and asks again for a bounded time; an
evaluator does not. What is asked stands in `relay_backend`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable

from google.protobuf import message as protobuf_message

from atoll import errors as public_errors
from atoll._location import errors, framing
from atoll.process.v1 import process_pb2

ANSWER_TIMEOUT_S = 30.0
"""How long one question may take, on its way through the code server to the host and back."""

_CONNECT_TIMEOUT_S = 5.0
_RETRY_DELAY_MIN_S = 0.05
_RETRY_DELAY_MAX_S = 1.0

# The answers after which asking again may help: the host or its database is away for a while.
_TEMPORARY_REASONS = frozenset(
    {
        "HOST_UNAVAILABLE",
        "STORAGE_UNAVAILABLE",
        "UNREACHABLE",
        "BUSY",
        "NOT_REGISTERED",
        "STALE_EPOCH",
    }
)
_UNREACHABLE = "CODE_SERVER_UNREACHABLE"

ServerChannel = framing.Channel[process_pb2.ServerMessage]


@dataclasses.dataclass(frozen=True, slots=True)
class Introduction:
    """Where the code server listens and who speaks.

    Attributes:
        socket_path: The unix socket of the code server.
        role: What this process is for.
        nonce: What it presents.
        run_id: For a run worker, its run.
    """

    socket_path: str
    role: process_pb2.ProcessRole.ValueType
    nonce: str
    run_id: str = ""


def open_channel(introduction: Introduction) -> ServerChannel:
    """Connect to the code server and say Hello.

    Args:
        introduction: Where, and who speaks.

    Raises:
        OSError: The code server is away.
    """
    connection = framing.connect(introduction.socket_path, _CONNECT_TIMEOUT_S)
    channel = framing.Channel(connection, process_pb2.ServerMessage)
    hello = process_pb2.Hello(
        role=introduction.role,
        nonce=introduction.nonce,
        pid=os.getpid(),
        run_id=introduction.run_id,
    )
    channel.send(process_pb2.ProcessMessage(hello=hello), _CONNECT_TIMEOUT_S)
    return channel


class ServerLink:
    """A connection to the code server that is made when it is needed and made anew when it broke.

    Args:
        introduction: Where, and who speaks.
        channel: A connection that exists already.
    """

    def __init__(self, introduction: Introduction, channel: ServerChannel | None = None) -> None:
        self._introduction = introduction
        self._channel = channel
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._query_id = 0
        self._next_connect = 0.0

    def channel(self) -> ServerChannel:
        """Return the connection, making it where there is none.

        Raises:
            OSError: The code server is away.
        """
        self._be_own()
        if self._channel is None:
            self._channel = open_channel(self._introduction)
        return self._channel

    def _be_own(self) -> None:
        """In a forked child, let go of what is the parent's: its connection, and its lock.

        The process of a step and a child that user code forked must not speak on the connection of
        the run worker; the lock may be held by a thread that the child does not have.
        """
        if self._owner != os.getpid():
            self._owner, self._channel, self._lock = os.getpid(), None, threading.Lock()
            self._next_connect = 0.0

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def notify(self, message: process_pb2.ProcessMessage) -> None:
        """Tell the code server something if it is there; never wait for it.

        Args:
            message: A small message that need not arrive.
        """
        self._be_own()
        if self._channel is None and time.monotonic() < self._next_connect:
            return
        try:
            self.channel().try_send(message)
        except (OSError, errors.FramingError):
            self._drop()
            self._next_connect = time.monotonic() + _RETRY_DELAY_MAX_S

    def ask(self, query: process_pb2.InstanceQuery, timeout_s: float) -> process_pb2.InstanceAnswer:
        """Ask one question and wait for its answer.

        Args:
            query: The question; its id is set here.
            timeout_s: How long the answer may take.

        Raises:
            OSError: The code server is away or does not answer in time.
            FramingError: It answered with nonsense.
        """
        self._be_own()
        with self._lock:
            self._query_id += 1
            query.query_id = self._query_id
            try:
                return self._exchange(query, time.monotonic() + timeout_s)
            except (OSError, errors.FramingError):
                # An answer that comes late would be taken for the next one's.
                self._drop()
                raise

    def _exchange(
        self, query: process_pb2.InstanceQuery, deadline: float
    ) -> process_pb2.InstanceAnswer:
        channel = self.channel()
        channel.send(process_pb2.ProcessMessage(instance_query=query))
        while True:
            message = channel.receive(max(deadline - time.monotonic(), 0))
            if message is None:
                text = "the code server closed the connection"
                raise ConnectionResetError(text)
            answer = message.instance_answer
            if message.HasField("instance_answer") and answer.query_id == query.query_id:
                return answer

    def close(self) -> None:
        """Close the connection. May be repeated."""
        with contextlib.suppress(OSError):
            self._drop()


class Questions:
    """Asks questions by way of the code server, again while it or the host is away.

    Args:
        link: The connection.
        patience_s: For how long to ask again while the code server or the host is away.
        answer_timeout_s: How long one answer may take.
        written_seq: Returns the seq of the last event that the run has written, which answers are
            to count; None where they need not.
    """

    def __init__(
        self,
        link: ServerLink,
        *,
        patience_s: float = 0.0,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        written_seq: Callable[[], int] | None = None,
    ) -> None:
        self._link = link
        self._written_seq = written_seq
        self._patience_s = patience_s
        self._answer_timeout_s = answer_timeout_s

    def ask(self, query: process_pb2.InstanceQuery) -> process_pb2.InstanceAnswer:
        """Ask one question and wait for its answer.

        Args:
            query: The question. What tells the instance something carries a request id, since it
                may arrive more than once.

        Raises:
            InstanceUnavailableError: There is no answer, or a refusal.
        """
        if self._written_seq is not None:
            query.written_seq = self._written_seq()
        deadline = time.monotonic() + self._patience_s
        delay = _RETRY_DELAY_MIN_S
        while True:
            try:
                return self._ask_once(query)
            except public_errors.InstanceUnavailableError as error:
                temporary = error.reason in _TEMPORARY_REASONS or error.reason == _UNREACHABLE
                if not temporary or time.monotonic() + delay > deadline:
                    raise
            # An event that nobody sets: a wait that a signal (cancellation) ends.
            threading.Event().wait(delay)
            delay = min(delay * 2, _RETRY_DELAY_MAX_S)

    def _ask_once(self, query: process_pb2.InstanceQuery) -> process_pb2.InstanceAnswer:
        try:
            answer = self._link.ask(query, self._answer_timeout_s)
        except TimeoutError as error:
            raise public_errors.InstanceUnavailableError(
                f"The instance gave no answer to {_question(query)} within "
                f"{self._answer_timeout_s:g} s. Is the host running and reachable from the code "
                "server? Try again later.",
                "DEADLINE_EXCEEDED",
            ) from error
        except (OSError, errors.FramingError) as error:
            raise public_errors.InstanceUnavailableError(
                f"The instance cannot be asked {_question(query)}: the code server of this "
                "location is away. It may be restarting; try again later.",
                _UNREACHABLE,
            ) from error
        if answer.HasField("error"):
            raise public_errors.InstanceUnavailableError(
                answer.error.message or "The instance could not answer.", answer.error.reason
            )
        return answer


def _question(query: process_pb2.InstanceQuery) -> str:
    name = query.WhichOneof("query") or "nothing"
    detail: protobuf_message.Message = getattr(query, name)
    return f"{name} ({detail.ByteSize()} bytes)" if name != "get_run" else f"get_run {detail}"
