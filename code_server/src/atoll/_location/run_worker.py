"""The process that runs one run.

Takes the worker's lock for its whole life, writes down who it is, and executes the plan in
process; its events go to the spool and its output to files, neither of which needs anybody.
SIGTERM cancels: an exception in the main thread unwinds the step, and the run ends as canceled.
Whatever happens in user code, a final event is written, unless the process dies; then `sealing`
writes it. What a run does stands in `_execution`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import sys
import types
from collections.abc import Callable, Generator

from atoll._definitions import definitions as definitions_module
from atoll._definitions import events, failures, raised
from atoll._execution import runs as execution
from atoll._execution import step_boundary
from atoll._instance import instance as instance_module
from atoll._location import (
    capture,
    errors,
    event_spool,
    loading,
    priority,
    relay,
    relay_backend,
    run_directory,
    slot_client,
    spool,
)
from atoll._wire import failures as failure_messages
from atoll._wire import runs as run_messages
from atoll.location.v1 import location_pb2

EXIT_REFUSED = 4
EXIT_FAILED = 5

_INSTANCE_PATIENCE_S = 60.0
# How long a run waits for what it can do without, where the host told it nothing in advance.
_HASTY_TIMEOUT_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Worker:
    """Which run, and who runs it.

    Attributes:
        directory: The directory of the run.
        build_id: The build that runs it.
        location_name: The name of the code location.
        start_method: How this process was made, "fork" or "spawn".
        introduction: How it introduces itself to the code server.
    """

    directory: str
    build_id: str
    location_name: str
    start_method: str
    introduction: relay.Introduction


def run(worker: Worker, load: loading.Load) -> int:
    """Run the run; return the exit code of the process, which tells nothing of its success.

    Args:
        worker: Which run, and who runs it.
        load: Gives the definitions.
    """
    directory = run_directory.RunDirectory(pathlib.Path(worker.directory))
    try:
        plan = directory.read_plan()
        lock = directory.lock_worker()
        lock.forget_in_children()
        writer = spool.create(directory.events_path)
        directory.write_identity(worker.build_id)
    except (errors.LocationError, OSError) as error:
        sys.stderr.write(f"The run {directory.run_id} is not begun: {error}\n")
        return EXIT_REFUSED
    output = capture.StepCapture(directory)
    output.begin()
    link = relay.ServerLink(worker.introduction)
    sink = event_spool.EventSpool(writer, link, directory.run_id, plan.job_name)
    try:
        _RunWorker(worker, plan, sink, output, directory).run(load, link)
    except errors.SpoolError as error:
        sys.stderr.write(f"The run cannot be recorded and ends here: {error}\n")
        return EXIT_FAILED
    finally:
        output.end()
    return 0


class _RunWorker:
    def __init__(
        self,
        worker: Worker,
        plan: location_pb2.RunPlan,
        sink: event_spool.EventSpool,
        output: capture.StepCapture,
        directory: run_directory.RunDirectory,
    ) -> None:
        self._worker = worker
        self._plan = plan
        self._sink = sink
        self._output = output
        self._directory = directory
        self._canceled = False
        self._gives_way = False

    def run(self, load: loading.Load, link: relay.ServerLink) -> None:
        """Run the plan from its first event to its last.

        The start is told before anything else, since a spawned worker has yet to import the code.
        The execution tells it too; the sink takes the first, as it takes the first end.
        """
        try:
            signal.signal(signal.SIGTERM, self._on_terminate)
            self._emit(events.EventType.RUN_START, "The run has started.", self._start_data())
            if self._directory.cancel_requested:
                self._cancel()
            # What user code asks counts what its run has told so far. What the run itself asks in
            # haste is about what was there before it.
            backend = relay_backend.RelayBackend(
                link, patience_s=_INSTANCE_PATIENCE_S, written_seq=self._sink.written_seq
            )
            instance = instance_module.Instance(backend)
            instance_module.set_process_instance(instance)
            if self._worker.start_method == "spawn":
                # The import is the user's code, too.
                self._give_way()
            hasty = relay_backend.RelayBackend(link, answer_timeout_s=_HASTY_TIMEOUT_S)
            self._execute(load(), instance, instance_module.Instance(hasty))
        except execution.RunCanceledError:
            self._end_canceled()
        except errors.SpoolError:
            raise
        except loading.LoadError as error:
            self._end_failed(failure_messages.to_info(error.failure))
        except BaseException as error:  # noqa: BLE001 - the boundary of the run: recorded as its end
            self._end_failed(raised.describe(error))
        # A late signal must not interrupt what is left.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def _execute(
        self,
        definitions: definitions_module.Definitions,
        instance: instance_module.Instance,
        hasty: instance_module.Instance,
    ) -> None:
        foreign_specs, told = run_messages.known_assets(self._plan, hasty)
        planned = run_messages.from_plan(self._plan, location_name=self._worker.location_name)
        execution.execute_run(
            definitions,
            planned,
            self._sink,
            instance,
            boundary=_WorkerBoundary(self._output, self._directory, self._sink, self._give_way),
            start=self._start_data(),
            foreign_specs=foreign_specs,
            told_assets=told,
            slot_source=slot_client.SlotClient(
                self._worker.introduction, self._plan.attempt, self._sink.written_seq
            ),
        )

    def _give_way(self) -> None:
        # Not before the user's code begins: on a busy machine it would begin a lot later.
        if not self._gives_way:
            self._gives_way = True
            priority.give_way(priority.RUNS)

    def _on_terminate(self, _signal: int, _frame: types.FrameType | None) -> None:
        # Once: the unwinding and its clean-up are not interrupted again. Who has no patience kills.
        if not self._canceled:
            self._canceled = True
            self._sink.interrupt(self._cancel)

    def _cancel(self) -> None:
        self._canceled = True
        text = "The run was canceled."
        raise execution.RunCanceledError(text)

    def _start_data(self) -> events.RunStartData:
        return events.RunStartData(
            build_id=self._worker.build_id,
            pid=os.getpid(),
            hostname=socket.gethostname(),
            start_method=self._worker.start_method,
        )

    def _end_canceled(self) -> None:
        self._emit(events.EventType.RUN_CANCELED, "The run was canceled.")

    def _end_failed(self, failure: failures.FailureInfo) -> None:
        # A cancellation that was held back until this event was written comes too late.
        with contextlib.suppress(execution.RunCanceledError):
            self._emit(
                events.EventType.RUN_FAILURE,
                f"The run has failed: {failure.message}",
                events.RunFailureData(failure),
            )

    def _emit(
        self,
        event_type: events.EventType,
        message: str,
        data: events.EventSpecificData | None = None,
    ) -> None:
        event = events.Event(event_type=event_type, message=message, event_specific_data=data)
        self._sink.emit(event)


class _WorkerBoundary(step_boundary.StepBoundary):
    """Captures the output of each step in the process that runs it, which gives way to others.

    Args:
        output: Points the standard streams at files.
        directory: The directory of the run.
        sink: Numbers the events of the run.
        give_way: Lowers the priority of the process.
    """

    def __init__(
        self,
        output: capture.StepCapture,
        directory: run_directory.RunDirectory,
        sink: event_spool.EventSpool,
        give_way: Callable[[], None],
    ) -> None:
        self._output = output
        self._directory = directory
        self._sink = sink
        self._give_way = give_way

    @property
    def captures(self) -> bool:
        return True

    @contextlib.contextmanager
    def around(self, step_key: str) -> Generator[None]:
        with self._output.step(step_key):
            self._give_way()
            yield

    def before_fork(self) -> None:
        capture.flush_standard_streams()

    def after_fork(self, written_seq: Callable[[], int]) -> None:
        self._sink.ask_run(written_seq)

    def written_seq(self) -> int:
        return self._sink.written_seq()

    def last_output(self, step_key: str) -> str:
        return capture.last_output(self._directory, (step_key,))
