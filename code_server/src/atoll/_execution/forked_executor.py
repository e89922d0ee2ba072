"""Runs each step in a process of its own, several at the same time.

Called by `runs` for jobs whose executor is the multiprocess one. States of an attempt at a step:

```
ready --(a slot of its pool)--a place is free--> forked --its last frame--> gone --> recorded
                                                    |-- the process died --> failed, it alone
```

This process holds no resources and runs nothing of the user's: it decides what runs next, passes on
the events of the steps as they come, and reaps their processes. What a step's process does stands
in `step_process`. Values pass from step to step through IO managers only. Where the process of a
step dies, nobody is left to call the step's hooks.
"""

import contextlib
import dataclasses
import os
import select
import signal
import socket
import time

from atoll._definitions import events, executors, failures
from atoll._execution import (
    held_signals,
    in_process_executor,
    process_ends,
    progress,
    run_scope,
    slots,
    step_boundary,
    step_frames,
    step_process,
    step_queue,
)

FAILURE_TYPE = "atoll.StepProcessDied"
# Below the time after which the code server kills a canceled run worker with all that is its own.
_STOP_WITHIN_S = 20.0
_REAP_WITHIN_S = 5.0
_FOREVER_S = 3600.0
# How often to look for the end of a process where the kernel cannot tell it.
_LOOK_AGAIN_S = 0.02
# How often to ask again for slots while nobody can be asked.
_SLOTS_AGAIN_S = 0.5

_ENDS = (
    events.EventType.STEP_SUCCESS,
    events.EventType.STEP_FAILURE,
    events.EventType.STEP_UP_FOR_RETRY,
)


@dataclasses.dataclass(eq=False)
class _Child:
    """The process of one attempt at a step, as its parent sees it.

    Attributes:
        attempt: The attempt.
        pid: The process.
        reader: This end of the pair of sockets.
        pidfd: Tells its end; -1 where the kernel has no such thing.
        began: When it was forked.
        last: The event by which it told of the end of the attempt.
        outputs: What it gave, as its events tell.
        end: Its last frame.
    """

    attempt: step_queue.Attempt
    pid: int
    reader: int
    pidfd: int
    began: float
    decoder: step_frames.Decoder = dataclasses.field(default_factory=step_frames.Decoder)
    last: events.Event | None = None
    outputs: dict[str, list[str | None]] = dataclasses.field(
        default_factory=dict[str, "list[str | None]"]
    )
    end: step_frames.StepEnd | None = None

    @property
    def key(self) -> str:
        """The key of the step."""
        return self.attempt.step.key


class ForkedExecution:
    """One execution of a plan, each step in a process of its own.

    Args:
        scope: What all steps share.
        state: How far the run has come.
        boundary: What is around each step.
        executor: How many steps run at the same time.
    """

    def __init__(
        self,
        scope: run_scope.RunScope,
        state: progress.Progress,
        boundary: step_boundary.StepBoundary,
        executor: executors.MultiprocessExecutor,
    ) -> None:
        self._scope = scope
        self._progress = state
        self._boundary = boundary
        self._queue = step_queue.StepQueue(
            executor.max_concurrent or _processors(), executor.tag_concurrency_limits
        )
        self._gate = slots.Gate(scope.slots, scope.emitter)
        self._held = held_signals.HeldSignals()
        self._poller = select.poll()
        self._children: dict[int, _Child] = {}
        self._by_descriptor: dict[int, _Child] = {}
        self._canceled = False
        self.failed: list[str] = []
        self.first_error: BaseException | None = None
        self.first_failure: failures.FailureInfo | None = None

    def run(self) -> None:
        """Run until nothing is left to do.

        Raises:
            RunCanceledError: The run was canceled meanwhile; no process of a step is left.
        """
        with self._held:
            try:
                self._run()
            finally:
                self._end_children()

    def _run(self) -> None:
        in_process_executor.tell_left_out(self._scope, self._progress)
        while True:
            self._start_ready()
            if not self._children and self._queue.is_empty and self._gate.is_empty:
                return
            due = self._queue.next_due
            self._wait(_FOREVER_S if due is None else due - time.monotonic())

    def _start_ready(self) -> None:
        ready = self._queue.take_due(time.monotonic())
        while (step := self._progress.take()) is not None:
            ready.append(step_queue.Attempt(step))
        for one in ready:
            if not self._gate.holds(one):
                self._queue.put(one)
        self._gate.ask(self._queue.room)
        for one in self._gate.take(0):
            self._queue.put(one)
        while (attempt := self._queue.take(time.monotonic())) is not None:
            if not self._has_started(attempt):
                return

    def _has_started(self, attempt: step_queue.Attempt) -> bool:
        """Start an attempt, or put it back where no process or descriptor is free."""
        try:
            self._start(attempt)
        except OSError:
            self._queue.release(attempt)
            if not self._children:
                raise
            # Something is free when a step ends.
            self._queue.put(attempt)
            return False
        return True

    def _start(self, attempt: step_queue.Attempt) -> None:
        self._boundary.before_fork()
        reader, theirs = (one.detach() for one in socket.socketpair())
        link = step_process.Link(theirs, os.getpid(), (reader, *self._by_descriptor), self._held)
        try:
            pid = os.fork()
            if pid == 0:
                step_process.run(self._scope, self._boundary, attempt, link)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(reader, False)
        child = _Child(attempt, pid, reader, _pidfd(pid), time.monotonic())
        self._children[pid] = child
        for descriptor in (reader, child.pidfd):
            if descriptor >= 0:
                self._by_descriptor[descriptor] = child
                self._poller.register(descriptor, select.POLLIN)
        self._emit(
            child,
            events.EventType.STEP_WORKER_STARTING,
            f"Started the process {pid} for {child.key}.",
            events.StepWorkerData(pid),
        )

    def _wait(self, timeout_s: float) -> None:
        """Wait for something to happen to the children, and take it in."""
        blind = [one for one in self._children.values() if one.pidfd < 0]
        if blind:
            timeout_s = min(timeout_s, _LOOK_AGAIN_S)
        for descriptor, _ in self._wait_for_descriptors(timeout_s):
            child = self._by_descriptor.get(descriptor)
            if child is None:
                continue
            if descriptor == child.reader:
                self._read(child)
            else:
                self._take_end(child)
        for child in blind:
            if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                self._take_end(child)

    def _wait_for_descriptors(self, timeout_s: float) -> list[tuple[int, int]]:
        """Wait for the children, and for slots where steps need some."""
        if self._gate.is_empty or self._canceled:
            return self._held.wait(self._poller, timeout_s)
        # Looked at anew each time: the connection is made anew when it broke.
        descriptor = self._gate.fileno()
        if descriptor >= 0:
            self._poller.register(descriptor, select.POLLIN)
        try:
            return self._held.wait(self._poller, min(timeout_s, _SLOTS_AGAIN_S))
        finally:
            if descriptor >= 0:
                self._poller.unregister(descriptor)

    def _read(self, child: _Child) -> bool:
        """Take in what a child told; return whether there may be more."""
        try:
            data = os.read(child.reader, step_frames.READ_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            # It ended without reading an answer.
            data = b""
        if not data:
            self._forget(child.reader)
            return False
        for told in child.decoder.feed(data):
            if isinstance(told, step_frames.StepEnd):
                child.end = told
            elif isinstance(told, step_frames.WrittenAsked):
                self._tell_written(child, told)
            else:
                self._pass_on(child, told)
        return True

    def _tell_written(self, child: _Child, asked: step_frames.WrittenAsked) -> None:
        # All that the child told before is written. It may be gone, or have given up reading.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            os.write(child.reader, step_frames.answer(asked, self._boundary.written_seq()))

    def _pass_on(self, child: _Child, event: events.Event) -> None:
        data = event.event_specific_data
        if event.step_key == child.key:
            if isinstance(data, events.StepOutputData):
                child.outputs.setdefault(data.output_name, []).append(data.mapping_key)
            elif event.event_type in _ENDS:
                child.last = event
        self._scope.emitter.forward(event)

    def _take_end(self, child: _Child) -> None:
        """Reap the process of a step, and record what became of the attempt."""
        while self._read(child):
            pass
        self._forget(child.reader)
        os.close(child.reader)
        if child.pidfd >= 0:
            self._forget(child.pidfd)
            os.close(child.pidfd)
        del self._children[child.pid]
        self._queue.release(child.attempt)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except ChildProcessError:
            # User code has all children reaped by the kernel, or by a handler of its own.
            exit_code, used = None, None
        else:
            exit_code = os.waitstatus_to_exitcode(status)
            used = events.ResourceUsage(
                usage.ru_utime * 1000, usage.ru_stime * 1000, usage.ru_maxrss * 1024
            )
        self._record(child, child.end or self._end_of_dead(child, exit_code, used))

    def _record(self, child: _Child, end: step_frames.StepEnd) -> None:
        if end.outcome is None:
            again = step_queue.Attempt(child.attempt.step, child.attempt.number + 1)
            self._queue.put_later(again, time.monotonic() + end.seconds_to_wait)
            return
        if not end.outcome.succeeded:
            self.failed.append(child.key)
            data = None if child.last is None else child.last.event_specific_data
            if self.first_failure is None and isinstance(data, events.StepFailureData):
                self.first_failure = data.failure
        self._scope.made_versions.update(end.made_versions)
        self._progress.record(child.key, end.outcome)
        in_process_executor.tell_left_out(self._scope, self._progress)

    def _end_of_dead(
        self, child: _Child, exit_code: int | None, used: events.ResourceUsage | None
    ) -> step_frames.StepEnd:
        """Return how an attempt ended whose process died, and tell of it where nobody has."""
        died = process_ends.how_it_died(exit_code, "the process of the step")
        if child.last is not None:
            self._emit(
                child, events.EventType.ENGINE_EVENT, f"After the end of {child.key}: {died}"
            )
            if child.last.event_type is events.EventType.STEP_SUCCESS:
                given = {name: tuple(found) for name, found in child.outputs.items()}
                return step_frames.StepEnd(progress.Outcome(succeeded=True, outputs=given))
            data = child.last.event_specific_data
            if isinstance(data, events.StepRetryData):
                return step_frames.StepEnd(None, data.seconds_to_wait)
            return step_frames.StepEnd(progress.FAILED)
        failure = failures.FailureInfo(
            FAILURE_TYPE,
            died if not self._canceled else f"The run was canceled, and {died}",
            last_output=self._boundary.last_output(child.key),
        )
        policy = child.attempt.step.retry_policy if self._scope.retries else None
        number = child.attempt.number
        if policy is not None and number < policy.max_retries and not self._canceled:
            wait_s = policy.calculate_delay(number + 1)
            self._emit(
                child,
                events.EventType.STEP_UP_FOR_RETRY,
                f"Step {child.key} did not end and is tried again in {wait_s:g} s: {died}",
                events.StepRetryData(failure, wait_s, number + 1),
            )
            return step_frames.StepEnd(None, wait_s)
        took_ms = (time.monotonic() - child.began) * 1000
        self.first_failure = self.first_failure or failure
        self._emit(
            child,
            events.EventType.STEP_FAILURE,
            f"Step {child.key} did not end: {died}",
            events.StepFailureData(failure, took_ms, used),
        )
        return step_frames.StepEnd(progress.FAILED)

    def _end_children(self) -> None:
        """End what still runs, with time for the user's clean-up, and leave no process behind."""
        if not self._children:
            return
        self._canceled = True
        try:
            self._signal_all(signal.SIGTERM)
            self._wait_for_all(_STOP_WITHIN_S)
            self._signal_all(signal.SIGKILL)
            self._wait_for_all(_REAP_WITHIN_S)
        finally:
            # Also where an event could not be told, or somebody has no patience.
            self._signal_all(signal.SIGKILL)
            for child in list(self._children.values()):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)
                for descriptor in (child.reader, child.pidfd):
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
            self._children.clear()
            self._by_descriptor.clear()

    def _wait_for_all(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while self._children and (left_s := deadline - time.monotonic()) > 0:
            self._wait(left_s)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children.values():
            # Not reaped yet, so that the id is still that of the child.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    def _forget(self, descriptor: int) -> None:
        if self._by_descriptor.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    def _emit(
        self,
        child: _Child,
        event_type: events.EventType,
        message: str,
        data: events.EventSpecificData | None = None,
    ) -> None:
        self._scope.emitter.emit(event_type, message, data, step_key=child.key)


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        # A kernel or a sandbox without such descriptors.
        return -1
