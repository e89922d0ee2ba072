"""The sink of a run worker: events go to the spool, and the code server is told.

Several threads of user code may emit at once. Cancellation arrives as a signal in the main thread
and must not tear an append apart, so it is held back until the append is done. A child that user
code forks has the sink too, but not the right to number events: what it emits is written to
standard error, which is captured.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from atoll._definitions import events
from atoll._location import relay, spool
from atoll._wire import events as event_messages
from atoll.events.v1 import events_pb2
from atoll.process.v1 import process_pb2

_HINT_INTERVAL_S = 0.005

# Others follow them closely, or nobody waits for them. One wake-up of the code server and the host
# for each would cost a short step more than its work does.
_NOT_URGENT = frozenset(
    {
        events.EventType.ASSET_MATERIALIZATION_PLANNED,
        events.EventType.ENGINE_EVENT,
        events.EventType.HANDLED_OUTPUT,
        events.EventType.LOADED_INPUT,
        events.EventType.LOGS_CAPTURED,
        events.EventType.LOG_MESSAGE,
        events.EventType.STEP_OUTPUT,
    }
)


class EventSpool:
    """Writes events to the spool of a run.

    Args:
        writer: The spool.
        link: The connection to the code server.
        run_id: The run.
        job_name: Its job.
    """

    def __init__(
        self, writer: spool.Writer, link: relay.ServerLink, run_id: str, job_name: str
    ) -> None:
        self._writer = writer
        self._link = link
        self._run_id = run_id
        self._job_name = job_name
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._hint = process_pb2.ProcessMessage(
            spool_advanced=process_pb2.SpoolAdvanced(run_id=run_id)
        )
        self._hinted = 0.0
        self._main_thread_writes = False
        self._held_back: Callable[[], None] | None = None
        self._ended = False
        self._began = False
        self._ask_run: Callable[[], int] | None = None

    def ask_run(self, written_seq: Callable[[], int]) -> None:
        """In the process of a step: have the process of the run tell what is written.

        Args:
            written_seq: Asks it for the seq of the last event.
        """
        self._ask_run = written_seq

    def written_seq(self) -> int:
        """Return the seq of the last event of the run, all that this process emitted included.

        A child that user code forked, which emits none, tells what was written before it was made.

        Raises:
            InstanceUnavailableError: The process of the run does not tell.
        """
        written = self._writer.last_seq
        return written if self._ask_run is None else max(written, self._ask_run())

    @property
    def began(self) -> bool:
        """Whether the start of the run was written."""
        return self._began

    @property
    def ended(self) -> bool:
        """Whether an event was written that ends the run; later ones are dropped."""
        return self._ended

    def emit(self, event: events.Event) -> None:
        """Write an event.

        Args:
            event: The event. Its run, job and time are set where they are missing.

        Raises:
            SpoolWriteError: There is no space for it.
        """
        if os.getpid() != self._owner:
            sys.stderr.write(f"{event.message}\n")
            return
        message = event_messages.to_message(event)
        message.run_id = self._run_id
        message.job_name = message.job_name or self._job_name
        if not event.timestamp:
            message.timestamp.FromNanoseconds(time.time_ns())
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread:
            self._main_thread_writes = True
        try:
            with self._lock:
                self._append(event.event_type, message)
        finally:
            if in_main_thread:
                self._main_thread_writes = False
        if in_main_thread and self._held_back is not None:
            held_back, self._held_back = self._held_back, None
            held_back()

    def _append(self, event_type: events.EventType, message: events_pb2.Event) -> None:
        if self._ended or (event_type is events.EventType.RUN_START and self._began):
            return
        self._writer.append(message)
        self._began = True
        self._ended = event_type in events.FINAL_RUN_EVENTS
        now = time.monotonic()
        if event_type in _NOT_URGENT and now - self._hinted < _HINT_INTERVAL_S:
            return
        self._hinted = now
        self._link.notify(self._hint)

    def interrupt(self, raise_error: Callable[[], None]) -> None:
        """Call what raises now, or as soon as the event that is being written is written.

        For signal handlers, which run in the main thread wherever it stands.

        Args:
            raise_error: Raises.
        """
        if self._main_thread_writes:
            self._held_back = raise_error
        else:
            raise_error()
