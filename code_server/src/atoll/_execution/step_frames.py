"""What the process of a step and the process of its run tell each other on a pair of sockets.

Frames are written by `step_process` and read by `forked_executor`. A frame is

    4 bytes  length of the payload, big-endian
    n bytes  a pickled `Told`

Both ends are one program, forked: the reader unpickles what its own copy wrote on a socket that
nobody else was given. A frame that is not whole at the end is what a dead process left behind.

The other way goes nothing but answers to `WrittenAsked`, each written at once:

    8 bytes  the number of the question, big-endian
    8 bytes  the number of the last event that the run has written, big-endian
"""

import io
import os
import pickle
import select
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import data_versions, events, keys
from atoll._execution import progress

_HEADER = struct.Struct(">I")
_ANSWER = struct.Struct(">QQ")
READ_BYTES = 256 * 1024
# The process of the run does nothing but wait for its steps.
_ANSWER_WITHIN_S = 30.0


class StepEnd(records.Record):
    """How an attempt at a step ended; the events have told of it already.

    Attributes:
        outcome: What became of the step; None where it is to be tried again.
        seconds_to_wait: How long to wait before the next attempt.
        made_versions: The versions of the assets that it made, for what comes after it.
    """

    outcome: progress.Outcome | None = None
    seconds_to_wait: float = 0.0
    made_versions: Mapping[keys.AssetKey, data_versions.DataVersion] = MappingProxyType({})


class WrittenAsked(records.Record):
    """A step asks how far the run has written its events, those before this frame included.

    Attributes:
        number: Matches the answer to the question.
    """

    number: int


Told = events.Event | StepEnd | WrittenAsked


class SocketSink:
    """Takes the events of a step and writes them to the socket, whole and in order.

    Several threads of user code may emit at once. A child that user code forks has the sink too,
    but may not speak for the step: what it emits is written to standard error.

    Args:
        descriptor: The step's end of the pair of sockets.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._asked = 0
        self._written = 0
        self._main_thread_writes = False
        self._held_back: Callable[[], None] | None = None

    def emit(self, event: events.Event) -> None:
        """Take one event."""
        if os.getpid() != self._owner:
            sys.stderr.write(f"{event.message}\n")
            return
        self.tell(event)

    def tell(self, told: Told) -> None:
        """Write one frame.

        Args:
            told: An event, or the end of the attempt.

        Raises:
            OSError: The process of the run is gone.
        """
        frame = _frame(told)
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread:
            self._main_thread_writes = True
        try:
            with self._lock:
                written = 0
                while written < len(frame):
                    written += os.write(self._descriptor, frame[written:])
        finally:
            if in_main_thread:
                self._main_thread_writes = False
        if in_main_thread and self._held_back is not None:
            held_back, self._held_back = self._held_back, None
            held_back()

    def written_seq(self) -> int:
        """Return the number of the run's last event, all that were emitted here included.

        In a child that user code forked, the last that was told before.

        Raises:
            InstanceUnavailableError: The process of the run does not answer.
        """
        if os.getpid() != self._owner:
            return self._written
        with self._asking:
            self._asked += 1
            self.tell(WrittenAsked(self._asked))
            self._written = self._answer(self._asked)
            return self._written

    def _answer(self, number: int) -> int:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        deadline = time.monotonic() + _ANSWER_WITHIN_S
        while poller.poll(max(deadline - time.monotonic(), 0) * 1000):
            data = os.read(self._descriptor, _ANSWER.size)
            if len(data) < _ANSWER.size:
                break
            # A question whose wait was interrupted has an answer, too.
            answered, written = _ANSWER.unpack(data)
            if answered == number:
                return int(written)
        raise errors.InstanceUnavailableError(
            "The instance cannot be asked for what counts the events of this run: the process of "
            f"the run did not tell within {_ANSWER_WITHIN_S:g} s what is written of them. Is it "
            "stopped?",
            "DEADLINE_EXCEEDED",
        )

    def interrupt(self, raise_error: Callable[[], None]) -> None:
        """Call what raises now, or as soon as the frame that is being written is written.

        Args:
            raise_error: Raises.
        """
        if self._main_thread_writes:
            self._held_back = raise_error
        else:
            raise_error()


class Decoder:
    """Puts frames together from what is read."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Told]:
        """Yield what is whole.

        Args:
            data: What was read next.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= _HEADER.size:
                (length,) = _HEADER.unpack_from(self._buffer, start)
                end = start + _HEADER.size + length
                if end > len(self._buffer):
                    break
                payload = self._buffer[start + _HEADER.size : end]
                start = end
                # Written by a fork of this very process; see the head of this module.
                yield pickle.loads(payload)  # noqa: S301
        finally:
            self._buffer = self._buffer[start:]


def answer(asked: WrittenAsked, written_seq: int) -> bytes:
    """Return the answer to a question of a step.

    Args:
        asked: The question.
        written_seq: The number of the last event that the run has written.
    """
    return _ANSWER.pack(asked.number, written_seq)


def _frame(told: Told) -> bytes:
    buffer = io.BytesIO()
    buffer.write(bytes(_HEADER.size))
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(told)
    frame = buffer.getbuffer()
    _HEADER.pack_into(frame, 0, len(frame) - _HEADER.size)
    return bytes(frame)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        # Mappings that cannot be written to are all that records hold and pickle does not know.
        if isinstance(obj, MappingProxyType):
            return dict, (dict(obj),)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return NotImplemented
