"""Brings the run of a dead worker to its end: the events that the worker can no longer write.

Called by the code server when a worker has ended, and at its start for every run directory that it
finds. The worker's lock is held meanwhile, so that nobody writes to the spool at the same time. A
run whose spool has a final event is left as it is. Whether a worker is dead and what becomes of
the events stays outside.
"""

from __future__ import annotations

import dataclasses
import signal
import time

from atoll._execution import process_ends
from atoll._location import capture, errors, run_directory, spool
from atoll._wire import failures, timestamps
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

FAILURE_TYPE = "atoll.WorkerDied"

_FINAL = frozenset({"run_succeeded", "run_failed", "run_canceled"})
_STEP_ENDS = frozenset({"step_succeeded", "step_failed", "step_skipped"})
# What a step says only while it runs. The segment with its StepStarted may be gone already.
_STEP_SIGNS = frozenset(
    {
        "step_started",
        "step_output",
        "handled_output",
        "loaded_input",
        "asset_materialization",
        "asset_observation",
        "log_message",
    }
)


@dataclasses.dataclass(slots=True)
class Progress:
    """How far a run has come, as its spool tells.

    Attributes:
        last_seq: The seq of the last event; 0 when there is none.
        started: Whether the run has begun.
        final_event: The name of the event that ended the run; empty while there is none.
        open_steps: The steps that began and did not end, in order.
    """

    last_seq: int = 0
    started: bool = False
    final_event: str = ""
    open_steps: dict[str, None] = dataclasses.field(default_factory=dict[str, None])
    _ended_steps: set[str] = dataclasses.field(default_factory=set[str])

    def take(self, event: events_pb2.Event) -> None:
        """Count an event in.

        Args:
            event: The next event.
        """
        body = event.WhichOneof("body") or ""
        self.last_seq = event.seq
        self.started = True
        if body in _FINAL:
            self.final_event = body
        elif body in _STEP_ENDS:
            self._ended_steps.add(event.step_key)
            self.open_steps.pop(event.step_key, None)
        elif body in _STEP_SIGNS and event.step_key and event.step_key not in self._ended_steps:
            self.open_steps[event.step_key] = None


def progress_of(directory: run_directory.RunDirectory) -> Progress:
    """Return how far a run has come. What its spool no longer holds is not seen.

    Args:
        directory: The directory of the run.

    Raises:
        SpoolCorruptError: The spool is damaged.
    """
    progress = Progress()
    for event in spool.events(directory.events_path):
        progress.take(event)
    return progress


def seal(directory: run_directory.RunDirectory, exit_code: int | None = None) -> Progress:
    """Bring the run of a dead worker to its end, unless it has ended.

    Kills what is left of the worker's process group first.

    Args:
        directory: The directory of the run.
        exit_code: How the worker ended, negative for the number of a signal; None when nobody
        knows.

    Returns:
        How far the run has come now; its `final_event` is set.

    Raises:
        WorkerLockedError: The worker lives.
        SpoolError: The spool is damaged or cannot be written; try again once there is space.
    """
    if directory.worker_state() is run_directory.WorkerState.ALIVE:
        raise errors.WorkerLockedError(directory.path / "worker.lock")
    directory.signal_worker(signal.SIGKILL)
    lock = directory.lock_worker()
    try:
        return _seal(directory, exit_code)
    finally:
        lock.release()


def _seal(directory: run_directory.RunDirectory, exit_code: int | None) -> Progress:
    writer = spool.resume(directory.events_path)
    try:
        progress = progress_of(directory)
        if progress.final_event:
            return progress
        for event in _last_words(directory, progress, exit_code):
            writer.append(event)
            progress.take(event)
        return progress
    finally:
        writer.close()


def _last_words(
    directory: run_directory.RunDirectory, progress: Progress, exit_code: int | None
) -> list[events_pb2.Event]:
    plan = directory.read_plan()

    def event(step_key: str = "", message: str = "") -> events_pb2.Event:
        return events_pb2.Event(
            run_id=directory.run_id,
            job_name=plan.job_name,
            step_key=step_key,
            message=message,
            timestamp=timestamps.from_seconds(time.time()),
        )

    if directory.cancel_requested:
        canceled = event(message="The run was canceled; its worker was killed.")
        canceled.run_canceled.SetInParent()
        return [canceled]
    words: list[events_pb2.Event] = []
    died = process_ends.how_it_died(exit_code)
    for step_key in progress.open_steps:
        step_failed = event(step_key, f"The step did not end: {died}")
        step_failed.step_failed.failure.CopyFrom(_failure(directory, step_key, died))
        words.append(step_failed)
    run_failed = event(message=f"The run did not end: {died}")
    last_step = next(reversed(progress.open_steps), run_directory.OUTSIDE_STEPS)
    run_failed.run_failed.failure.CopyFrom(_failure(directory, last_step, died))
    return [*words, run_failed]


def _failure(directory: run_directory.RunDirectory, step_key: str, died: str) -> values_pb2.Failure:
    last_output = capture.last_output(directory, (step_key, run_directory.OUTSIDE_STEPS))
    return failures.of_process(FAILURE_TYPE, died, last_output=last_output)
