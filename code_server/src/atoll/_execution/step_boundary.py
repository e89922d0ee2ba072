"""What is around each step: where its output goes, and how it is asked for afterwards.

Given to `runs` by whoever runs a run; the executors enter it in the process that runs the step.
What captures output stands in `_location`; here is what runs elsewhere get, which captures nothing.
"""

import contextlib
import sys
from collections.abc import Callable, Generator

from atoll._definitions import events
from atoll._execution import events as event_sinks


class StepBoundary:
    """What is around each step. This one captures nothing."""

    @property
    def captures(self) -> bool:
        """Whether standard output and error of steps are captured."""
        return False

    def around(self, step_key: str) -> "contextlib.AbstractContextManager[None]":
        """Return the context in which a step runs.

        Args:
            step_key: The step.
        """
        del step_key
        return contextlib.nullcontext()

    def before_fork(self) -> None:
        """Write out what is buffered, so that it is not written twice."""
        for stream in (sys.stdout, sys.stderr):
            # User code may have closed the streams or put anything in their place.
            with contextlib.suppress(Exception):
                stream.flush()

    def after_fork(self, written_seq: Callable[[], int]) -> None:
        """Note, in the process of a step, how to learn the number of the run's last event.

        Args:
            written_seq: Asks the process of the run.
        """
        del written_seq

    def written_seq(self) -> int:
        """Return the number of the last event of the run; 0 where events are not numbered."""
        return 0

    def last_output(self, step_key: str) -> str:
        """Return the last lines that a step wrote, empty where that is not known.

        Args:
            step_key: The step.
        """
        del step_key
        return ""


@contextlib.contextmanager
def entered(
    boundary: StepBoundary, step_key: str, emitter: event_sinks.Emitter
) -> Generator[None, None, None]:
    """Enter the boundary of a step, and tell where its output goes.

    Args:
        boundary: The boundary.
        step_key: The step.
        emitter: Makes the events.
    """
    with boundary.around(step_key):
        if boundary.captures:
            emitter.emit(
                events.EventType.LOGS_CAPTURED,
                "Standard output and error are captured.",
                events.LogsCapturedData((step_key,)),
                step_key=step_key,
            )
        yield
