"""What of a run's spool the host has, and what is to be sent next.

One `Feed` a run; `forwarding` takes events from it and tells it what was acknowledged, `runs` tells
it when the run has ended. Sending again after a broken stream begins behind the last acknowledged
event: the host drops what it has already.
"""

from __future__ import annotations

import asyncio
import logging

from atoll._location import errors as location_errors
from atoll._location import run_directory, spool
from atoll.events.v1 import events_pb2

_logger = logging.getLogger(__name__)


class Feed:
    """The events of one run on their way to the host.

    Args:
        directory: The directory of the run.
    """

    def __init__(self, directory: run_directory.RunDirectory) -> None:
        self.run_id = directory.run_id
        self.acknowledged_seq = 0
        self.sent_seq = 0
        self.dirty = True
        self.done = asyncio.Event()
        self._folder = directory.events_path
        self._reader = spool.Reader(self._folder)
        self._ended = False
        self._replacement: events_pb2.Event | None = None
        self._damaged = False
        self._waiting: dict[asyncio.Future[None], int] = {}

    @property
    def damaged(self) -> bool:
        """Whether the spool holds something that cannot be read."""
        return self._damaged

    def rewind(self) -> None:
        """Begin again behind the last acknowledged event."""
        self._reader = spool.Reader(self._folder)
        # Up to the damage everything is there still, and may have to be sent again.
        self._damaged = False
        self.sent_seq = self.acknowledged_seq
        self.dirty = True

    def take(self, *, events_max: int, bytes_max: int) -> list[spool.Spooled]:
        """Return the next events to send; none when there are no more for now.

        Args:
            events_max: How many at the most.
            bytes_max: The size of all together; only the first may be larger.
        """
        taken: list[spool.Spooled] = []
        while not taken:
            try:
                found = self._read(events_max, bytes_max)
            except OSError as error:
                # No descriptors left, for example. It stays dirty, so that it is looked at again.
                _logger.warning(
                    "The spool of a run cannot be read now",
                    extra={"action": "read_spool", "run_id": self.run_id, "problem": str(error)},
                )
                return []
            if not found:
                self.dirty = False
                self._look_whether_done()
                return []
            taken = [one for one in found if one.event.seq > self.acknowledged_seq]
        self.sent_seq = taken[-1].event.seq
        return taken

    def acknowledge(self, seq: int) -> None:
        """Note up to where the host has everything, and delete what is not needed any more."""
        if seq > self.acknowledged_seq:
            self.acknowledged_seq = seq
            self._reader.release(seq)
        for waiting, wanted in self._waiting.items():
            if wanted <= seq and not waiting.done():
                waiting.set_result(None)
        self._look_whether_done()

    async def wait_acknowledged(self, seq: int, timeout_s: float) -> bool:
        """Wait until the host has everything up to an event; tell whether that came in time.

        Args:
            seq: The seq of the event.
            timeout_s: How long to wait at the most.
        """
        if seq <= self.acknowledged_seq:
            return True
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = seq
        try:
            await asyncio.wait({waiting}, timeout=timeout_s)
        finally:
            del self._waiting[waiting]
        return seq <= self.acknowledged_seq

    def end(self) -> None:
        """Note that the spool gets no further events."""
        self._ended = True
        self.dirty = True

    def replace_rest(self, event: events_pb2.Event) -> None:
        """Have one event stand for all that cannot be read; its seq is set when it is its turn."""
        event.seq = 0
        self._replacement = event
        self.dirty = True

    def _read(self, events_max: int, bytes_max: int) -> list[spool.Spooled]:
        if not self._damaged:
            try:
                found = self._reader.read(events_max=events_max, bytes_max=bytes_max)
            except (location_errors.SpoolError, FileNotFoundError) as error:
                self._damaged = True
                _logger.error(  # noqa: TRY400  # what the file holds is the point, not the stack
                    "The spool of a run cannot be read to its end",
                    extra={"action": "read_spool", "run_id": self.run_id, "problem": str(error)},
                )
                found = []
            if found:
                return found
        event = self._replacement
        if event is None:
            return []
        if not event.seq:
            event.seq = max(self.sent_seq, self._reader.last_seq, self.acknowledged_seq) + 1
        if event.seq <= self.sent_seq:
            return []
        return [spool.Spooled(event=event, size_bytes=event.ByteSize())]

    def _look_whether_done(self) -> None:
        if self._ended and not self.dirty and self.acknowledged_seq >= self.sent_seq:
            self.done.set()
