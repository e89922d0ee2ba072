"""Forwards the spools of all runs to the host, over one stream, exactly once in effect.

    spool --Feed.take--> batch --AppendEvents--> host --acknowledgement--> Feed.acknowledge

Several batches are in flight; the host answers each in the order they were sent. While batches are
not full only few are, so that what comes in meanwhile goes out together: a batch for each event
would cost host and database many times the work of the step that wrote it, and come no earlier.
After any break everything unacknowledged is sent again and the host drops the repeats. A run whose
events the host refuses for good (fenced) is handed to `on_fenced`. Nothing here knows what a run is
beyond its feed.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Callable

import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll._server import feeds, host_link, services
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import mesh_pb2

_logger = logging.getLogger(__name__)

BATCH_EVENTS_MAX = 500
BATCH_BYTES_MAX = 512 * 1024
BATCHES_IN_FLIGHT_MAX = 8
# One on its way and one that waits for it, so that the host always has something to do.
SMALL_BATCHES_IN_FLIGHT_MAX = 2

# Workers say when they have written; one whose connection broke is looked at this often.
_BACKSTOP_S = 0.5
_ANSWER_TIMEOUT_S = 60.0
_WRITE_TIMEOUT_S = 60.0

_Call = grpc.aio.StreamStreamCall[mesh_pb2.AppendEventsRequest, mesh_pb2.AppendEventsResponse]
OnFenced = Callable[[str, str], None]


class _StreamOverError(Exception):
    """The stream is of no more use; a new one begins with what is unacknowledged."""


class _Stream:
    """What is in flight on one stream."""

    def __init__(self) -> None:
        self.sent: collections.deque[tuple[float, dict[str, int]]] = collections.deque()
        self.space = asyncio.Event()
        self.space.set()
        self._most = BATCHES_IN_FLIGHT_MAX

    def add(self, last_seqs: dict[str, int], *, full: bool) -> None:
        self.sent.append((time.monotonic(), last_seqs))
        # Behind a full batch there is more to send.
        self._most = BATCHES_IN_FLIGHT_MAX if full else SMALL_BATCHES_IN_FLIGHT_MAX
        if len(self.sent) >= self._most:
            self.space.clear()

    def pop(self) -> dict[str, int]:
        if not self.sent:
            raise _StreamOverError("The host answered more batches than were sent.")
        _, last_seqs = self.sent.popleft()
        if len(self.sent) < self._most:
            self.space.set()
        return last_seqs

    @property
    def overdue(self) -> bool:
        return bool(self.sent) and time.monotonic() - self.sent[0][0] > _ANSWER_TIMEOUT_S


class Forwarder(services.LoopService):
    """Forwards events.

    Args:
        link: The connection to the host.
        on_fenced: Called with a run and the reason why the host refuses its events for good.
    """

    def __init__(self, link: host_link.HostLink, on_fenced: OnFenced) -> None:
        super().__init__("forwarding")
        self._link = link
        self._on_fenced = on_fenced
        self._feeds: dict[str, feeds.Feed] = {}
        self._wake = asyncio.Event()

    def add(self, feed: feeds.Feed) -> None:
        """Forward a run's events from now on."""
        self._feeds[feed.run_id] = feed
        self._wake.set()

    def remove(self, run_id: str) -> None:
        """Forward a run's events no more. May be repeated."""
        self._feeds.pop(run_id, None)

    def poke(self, run_id: str) -> None:
        """Look at a run's spool: there is more in it."""
        if feed := self._feeds.get(run_id):
            feed.dirty = True
            self._wake.set()

    async def run(self) -> None:
        """Keep a stream to the host and send what there is."""
        backoff = services.Backoff()
        self.started.set()
        while True:
            epoch = await self._link.registered()
            # A stream is opened only when there is something to send.
            await self._await_work()
            try:
                await self._stream(backoff)
            except grpc.aio.AioRpcError as error:
                problem = rpc_errors.from_call(error, peer=self._link.address)
                if problem.reason in {reasons.STALE_EPOCH, reasons.NOT_REGISTERED}:
                    self._link.report_stale(epoch)
                _logger.info(
                    "Events wait: the stream to the host broke",
                    extra={"action": "forward_events", "problem": problem.message},
                )
            except (_StreamOverError, asyncio.TimeoutError) as error:
                _logger.info(
                    "Events are sent again",
                    extra={"action": "forward_events", "problem": str(error)},
                )
            await backoff.wait()

    async def _await_work(self) -> None:
        while not any(feed.dirty or feed.sent_seq > feed.acknowledged_seq for feed in self._all()):
            self._wake.clear()
            await services.wait_for_event(self._wake, _BACKSTOP_S)
            self._look_at_all()

    def _all(self) -> tuple[feeds.Feed, ...]:
        return tuple(self._feeds.values())

    def _look_at_all(self) -> None:
        for feed in self._all():
            feed.dirty = True

    async def _stream(self, backoff: services.Backoff) -> None:
        """Send and take acknowledgements until the stream breaks."""
        for feed in self._all():
            feed.rewind()
        call = self._link.mesh.AppendEvents()
        stream = _Stream()
        sending = asyncio.create_task(self._send(call, stream))
        receiving = asyncio.create_task(self._receive(call, stream, backoff))
        tasks = {sending, receiving}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            call.cancel()
            await services.end_all(tasks)

    async def _send(self, call: _Call, stream: _Stream) -> None:
        while True:
            if not await services.wait_for_event(stream.space, _BACKSTOP_S):
                if stream.overdue:
                    raise _StreamOverError("The host does not acknowledge.")
                continue
            batch, full = self._collect()
            if not batch:
                if stream.overdue:
                    raise _StreamOverError("The host does not acknowledge.")
                self._wake.clear()
                if not await services.wait_for_event(self._wake, _BACKSTOP_S):
                    self._look_at_all()
                continue
            # In flight before it is written: the answer may come before the write returns.
            stream.add({event.run_id: event.seq for event in batch}, full=full)
            request = mesh_pb2.AppendEventsRequest(
                location_name=self._link.location_name,
                server_id=self._link.server_id,
                epoch=self._link.epoch,
                events=batch,
            )
            await asyncio.wait_for(call.write(request), _WRITE_TIMEOUT_S)

    def _collect(self) -> tuple[list[events_pb2.Event], bool]:
        """Return the next batch, a fair share of every run, and whether it is full."""
        ready = [feed for feed in self._all() if feed.dirty]
        batch: list[events_pb2.Event] = []
        room_bytes = BATCH_BYTES_MAX
        for index, feed in enumerate(ready):
            share = max(1, (BATCH_EVENTS_MAX - len(batch)) // (len(ready) - index))
            taken = feed.take(
                events_max=share, bytes_max=max(1, room_bytes // (len(ready) - index))
            )
            batch += (spooled.event for spooled in taken)
            room_bytes -= sum(spooled.size_bytes for spooled in taken)
            if len(batch) >= BATCH_EVENTS_MAX or room_bytes <= 0:
                # Those that had no room come first the next time.
                self._feeds = {**{f.run_id: f for f in ready[index + 1 :]}, **self._feeds}
                return batch, True
        return batch, False

    async def _receive(self, call: _Call, stream: _Stream, backoff: services.Backoff) -> None:
        while True:
            response = await call.read()
            if not isinstance(response, mesh_pb2.AppendEventsResponse):
                raise _StreamOverError("The host closed the stream.")
            last_seqs = stream.pop()
            for acknowledgement in response.acknowledgements:
                self._acknowledge(acknowledgement, last_seqs)
            backoff.reset()

    def _acknowledge(
        self, acknowledgement: mesh_pb2.RunAcknowledgement, last_seqs: dict[str, int]
    ) -> None:
        run_id = acknowledgement.run_id
        feed = self._feeds.get(run_id)
        if feed is None:
            return
        if acknowledgement.fenced_reason:
            self.remove(run_id)
            self._on_fenced(run_id, acknowledgement.fenced_reason)
            return
        feed.acknowledge(acknowledgement.acknowledged_seq)
        if acknowledgement.acknowledged_seq < last_seqs.get(run_id, 0):
            # Nothing behind a gap is ever accepted, so it has to be sent again.
            raise _StreamOverError("The host has stored less than was sent.")
