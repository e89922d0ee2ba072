"""The way of events out of a run.

Called by everything that executes. A `Sink` takes every event of a run in order; an `Emitter` makes
the events.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from atoll._definitions import events, runs
from atoll._instance import backend as backends

Clock = Callable[[], float]


class Sink(Protocol):
    """Takes the events of one run, in order.

    A sink takes the first event that ends the run and ignores what comes after it: a cancellation
    that arrives in the very moment in which a run ends may lead to a second one.
    """

    def emit(self, event: events.Event) -> None:
        """Take one event. What is raised here ends the run without a further event."""
        ...


class ListSink:
    """Keeps events in a list, and records them in a backend where one is given.

    Args:
        backend: The backend that records.
    """

    def __init__(self, backend: backends.RecordingBackend | None = None) -> None:
        self.events: list[events.Event] = []
        self._backend = backend
        self._ended = False

    def emit(self, event: events.Event) -> None:
        """Take one event."""
        if self._ended:
            return
        self._ended = event.event_type in events.FINAL_RUN_EVENTS
        self.events.append(event)
        if self._backend is not None:
            self._backend.record_event(event)


class Emitter:
    """Makes the events of one run.

    Args:
        sink: Where they go.
        run: The run.
        clock: Tells the time, in seconds since 1970.

    Attributes:
        run: The run.
    """

    def __init__(self, sink: Sink, run: runs.Run, clock: Clock = time.time) -> None:
        self._sink = sink
        self.run = run
        self._clock = clock

    def emit(
        self,
        event_type: events.EventType,
        message: str = "",
        data: Any = None,
        *,
        step_key: str | None = None,
    ) -> None:
        """Make an event and hand it to the sink.

        Args:
            event_type: What kind of event.
            message: What happened, in words for people.
            data: What happened, for programs.
            step_key: The step; None for events of the whole run.
        """
        event = events.Event(
            event_type,
            job_name=self.run.job_name,
            step_key=step_key,
            message=message,
            event_specific_data=data,
            run_id=self.run.run_id,
            timestamp=self._clock(),
        )
        self._sink.emit(event)

    def forward(self, event: events.Event) -> None:
        """Hand an event to the sink that another emitter of this run made.

        Args:
            event: The event.
        """
        self._sink.emit(event)
