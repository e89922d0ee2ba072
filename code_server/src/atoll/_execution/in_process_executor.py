"""Runs the steps of a run one after the other, in this process.

Called by `runs` for jobs whose executor is this one. Ready steps run in the order of their priority
and the plan; a step that waits for its next attempt holds up nothing else.
"""

import heapq
import itertools
import time

from atoll._definitions import events, failures, raised
from atoll._execution import planning, progress, run_scope, step_boundary, steps, waiting


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
        self._retries: list[tuple[float, int, planning.Step, int]] = []
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
            step = self._progress.take()
            if step is not None:
                self._attempt(step, 0)
            elif self._retries:
                due, _, waiting_step, number = self._retries[0]
                left_s = due - time.monotonic()
                if left_s > 0:
                    waiting.pause(left_s)
                    continue
                heapq.heappop(self._retries)
                self._attempt(waiting_step, number)
            else:
                return

    def _attempt(self, step: planning.Step, number: int) -> None:
        outcome = progress.FAILED
        try:
            with step_boundary.entered(self._boundary, step.key, self._scope.emitter):
                outcome = steps.StepRun(self._scope, step, number).execute()
        except steps.StepUpForRetryError as error:
            due = time.monotonic() + error.seconds_to_wait
            heapq.heappush(self._retries, (due, next(self._counter), step, number + 1))
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
