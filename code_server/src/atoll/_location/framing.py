"""Messages over a unix socket: four bytes of length, big-endian, then one encoded protobuf message.

Both ends use this module: the processes that hold user code through the blocking `Channel`, the
code server through `encode` and the incremental `Decoder`, which does no I/O. What the messages
mean stays outside.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Generic, TypeVar

from google.protobuf import message as protobuf_message

from atoll._location import errors

MESSAGE_BYTES_MAX = 256 * 1024 * 1024
"""Bounds one message. The largest is the snapshot of a location: about 1 KiB an asset."""

SEND_TIMEOUT_S = 30.0
"""How long a peer may take to make room for a message before the connection counts as dead."""

_LENGTH = struct.Struct(">I")
_RECEIVE_BYTES = 256 * 1024

MessageT = TypeVar("MessageT", bound=protobuf_message.Message)


def encode(message: protobuf_message.Message) -> bytes:
    """Return one frame.

    Args:
        message: The message that the frame carries.

    Raises:
        FramingError: The message is too large.
    """
    payload = message.SerializeToString()
    if len(payload) > MESSAGE_BYTES_MAX:
        text = f"A message has {len(payload)} bytes; a frame holds at most {MESSAGE_BYTES_MAX}."
        raise errors.FramingError(text)
    return _LENGTH.pack(len(payload)) + payload


class Decoder(Generic[MessageT]):
    """Cuts a stream of bytes into messages.

    Args:
        message_type: The type of every message on the stream.
    """

    def __init__(self, message_type: type[MessageT]) -> None:
        self._message_type = message_type
        self._buffer = bytearray()

    @property
    def at_boundary(self) -> bool:
        """Whether the stream may end here without cutting a message."""
        return not self._buffer

    def feed(self, data: bytes) -> list[MessageT]:
        """Return the messages that are whole now, in order.

        Args:
            data: The next bytes of the stream, cut anywhere.

        Raises:
            FramingError: The bytes are no frames of this message type.
        """
        self._buffer += data
        messages: list[MessageT] = []
        start = 0
        view = memoryview(self._buffer)
        try:
            for begin, end in _frames(view):
                messages.append(self._decode(bytes(view[begin:end])))
                start = end
        finally:
            view.release()
        del self._buffer[:start]
        return messages

    def _decode(self, payload: bytes) -> MessageT:
        message = self._message_type()
        try:
            message.ParseFromString(payload)
        except protobuf_message.DecodeError as error:
            text = (
                f"A frame of {len(payload)} bytes is no {self._message_type.DESCRIPTOR.full_name}."
            )
            raise errors.FramingError(text) from error
        return message


def _frames(view: memoryview) -> Iterator[tuple[int, int]]:
    position = 0
    while len(view) - position >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(view, position)
        if length > MESSAGE_BYTES_MAX:
            text = f"A frame announces {length} bytes; at most {MESSAGE_BYTES_MAX} are allowed."
            raise errors.FramingError(text)
        begin = position + _LENGTH.size
        if len(view) - begin < length:
            return
        position = begin + length
        yield begin, position


class Channel(Generic[MessageT]):
    """One end of a blocking connection.

    Sending is safe from several threads; receiving belongs to one thread at a time. The socket
    itself never blocks, so that the waiting of one thread is not the waiting of another.

    Args:
        connection: A connected stream socket. The channel owns it from here on.
        message_type: The type of every message that arrives.
    """

    def __init__(self, connection: socket.socket, message_type: type[MessageT]) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._decoder = Decoder(message_type)
        self._waiting: list[MessageT] = []
        self._send_lock = threading.Lock()

    @property
    def pending(self) -> bool:
        """Whether `receive` has a message at hand that the socket no longer announces."""
        return bool(self._waiting)

    def fileno(self) -> int:
        """Return the descriptor of the socket, for `select`; -1 once closed."""
        return self._socket.fileno()

    def send(self, message: protobuf_message.Message, timeout_s: float = SEND_TIMEOUT_S) -> None:
        """Send one message.

        Args:
            message: The message.
            timeout_s: How long the peer may take to make room.

        Raises:
            TimeoutError: The peer takes nothing; a part of the message may be gone.
            OSError: The connection is gone.
            FramingError: The message is too large.
        """
        rest = memoryview(encode(message))
        deadline = time.monotonic() + timeout_s
        with self._send_lock:
            while rest:
                self._wait(select.POLLOUT, deadline)
                rest = rest[self._socket.send(rest) :]

    def try_send(self, message: protobuf_message.Message) -> bool:
        """Send one small message if there is room for it now.

        Args:
            message: A message of much less than a page: the kernel takes such whole or not at all.

        Returns:
            Whether it was sent.

        Raises:
            OSError: The connection is gone.
        """
        if not self._send_lock.acquire(blocking=False):
            return False
        try:
            self._socket.send(encode(message))
        except BlockingIOError:
            return False
        finally:
            self._send_lock.release()
        return True

    def receive(self, timeout_s: float | None = None) -> MessageT | None:
        """Return the next message, or None at the end of the stream.

        Args:
            timeout_s: How long to wait; None waits until the peer speaks or goes away.

        Raises:
            TimeoutError: Nothing arrived in time.
            OSError: The connection broke.
            FramingError: The peer broke the framing, or ended in the middle of a message.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._waiting:
            self._wait(select.POLLIN, deadline)
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                if self._decoder.at_boundary:
                    return None
                text = "The peer closed the connection in the middle of a message."
                raise errors.FramingError(text)
            self._waiting = self._decoder.feed(data)
        return self._waiting.pop(0)

    def _wait(self, event: int, deadline: float | None) -> None:
        # poll, not select: user code may have opened more than the 1024 descriptors select knows.
        poller = select.poll()
        poller.register(self._socket, event)
        ready = False
        while not ready:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                text = "The peer did not take or send a message in time."
                raise TimeoutError(text)
            ready = bool(poller.poll(None if left_s is None else left_s * 1000))

    def close(self) -> None:
        """Close the connection. May be repeated."""
        self._socket.close()


def connect(path: str, timeout_s: float) -> socket.socket:
    """Return a stream socket connected to a unix socket.

    Args:
        path: The path of the socket.
        timeout_s: How long to wait for the peer to take the connection.

    Raises:
        OSError: Nobody listens there, or not in time.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
