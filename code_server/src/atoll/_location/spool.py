"""The spool of a run: its events in files, written without waiting on anybody.

A run worker appends through `Writer`; the code server reads through `Reader` while the worker
writes, deletes what the host acknowledged, and continues the spool of a dead worker through
`resume`. Segments are named `<n>.spool`, counted from 1. A record is

    4 bytes  length of the payload, big-endian
    4 bytes  CRC-32 of the payload, big-endian
    n bytes  an encoded events.v1.Event; its seq counts from 1 without gaps

A record that is not whole at the very end means "wait" while the writer lives, and is cut off once
it is dead. The same anywhere else is damage. Records are in the kernel's hands when `append`
returns, so the death of the process loses none; they are not synced to the disk. What is written
and when is decided elsewhere.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator

from google.protobuf import message as protobuf_message

from atoll._location import errors
from atoll.events.v1 import events_pb2

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment that has grown to this size gets no further record."""

RECORD_BYTES_MAX = 8 * 1024 * 1024
"""Bounds one event, so that it fits a message to the host together with what carries it."""

_HEADER = struct.Struct(">II")
_READ_BYTES = 256 * 1024
_SUFFIX = ".spool"


@dataclasses.dataclass(frozen=True, slots=True)
class Spooled:
    """One event in the spool.

    Attributes:
        event: The event.
        size_bytes: The size of its encoding.
    """

    event: events_pb2.Event
    size_bytes: int


class Writer:
    """Appends the events of one run. It belongs to one thread at a time.

    Args:
        folder: The folder of the segments; it exists.
        segment: The number of the segment to append to.
        last_seq: The seq of the last event that the spool holds.
        segment_bytes: When to begin a new segment.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        segment: int = 1,
        last_seq: int = 0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._segment = segment
        self._last_seq = last_seq
        self._segment_bytes = segment_bytes
        self._descriptor = _open_segment(folder, segment)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def last_seq(self) -> int:
        """The seq of the last event that the spool holds; 0 when it is empty."""
        return self._last_seq

    def append(self, event: events_pb2.Event) -> int:
        """Write one event and return its seq, which is also set on it.

        Args:
            event: The event, complete but for its seq.

        Raises:
            SpoolWriteError: It could not be written, for want of space for example. The spool
                is as before.
        """
        event.seq = self._last_seq + 1
        payload = event.SerializeToString()
        if len(payload) > RECORD_BYTES_MAX:
            problem = (
                f"takes no event of {len(payload)} bytes: at most {RECORD_BYTES_MAX} are allowed; "
                "store large values elsewhere and put a link into the metadata"
            )
            raise errors.SpoolWriteError(self._folder, problem)
        if self._size >= self._segment_bytes:
            self._begin_segment()
        record = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        self._write(record)
        self._size += len(record)
        self._last_seq += 1
        return self._last_seq

    def _begin_segment(self) -> None:
        try:
            descriptor = _open_segment(self._folder, self._segment + 1)
        except OSError as error:
            problem = f"cannot begin a segment ({error.strerror})"
            raise errors.SpoolWriteError(self._folder, problem) from error
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._segment += 1
        self._size = 0

    def _write(self, record: bytes) -> None:
        try:
            written = os.write(self._descriptor, record)
            while written < len(record):
                written += os.write(self._descriptor, record[written:])
        except OSError as error:
            # A part of the record may stand in the file; the next one must not follow it.
            os.ftruncate(self._descriptor, self._size)
            problem = f"cannot take another event ({error.strerror})"
            raise errors.SpoolWriteError(self._folder, problem) from error

    def close(self) -> None:
        """Close the spool. May be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Reader:
    """Follows the spool of one run from the first segment that is left.

    Args:
        folder: The folder of the segments; it may not exist yet.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._segment = 0
        self._offset = 0
        self._last_seq = 0
        # The last seq of each segment that was read to its end and not deleted.
        self._finished: dict[int, int] = {}

    @property
    def last_seq(self) -> int:
        """The seq of the last event that was read; 0 before the first."""
        return self._last_seq

    def read(self, *, events_max: int, bytes_max: int) -> list[Spooled]:
        """Return the next events, at least one where there is one.

        Fewer than asked for does not mean that there are no more; none means so.

        Args:
            events_max: How many at the most.
            bytes_max: The size of all together; only the first may be larger.

        Raises:
            SpoolCorruptError: A record that others follow is damaged.
            OSError: The files cannot be read.
        """
        if self._segment == 0:
            segments = _segments(self._folder)
            if not segments:
                return []
            self._segment = segments[0]
        found = self._read_segment(events_max, bytes_max)
        while not found and self._next_segment_exists():
            # The writer finished this segment before it began the next: what is here now is all
            # there will be.
            found = self._read_segment(events_max, bytes_max)
            if not found:
                self._advance()
                found = self._read_segment(events_max, bytes_max)
        return found

    def _next_segment_exists(self) -> bool:
        return _path(self._folder, self._segment + 1).exists()

    def _advance(self) -> None:
        path = _path(self._folder, self._segment)
        size = path.stat().st_size
        if size != self._offset:
            raise errors.SpoolCorruptError(
                path, self._offset, f"{size - self._offset} bytes are no record"
            )
        self._finished[self._segment] = self._last_seq
        self._segment += 1
        self._offset = 0

    def _read_segment(self, events_max: int, bytes_max: int) -> list[Spooled]:
        found: list[Spooled] = []
        total = 0
        for payload in _records(_path(self._folder, self._segment), self._offset):
            if found and (len(found) >= events_max or total + len(payload) > bytes_max):
                break
            event = _decode(payload, _path(self._folder, self._segment), self._offset)
            self._check_order(event.seq)
            found.append(Spooled(event=event, size_bytes=len(payload)))
            total += len(payload)
            self._last_seq = event.seq
            self._offset += _HEADER.size + len(payload)
        return found

    def _check_order(self, seq: int) -> None:
        if self._last_seq and seq != self._last_seq + 1:
            path = _path(self._folder, self._segment)
            problem = f"event {seq} follows event {self._last_seq}"
            raise errors.SpoolCorruptError(path, self._offset, problem)

    def release(self, acknowledged_seq: int) -> None:
        """Delete the segments that the host has whole.

        The last segment that holds an event stays, so that a spool that has begun is never mistaken
        for none.

        Args:
            acknowledged_seq: The seq up to which the host has stored everything.
        """
        if self._offset == 0:
            return
        for segment, last_seq in list(self._finished.items()):
            if last_seq <= acknowledged_seq:
                _path(self._folder, segment).unlink(missing_ok=True)
                del self._finished[segment]


def create(folder: pathlib.Path, *, segment_bytes: int = SEGMENT_BYTES) -> Writer:
    """Begin the spool of a run.

    Args:
        folder: The folder of the segments; made where it is missing.
        segment_bytes: When to begin a new segment.

    Raises:
        SpoolExistsError: The run has begun before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if _segments(folder):
        raise errors.SpoolExistsError(folder)
    return Writer(folder, segment_bytes=segment_bytes)


def resume(folder: pathlib.Path) -> Writer:
    """Continue the spool of a dead writer behind its last whole event; cut off a torn tail.

    Args:
        folder: The folder of the segments; made where it is missing.

    Raises:
        SpoolCorruptError: A record that others follow is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    segments = _segments(folder)
    if not segments:
        return Writer(folder)
    _cut_torn_tail(_path(folder, segments[-1]))
    for missing in range(segments[0], segments[-1]):
        if missing not in segments:
            raise errors.SpoolCorruptError(_path(folder, missing), 0, "the segment is missing")
    last_seq = 0
    for event in events(folder):
        last_seq = event.seq
    return Writer(folder, segment=segments[-1], last_seq=last_seq)


def events(folder: pathlib.Path) -> Iterator[events_pb2.Event]:
    """Yield every whole event that the spool still holds, oldest first.

    Args:
        folder: The folder of the segments.

    Raises:
        SpoolCorruptError: A record that others follow is damaged.
    """
    reader = Reader(folder)
    while found := reader.read(events_max=1000, bytes_max=_READ_BYTES):
        for spooled in found:
            yield spooled.event


def _cut_torn_tail(path: pathlib.Path) -> None:
    whole = sum(_HEADER.size + len(payload) for payload in _records(path, 0))
    if path.stat().st_size > whole:
        os.truncate(path, whole)


def _records(path: pathlib.Path, offset: int) -> Iterator[bytes]:
    """Yield the payloads of whole records from an offset on, up to the first that is not whole."""
    buffer = b""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while True:
            data = file.read(_READ_BYTES)
            if not data:
                return
            buffer += data
            start = 0
            while (end := _record_end(buffer, start)) is not None:
                payload = buffer[start + _HEADER.size : end]
                if zlib.crc32(payload) != _HEADER.unpack_from(buffer, start)[1]:
                    return
                yield payload
                start = end
            buffer = buffer[start:]


def _record_end(buffer: bytes, start: int) -> int | None:
    """Return where the record at `start` ends; None when it is not whole."""
    if len(buffer) - start < _HEADER.size:
        return None
    (length, _) = _HEADER.unpack_from(buffer, start)
    # A length of zero is no event: a tail of zeros is what a machine that lost its power leaves
    # behind.
    if length == 0 or length > RECORD_BYTES_MAX:
        return None
    end = start + _HEADER.size + int(length)
    return end if end <= len(buffer) else None


def _decode(payload: bytes, path: pathlib.Path, offset: int) -> events_pb2.Event:
    event = events_pb2.Event()
    try:
        event.ParseFromString(payload)
    except protobuf_message.DecodeError as error:
        raise errors.SpoolCorruptError(path, offset, "a whole record is no event") from error
    return event


def _open_segment(folder: pathlib.Path, segment: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(_path(folder, segment), flags, 0o600)


def _path(folder: pathlib.Path, segment: int) -> pathlib.Path:
    return folder / f"{segment:06d}{_SUFFIX}"


def _segments(folder: pathlib.Path) -> list[int]:
    """Return the numbers of the segments, ascending."""
    if not folder.is_dir():
        return []
    names = (path.stem for path in folder.iterdir() if path.suffix == _SUFFIX)
    return sorted(int(name) for name in names if name.isdigit())
