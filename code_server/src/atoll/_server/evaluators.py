"""Evaluators of one build: processes that evaluate ticks, one at a time, killed at the deadline.

    (on demand) -> starting -> idle <-> busy -> retired (ticks, idle time, deadline, death)

At most `evaluators_max` at once; further evaluations wait in a bounded line. User code can hang,
crash or flood: its process is killed and replaced, the answer says so, and nobody else waits.
A timeout or a death is an answer with a failure, not an error of the call: it is the user's code
that did it, and the tick records it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable

from atoll._server import (
    definitions_processes,
    errors,
    evaluations,
    hub,
    launching,
    processes,
    services,
)
from atoll._server import settings as server_settings
from atoll.definitions.v1 import values_pb2
from atoll.process.v1 import process_pb2

_logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT_S = 2.0
_LOOK_FOR_IDLE_EVERY_S = 5.0
_EXIT_CODE_WITHIN_S = 0.5

Make = Callable[[process_pb2.ServerMessage, definitions_processes.ChildListener], Awaitable[None]]
Query = Callable[[hub.Connection, process_pb2.InstanceQuery], None]


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What evaluators need from the rest of the code server.

    Attributes:
        settings: The settings.
        hub: Where evaluators report.
        make: Has the definitions process make a process.
        on_query: Takes what user code asks of the instance.
    """

    settings: server_settings.Settings
    hub: hub.Hub
    make: Make
    on_query: Query


class _Evaluator:
    """One evaluator process."""

    def __init__(self, on_query: Query) -> None:
        self.nonce = launching.make_nonce()
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.exited = asyncio.Event()
        self.ticks = 0
        self.idle_since_s = time.monotonic()
        self.exit_code: int | None = None
        self.problem = ""
        self.load_failure: values_pb2.Failure | None = None
        self._on_query = on_query
        self._connection: hub.Connection | None = None
        self._handle: processes.ProcessHandle | None = None
        self._answer: asyncio.Future[process_pb2.Evaluated] | None = None
        self._tick_id = ""

    def process_started(self, pid: int) -> None:
        if self._handle is None and not self.over.is_set():
            self._handle = processes.ProcessHandle(pid)

    def process_exited(self, exit_code: int) -> None:
        self.exit_code = exit_code
        self.exited.set()
        self._end()

    def process_not_made(self, problem: str) -> None:
        self.problem = problem
        self._end()

    def definitions_process_gone(self) -> None:
        if self._connection is None:
            self._end()

    def connected(self, connection: hub.Connection) -> None:
        self._connection = connection
        if self._handle is None:
            self._handle = processes.ProcessHandle(connection.hello.pid)
        self.ready.set()

    def received(self, connection: hub.Connection, message: process_pb2.ProcessMessage) -> None:
        kind = message.WhichOneof("message")
        if kind == "instance_query":
            self._on_query(connection, message.instance_query)
        elif kind == "load_failed":
            self.load_failure = message.load_failed.failure
            self._end()
        elif kind == "evaluated":
            self._evaluated(message.evaluated)

    def _evaluated(self, evaluated: process_pb2.Evaluated) -> None:
        answer = self._answer
        if answer is not None and not answer.done() and evaluated.tick_id == self._tick_id:
            answer.set_result(evaluated)

    def disconnected(self, connection: hub.Connection) -> None:
        del connection
        self._end()

    def _end(self) -> None:
        self.over.set()
        self.ready.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError("The evaluator died."))

    async def evaluate(
        self, evaluation: evaluations.Evaluation, timeout_s: float
    ) -> process_pb2.Evaluated:
        """Evaluate once.

        Raises:
            ConnectionError: The process died.
            asyncio.TimeoutError: It took too long.
        """
        if self._connection is None or self.over.is_set():
            raise ConnectionResetError("The evaluator died.")
        self.ticks += 1
        self._tick_id = evaluation.tick_id
        self._answer = asyncio.get_running_loop().create_future()
        await self._connection.send(process_pb2.ServerMessage(evaluate=evaluation.message))
        try:
            return await asyncio.wait_for(self._answer, timeout_s)
        finally:
            self._answer = None
            self.idle_since_s = time.monotonic()

    def kill(self) -> None:
        self._end()
        if self._handle is not None:
            self._handle.kill()
        if self._connection is not None:
            self._connection.close()

    async def close(self) -> None:
        """Let the process end by itself, then kill it."""
        if self._connection is not None:
            self._connection.close()
        if self._handle is not None:
            await services.wait_for_event(self._handle.dead, _CLOSE_TIMEOUT_S)
        self.kill()
        self.release()

    def release(self) -> None:
        if self._handle is not None:
            self._handle.close()


class EvaluatorPool(services.Service):
    """The evaluators of one build.

    Args:
        build_id: The build.
        surroundings: What they need.
    """

    def __init__(self, build_id: str, surroundings: Surroundings) -> None:
        self._build_id = build_id
        self._surroundings = surroundings
        self._settings = surroundings.settings
        self._slots = asyncio.Semaphore(self._settings.evaluators_max)
        self._idle: list[_Evaluator] = []
        self._alive: set[_Evaluator] = set()
        self._waiting = 0
        self._busy = 0
        self._tasks = services.TaskSet(f"evaluators of {build_id}")

    @property
    def busy(self) -> bool:
        """Whether an evaluation is under way or waits."""
        return bool(self._waiting or self._busy)

    @property
    def pids_known(self) -> int:
        """How many evaluators there are."""
        return len(self._alive)

    async def start(self) -> None:
        """Begin to look for idle evaluators. None is made before it is needed."""
        self._tasks.spawn(self._retire_idle(), name="retire idle ones")

    async def stop(self) -> None:
        """End all evaluators."""
        await self._tasks.cancel()
        await asyncio.gather(*(self._retire(one) for one in tuple(self._alive)))

    async def evaluate(
        self, evaluation: evaluations.Evaluation, timeout_s: float
    ) -> process_pb2.Evaluated:
        """Evaluate once.

        Args:
            evaluation: What to evaluate.
            timeout_s: How long user code may take, and also how long this may wait for its turn.

        Raises:
            EvaluatorsBusyError: Too many evaluations wait, or this one waited too long.
            ProcessUnavailableError: No process could be made.
        """
        async with self._slot(timeout_s):
            evaluator = await self._take()
            if evaluator.over.is_set():
                self._discard(evaluator)
                return self._not_begun(evaluation, evaluator)
            begun_s = time.monotonic()
            try:
                evaluated = await evaluator.evaluate(evaluation, timeout_s)
            except asyncio.TimeoutError:
                self._discard(evaluator)
                return self._timed_out(evaluation, timeout_s)
            except ConnectionError:
                await self._await_exit_code(evaluator)
                self._discard(evaluator)
                return self._died(evaluation, evaluator, time.monotonic() - begun_s)
            except BaseException:
                # The caller went away in the middle: what runs is nobody's any more.
                self._discard(evaluator)
                raise
            self._put_back(evaluator)
            evaluations.note_build(evaluated, self._build_id)
            return evaluated

    @contextlib.asynccontextmanager
    async def _slot(self, timeout_s: float) -> AsyncGenerator[None, None]:
        if self._waiting >= self._settings.evaluations_waiting_max:
            raise errors.EvaluatorsBusyError(self._waiting)
        self._waiting += 1
        try:
            await asyncio.wait_for(self._slots.acquire(), timeout_s)
        except asyncio.TimeoutError as error:
            raise errors.EvaluatorsBusyError(self._waiting) from error
        finally:
            self._waiting -= 1
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._slots.release()

    async def _take(self) -> _Evaluator:
        while self._idle:
            evaluator = self._idle.pop()
            if not evaluator.over.is_set():
                return evaluator
            self._discard(evaluator)
        return await self._make()

    async def _make(self) -> _Evaluator:
        evaluator = _Evaluator(self._surroundings.on_query)
        self._alive.add(evaluator)
        self._surroundings.hub.expect(
            evaluator.nonce, process_pb2.PROCESS_ROLE_EVALUATOR, evaluator
        )
        request = process_pb2.ServerMessage(
            start_evaluator=process_pb2.StartEvaluator(nonce=evaluator.nonce)
        )
        try:
            await self._surroundings.make(request, evaluator)
            # A spawned evaluator imports the code first, so it may take as long as a load.
            ready = await services.wait_for_event(evaluator.ready, self._settings.load_timeout_s)
        except BaseException:
            self._discard(evaluator)
            raise
        finally:
            self._surroundings.hub.forget(evaluator.nonce)
        if not ready:
            self._discard(evaluator)
            raise errors.ProcessUnavailableError("An evaluator", "it took too long")
        return evaluator

    def _put_back(self, evaluator: _Evaluator) -> None:
        if evaluator.over.is_set() or evaluator.ticks >= self._settings.evaluator_ticks_max:
            self._tasks.spawn(self._retire(evaluator), name="retire")
        else:
            self._idle.append(evaluator)

    def _discard(self, evaluator: _Evaluator) -> None:
        self._alive.discard(evaluator)
        evaluator.kill()
        evaluator.release()

    async def _retire(self, evaluator: _Evaluator) -> None:
        self._alive.discard(evaluator)
        await evaluator.close()

    async def _retire_idle(self) -> None:
        while True:
            await asyncio.sleep(min(_LOOK_FOR_IDLE_EVERY_S, self._settings.evaluator_idle_s))
            since_s = time.monotonic() - self._settings.evaluator_idle_s
            stale = [one for one in self._idle if one.idle_since_s < since_s or one.over.is_set()]
            self._idle = [one for one in self._idle if one not in stale]
            await asyncio.gather(*(self._retire(one) for one in stale))

    @staticmethod
    async def _await_exit_code(evaluator: _Evaluator) -> None:
        """Give the definitions process a moment to tell how the evaluator ended."""
        await services.wait_for_event(evaluator.exited, _EXIT_CODE_WITHIN_S)

    def _not_begun(
        self, evaluation: evaluations.Evaluation, evaluator: _Evaluator
    ) -> process_pb2.Evaluated:
        """Answer for an evaluator that could not begin: a spawned one imports the code itself."""
        if evaluator.load_failure is not None:
            return evaluation.failed(evaluator.load_failure, self._build_id)
        problem = evaluator.problem or f"it {processes.describe_exit(evaluator.exit_code)}"
        raise errors.ProcessUnavailableError("An evaluator", problem)

    def _timed_out(
        self, evaluation: evaluations.Evaluation, timeout_s: float
    ) -> process_pb2.Evaluated:
        _logger.warning(
            "An evaluation took too long; its process was killed",
            extra={
                "action": f"evaluate_{evaluation.kind}",
                f"{evaluation.kind}_name": evaluation.name,
            },
        )
        message = (
            f"The {evaluation.whose} took longer than {timeout_s:g} s; "
            "its process was killed. Make it faster, or move its work into a job."
        )
        failure = values_pb2.Failure(type="EvaluationTimeout", message=message)
        return evaluation.failed(failure, self._build_id, timeout_s)

    def _died(
        self, evaluation: evaluations.Evaluation, evaluator: _Evaluator, duration_s: float
    ) -> process_pb2.Evaluated:
        message = (
            f"The process that evaluated the {evaluation.whose} "
            f"{processes.describe_exit(evaluator.exit_code)}."
        )
        failure = values_pb2.Failure(type="EvaluatorDied", message=message)
        return evaluation.failed(failure, self._build_id, duration_s)
