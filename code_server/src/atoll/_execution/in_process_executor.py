"""Runs the steps of a run one after the other, in this process.

Called by `runs` for jobs whose executor is this one. Ready steps run in the order of their priority
and the plan; a step that waits for its next attempt, or for a slot of its pool, holds up nothing
else.
"""

import heapq
import itertools
import time

from atoll._definitions import events, failures, raised
from atoll._execution import (
    progress,
    run_scope,
    slots,
    step_boundary,
    step_queue,
    steps,
    waiting,
)

# Long enough for the host to say whether there is a slot, where it is there.
_FIRST_ANSWER_S = 2.0
_LOOK_AGAIN_S = 5.0


class InProcessExecution:
    """One execution of a plan.

    Args:
        scope: What all steps share.
        state: How far the run has come.
        boundary: What is around each step.
    """

    def __init__(
        self,
        scope: run_scope.RunScope,
        state: progress.Progress,
        boundary: step_boundary.StepBoundary,
    ) -> None:
        self._scope = scope
        self._progress = state
        self._boundary = boundary
        self._gate = slots.Gate(scope.slots, scope.emitter)
        self._retries: list[tuple[float, int, step_queue.Attempt]] = []
        self._counter = itertools.count()
        self.failed: list[str] = []
        self.first_error: BaseException | None = None

    @property
    def first_failure(self) -> failures.FailureInfo | None:
        """Why the first step failed that did."""
        return None if self.first_error is None else raised.describe(self.first_error)

    def run(self) -> None:
        """Run until nothing is left to do.

        Raises:
            RunCanceledError: The run was canceled meanwhile.
        """
        tell_left_out(self._scope, self._progress)
        while True:
            attempt = self._take()
            if attempt is not None:
                if not self._gate.holds(attempt):
                    self._attempt(attempt)
                else:
                    self._gate.ask(1, only=attempt)
                    self._pass(_FIRST_ANSWER_S)
            elif not self._gate.is_empty:
                self._gate.ask(1)
                self._pass(min(_LOOK_AGAIN_S, self._next_due_s()))
            elif self._retries:
                waiting.pause(self._next_due_s())
            else:
                return

    def _take(self) -> step_queue.Attempt | None:
        """Return what is ready: a step, or a retry whose time has come."""
        step = self._progress.take()
        if step is not None:
            return step_queue.Attempt(step)
        if self._retries and self._next_due_s() <= 0:
            return heapq.heappop(self._retries)[2]
        return None

    def _next_due_s(self) -> float:
        return self._retries[0][0] - time.monotonic() if self._retries else _LOOK_AGAIN_S

    def _pass(self, timeout_s: float) -> None:
        """Run what got its slot meanwhile; nothing else keeps one that it does not use."""
        passed = self._gate.take(timeout_s)
        if passed or timeout_s == _FIRST_ANSWER_S:
            for other in passed[1:]:
                self._gate.holds(other)
            self._gate.withdraw()
        for attempt in passed[:1]:
            self._attempt(attempt)

    def _attempt(self, attempt: step_queue.Attempt) -> None:
        step, number = attempt.step, attempt.number
        outcome = progress.FAILED
        try:
            with step_boundary.entered(self._boundary, step.key, self._scope.emitter):
                outcome = steps.StepRun(self._scope, step, number).execute()
        except steps.StepUpForRetryError as error:
            due = time.monotonic() + error.seconds_to_wait
            again = step_queue.Attempt(step, number + 1)
            heapq.heappush(self._retries, (due, next(self._counter), again))
            return
        except steps.StepFailedError as error:
            self.failed.append(step.key)
            self.first_error = self.first_error or error.reason
        self._progress.record(step.key, outcome)
        tell_left_out(self._scope, self._progress)


def tell_left_out(scope: run_scope.RunScope, state: progress.Progress) -> None:
    """Tell of the steps that were left out since the last call.

    Args:
        scope: What all steps share.
        state: How far the run has come.
    """
    for one in state.take_left_out():
        scope.emitter.emit(
            events.EventType.STEP_SKIPPED,
            f"Left out {one.step.key}, because {', '.join(one.upstream_keys)} gave no output.",
            events.StepSkippedData(one.upstream_keys),
            step_key=one.step.key,
        )
