"""What the process of one step does, from its fork to its end.

Entered by `forked_executor` in the child; nothing here returns to the code of the parent. The child
opens the resources that the step needs and closes them, captures its own output, and tells
everything on its socket. SIGTERM cancels the step: the user's clean-up runs. When the parent is
gone the kernel kills the child.
"""

import contextlib
import ctypes
import dataclasses
import os
import signal
import sys
import traceback
import types
from collections.abc import Sequence
from typing import NoReturn

from atoll._definitions import events
from atoll._execution import events as event_sinks
from atoll._execution import (
    held_signals,
    progress,
    run_scope,
    step_boundary,
    step_frames,
    step_queue,
    steps,
)

_EXIT_CRASHED = 70
_SET_PARENT_DEATH_SIGNAL = 1
_LIBC = ctypes.CDLL(None)


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """What ties the process of a step to the process of the run.

    Attributes:
        descriptor: The step's end of the pair of sockets.
        parent_pid: The process of the run.
        private: Descriptors that belong to the parent alone.
        held: What held back signals in the parent.
    """

    descriptor: int
    parent_pid: int
    private: Sequence[int]
    held: held_signals.HeldSignals


def run(
    scope: run_scope.RunScope,
    boundary: step_boundary.StepBoundary,
    attempt: step_queue.Attempt,
    link: Link,
) -> NoReturn:
    """Run an attempt at a step in this process, and end the process.

    Args:
        scope: What all steps share, as the parent has it.
        boundary: What is around each step.
        attempt: The attempt.
        link: The tie to the parent.
    """
    exit_code = _EXIT_CRASHED
    try:
        _die_with_parent(link.parent_pid)
        if scope.slots is not None:
            scope.slots.forget()
        for descriptor in link.private:
            os.close(descriptor)
        _StepProcess(scope, attempt, link.descriptor).run(boundary, link.held)
        exit_code = 0
    except BaseException:  # noqa: BLE001 - the end of the process: nothing of it may reach the parent's code
        with contextlib.suppress(Exception):
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(exit_code)


class _StepProcess:
    def __init__(
        self, scope: run_scope.RunScope, attempt: step_queue.Attempt, descriptor: int
    ) -> None:
        self._attempt = attempt
        self._sink = step_frames.SocketSink(descriptor)
        # Made anew: the parent holds no resources, and values do not cross in memory.
        self._scope = dataclasses.replace(
            scope,
            emitter=event_sinks.Emitter(self._sink, scope.run),
            captured=None,
            made_versions=dict(scope.made_versions),
        )
        self._known_versions = set(scope.made_versions)
        self._canceled = False

    def run(self, boundary: step_boundary.StepBoundary, held: held_signals.HeldSignals) -> None:
        step = self._attempt.step
        try:
            held.restore()
            boundary.after_fork(self._sink.written_seq)
            signal.signal(signal.SIGTERM, self._on_terminate)
            signal.signal(signal.SIGINT, self._on_terminate)
            if held.has_pending:
                self._cancel()
            with step_boundary.entered(boundary, step.key, self._scope.emitter):
                self._scope.emitter.emit(
                    events.EventType.STEP_WORKER_STARTED,
                    f"The process {os.getpid()} runs {step.key}.",
                    events.StepWorkerData(os.getpid()),
                    step_key=step.key,
                )
                end = self._end_of_attempt()
                self._scope.close()
        except steps.RunCanceledError:
            end = step_frames.StepEnd(progress.FAILED)
        self._sink.tell(end)

    def _end_of_attempt(self) -> step_frames.StepEnd:
        try:
            outcome = steps.StepRun(self._scope, self._attempt.step, self._attempt.number).execute()
            made = self._scope.made_versions
            versions = {key: made[key] for key in made.keys() - self._known_versions}
            return step_frames.StepEnd(outcome, made_versions=versions)
        except steps.StepUpForRetryError as error:
            return step_frames.StepEnd(None, error.seconds_to_wait)
        except (steps.StepFailedError, steps.RunCanceledError, KeyboardInterrupt):
            return step_frames.StepEnd(progress.FAILED)
        finally:
            # What is left is Atoll's own clean-up, which a late signal must not interrupt.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_terminate(self, _signal: int, _frame: types.FrameType | None) -> None:
        # Once: the unwinding and its clean-up are not interrupted again. Who has no patience kills.
        if not self._canceled:
            self._sink.interrupt(self._cancel)

    def _cancel(self) -> None:
        self._canceled = True
        raise steps.RunCanceledError("The run was canceled.")


def _die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that forked it ends; Linux only.

    That is the main thread of the parent, which ends with the parent.

    Args:
        parent_pid: The process id of the parent.
    """
    if sys.platform != "linux":
        return
    _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    # The parent may have gone before.
    if os.getppid() != parent_pid:
        os._exit(_EXIT_CRASHED)
