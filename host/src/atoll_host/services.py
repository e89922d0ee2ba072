"""The life of the host's services: start, started, stop, and what happens when a loop fails.

Every part of the host that lives in the background is a `Service`. Most are a `Loop`: prepared
once, then run under supervision until stopped. `host` puts them into one `ServiceGroup`.

    new --start()--> preparing --> running <--> backing off --stop()--> draining --> stopped
                         |
                         +-- prepare() raised: start() raises, nothing runs

A loop that raises is logged and run again after a growing delay; other services do not notice.
Nothing but a failed start ends the host: what cannot be reached now is tried again.
"""

import abc
import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Sequence
from typing import Protocol, cast

_log = logging.getLogger(__name__)


class Service(Protocol):
    """Something that is started once and stopped once."""

    @property
    def name(self) -> str:
        """What log records call it."""
        ...

    @property
    def started(self) -> asyncio.Event:
        """Set once the service does its work."""
        ...

    async def start(self) -> None:
        """Begin; return when the service does its work, raise when it cannot."""
        ...

    async def stop(self) -> None:
        """End within the service's deadline; never raises. Repeating it does nothing."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Backoff:
    """Delays from `first_s`, doubled up to `max_s`; a life longer than `reset_s` begins anew."""

    first_s: float = 0.1
    max_s: float = 5.0
    reset_s: float = 30.0

    def delay_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row (from 1)."""
        return min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 30))


class Loop(abc.ABC):
    """A service that is one supervised coroutine.

    Subclasses implement `run`, and `prepare` and `clean_up` where they need them. `run` is called
    again after it raised; it must therefore be able to begin anew at any time. It ends by returning
    (then the loop rests) or by cancellation in `stop`.

    Attributes:
        stopping: Set when `stop` was called. A loop with `drain_s` looks at it and returns by
            itself.
        failures: How often `run` raised in a row; 0 while it does well.
        last_error: What it raised last; None while it does well.
    """

    def __init__(
        self,
        name: str,
        *,
        backoff: Backoff | None = None,
        drain_s: float = 0.0,
        stop_deadline_s: float = 5.0,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        """Make a loop that does nothing yet.

        Args:
            name: What log records call it.
            backoff: The delays after failures.
            drain_s: How long `run` may go on after `stopping` is set, before it is cancelled.
            stop_deadline_s: How long cancellation and `clean_up` may each take before they are
                abandoned.
            expected: Errors that heal by themselves, such as a database that is away: logged
                without a traceback.
        """
        self._name = name
        self._backoff = backoff or Backoff()
        self._drain_s = drain_s
        self._stop_deadline_s = stop_deadline_s
        self._expected = expected
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stopping = asyncio.Event()
        self.failures = 0
        self.last_error: Exception | None = None

    @property
    def name(self) -> str:
        """What log records call it."""
        return self._name

    @property
    def started(self) -> asyncio.Event:
        """Set once `prepare` has returned and the loop runs."""
        return self._started

    async def prepare(self) -> None:  # noqa: B027 - optional
        """Do what must succeed before the loop runs; what it raises, `start` raises."""

    @abc.abstractmethod
    async def run(self) -> None:
        """Do the work of the loop until stopped. Nobody but the supervisor calls it."""

    async def clean_up(self) -> None:  # noqa: B027 - optional
        """Let go of what `prepare` and `run` took hold of; called once, after `run` ended."""

    async def start(self) -> None:
        """Prepare and begin to run.

        Raises:
            RuntimeError: It was started before.
        """
        if self._task is not None or self.stopping.is_set():
            raise RuntimeError(f"service {self._name!r} was started already: make a new one")
        await self.prepare()
        self._task = asyncio.create_task(self._supervise(), name=f"service {self._name}")
        self._started.set()

    async def stop(self) -> None:
        """Let the loop drain, cancel it, clean up; abandon what exceeds its deadline."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        task = self._task
        if task is not None:
            if self._drain_s > 0 and not task.done():
                await asyncio.wait({task}, timeout=self._drain_s)
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=self._stop_deadline_s)
            if pending:
                self._log_stuck("run")
        await self._clean_up_in_time()

    async def _clean_up_in_time(self) -> None:
        try:
            async with asyncio.timeout(self._stop_deadline_s):
                await self.clean_up()
        except TimeoutError:
            self._log_stuck("clean_up")
        except Exception:  # noqa: BLE001 - the end of a service: recorded, others go on
            _log.exception(
                "service failed to clean up",
                extra={"action": "service_clean_up_failed", "service": self._name},
            )

    def _log_stuck(self, phase: str) -> None:
        _log.error(
            "service did not stop in time and was abandoned",
            extra={"action": "service_stuck", "service": self._name, "phase": phase},
        )

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.run()
            except Exception as error:  # noqa: BLE001 - the boundary of a loop: recorded here, then run again
                if loop.time() - began >= self._backoff.reset_s:
                    self.failures = 0
                self.failures += 1
                self.last_error = error
            else:
                return
            if self.stopping.is_set():
                return
            delay_s = self._backoff.delay_s(self.failures)
            self._log_failure(self.last_error, delay_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self.stopping.wait()
                    return

    def _log_failure(self, error: Exception, delay_s: float) -> None:
        extra = {
            "action": "service_failed",
            "service": self._name,
            "failures": self.failures,
            "delay_s": delay_s,
        }
        if self._is_expected(error):
            _log.warning("service is held up", extra={**extra, "cause": str(error)})
        else:
            _log.error("service failed and will be run again", exc_info=error, extra=extra)

    def _is_expected(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):  # of a `TaskGroup` in `run`
            group = cast("BaseExceptionGroup[BaseException]", error)
            return all(self._is_expected(each) for each in group.exceptions)
        return isinstance(error, self._expected)

    def did_well(self) -> None:
        """Forget earlier failures. For `run`, once it has done a useful thing."""
        self.failures = 0
        self.last_error = None


class ServiceGroup:
    """Services that start in order and stop in reverse; itself a service, so groups nest."""

    def __init__(
        self, name: str, services: Sequence[Service], *, start_deadline_s: float = 60.0
    ) -> None:
        """Make a group.

        Args:
            name: What log records call it.
            services: The services, in the order of their start.
            start_deadline_s: How long each may take to start.
        """
        self._name = name
        self._services = tuple(services)
        self._start_deadline_s = start_deadline_s
        self._started = asyncio.Event()
        self._running: list[Service] = []

    @property
    def name(self) -> str:
        """What log records call it."""
        return self._name

    @property
    def started(self) -> asyncio.Event:
        """Set once every service has started."""
        return self._started

    async def start(self) -> None:
        """Start every service; when one cannot start, stop those that did and raise its error.

        Raises:
            TimeoutError: A service did not start within the deadline.
        """
        for service in self._services:
            try:
                async with asyncio.timeout(self._start_deadline_s):
                    await service.start()
            except BaseException:
                _log.debug(
                    "service could not start",
                    extra={"action": "service_start_failed", "service": service.name},
                )
                await self.stop()
                raise
            self._running.append(service)
        self._started.set()

    async def stop(self) -> None:
        """Stop what was started, newest first, each whatever the others do."""
        while self._running:
            service = self._running.pop()
            try:
                await service.stop()
            except Exception:  # noqa: BLE001 - the end of a service: recorded, others go on
                _log.exception(
                    "service failed to stop",
                    extra={"action": "service_stop_failed", "service": service.name},
                )
