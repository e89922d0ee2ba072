"""The shape of everything in the code server that runs for long: start, started, stop.

A `Service` is started once and stopped once. `LoopService` runs one coroutine for its life and
begins it anew, with back-off, should it fail; that failure is a bug and is logged as one.
"""

from __future__ import annotations

import abc
import asyncio
import logging
import random
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

_logger = logging.getLogger(__name__)

_RESTART_AFTER_S = 1.0
_STOP_TIMEOUT_S = 5.0
_CANCEL_ATTEMPTS_MAX = 5


class Service(abc.ABC):
    """Something with a life."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Begin. Returns when the service works."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """End, within a bound. Safe to repeat, and before `start`."""


class LoopService(Service):
    """A service that is one endless coroutine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def run(self) -> None:
        """Do the work until canceled; set `started` when it is under way."""

    async def start(self) -> None:
        """Begin the loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._guarded(), name=self.name)

    async def stop(self) -> None:
        """Cancel the loop and wait for its end."""
        task, self._task = self._task, None
        if task is not None:
            await cancel(task)

    async def _guarded(self) -> None:
        while True:
            try:
                await self.run()
            except Exception:
                _logger.exception(
                    "A service failed and begins anew",
                    extra={"action": "restart_service", "service": self.name},
                )
            else:
                return
            await asyncio.sleep(_RESTART_AFTER_S)


class Group(Service):
    """Services that start in order and stop in the reverse order."""

    def __init__(self, members: Sequence[Service]) -> None:
        self._members = tuple(members)

    async def start(self) -> None:
        """Start all; should one fail, those before it are stopped again."""
        begun: list[Service] = []
        try:
            for member in self._members:
                await member.start()
                begun.append(member)
        except BaseException:
            await self._stop(begun)
            raise

    async def stop(self) -> None:
        """Stop all, the last one first."""
        await self._stop(self._members)

    async def _stop(self, members: Sequence[Service]) -> None:
        for member in reversed(members):
            await _stop_one(member)


async def _stop_one(member: Service) -> None:
    try:
        await member.stop()
    except Exception:
        # The others must be stopped all the same.
        _logger.exception(
            "A service could not be stopped",
            extra={"action": "stop_service", "service": type(member).__name__},
        )


class TaskSet:
    """Tasks that somebody owns: none is lost, each failure is logged, all end with the owner."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Begin a task."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._owner}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error(
                "A task failed",
                extra={"action": "run_task", "task": task.get_name()},
                exc_info=error,
            )

    async def cancel(self) -> None:
        """Cancel all and wait for their end."""
        await asyncio.gather(*(cancel(task) for task in tuple(self._tasks)))


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, for a bounded time."""
    for _ in range(_CANCEL_ATTEMPTS_MAX):
        # More than once: before Python 3.12, `asyncio.wait_for` loses a cancellation that comes
        # together with what it waits for.
        task.cancel()
        await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S / _CANCEL_ATTEMPTS_MAX)
        if task.done():
            break
    else:
        _logger.error(
            "A task does not end", extra={"action": "cancel_task", "task": task.get_name()}
        )
        return
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.info(
            "A task failed while it was ended",
            extra={"action": "cancel_task", "task": task.get_name(), "problem": str(error)},
        )


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks whose outcome nobody needs any more, and wait for their end."""
    for task in tasks:
        if not task.done():
            await cancel(task)
        elif not task.cancelled():
            # Whoever raised it first has told; this only marks it as seen.
            task.exception()


class Backoff:
    """Waiting times that double up to a cap, with jitter, until something succeeds."""

    def __init__(self, *, first_s: float = 0.1, cap_s: float = 2.0) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._next_s = first_s

    def reset(self) -> None:
        """Note a success."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        wait_s = self._next_s
        self._next_s = min(self._next_s * 2, self._cap_s)
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, no secret

    async def wait(self) -> None:
        """Wait that long."""
        await asyncio.sleep(self.next_s())


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event; tell whether it was set in time."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except asyncio.TimeoutError:
        return event.is_set()
    return True
