r"""Builds: loads of the user's code, blue/green.

    reload -> loading -> current -> draining -> closed
                 \-> failed: what was current stays, and the failure is shown

Each build is one definitions process. A load that succeeds becomes current in one step; the one
before drains: it stays for as long as its runs or evaluations go on. When the current process dies
it is started again under the same build id. Should the code on disk have changed meanwhile, so that
the definitions are not the same, it is a new build and gets an id of its own: an id never changes
its meaning. Runs and their workers belong to `runs`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable

from atoll._server import (
    definitions_processes,
    errors,
    evaluations,
    evaluators,
    hub,
    launching,
    services,
)
from atoll._server import settings as server_settings
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

_logger = logging.getLogger(__name__)

_RESTART_WAIT_S = 15.0
# A process that lived this long was well: the next death begins with short waits again.
_WELL_AFTER_S = 60.0

LoadedProcess = tuple[definitions_processes.DefinitionsProcess, process_pb2.Loaded]


@dataclasses.dataclass(eq=False)
class HeldBuild:
    """A build that has loaded.

    Attributes:
        info: What is told about it.
        snapshot: The encoded snapshot of its definitions.
        job_names: Its jobs.
        sensor_names: Its sensors.
        schedule_names: Its schedules.
        process: Its definitions process; replaced when it dies.
        pool: Its evaluators.
        workers: How many run workers of it live or are to be started.
    """

    info: location_pb2.Build
    snapshot: bytes
    job_names: frozenset[str]
    sensor_names: frozenset[str]
    schedule_names: frozenset[str]
    process: definitions_processes.DefinitionsProcess
    pool: evaluators.EvaluatorPool | None = None
    workers: int = 0

    @property
    def build_id(self) -> str:
        """The id."""
        return self.info.build_id

    @property
    def in_use(self) -> bool:
        """Whether a run or an evaluation needs it."""
        return bool(self.workers) or (self.pool is not None and self.pool.busy)


class Builds(services.Service):
    """The builds of one location.

    Args:
        settings: The settings.
        server_hub: Where processes report.
        socket_path: The path of its socket, for the processes.
        first: The definitions process that was launched before anything else.
        on_query: Takes what user code in evaluators asks of the instance.
    """

    def __init__(
        self,
        settings: server_settings.Settings,
        server_hub: hub.Hub,
        socket_path: str,
        first: launching.Launched,
        on_query: evaluators.Query,
    ) -> None:
        self.current: HeldBuild | None = None
        self.load_failure: values_pb2.Failure | None = None
        self.draining: list[HeldBuild] = []
        self.first_load_over = asyncio.Event()
        self.load_number = 0
        self._settings = settings
        self._hub = server_hub
        self._socket_path = socket_path
        self._first = first
        self._on_query = on_query
        self._loading = asyncio.Lock()
        self._usable = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._tasks = services.TaskSet("builds")

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have a function called whenever the current build or the load failure changes."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin with the process that was launched first; returns before it has loaded."""
        self._tasks.spawn(self._load_first(), name="first load")

    async def stop(self) -> None:
        """End all definitions processes and evaluators. Run workers live on."""
        await self._tasks.cancel()
        held = [*self.draining, *([self.current] if self.current is not None else [])]
        self.draining = []
        await asyncio.gather(*(self._close(build) for build in held))

    async def reload(self, build_id: str) -> None:
        """Load the code anew; it becomes current if it loads. The outcome is in the attributes.

        Args:
            build_id: The id of the build; empty generates one. Naming the current build changes
                nothing: what an id means never changes.

        Raises:
            ProcessUnavailableError: No process could be started.
        """
        async with self._loading:
            if build_id and self.current is not None and self.current.build_id == build_id:
                return
            launched = self._launch(build_id or server_settings.generate_build_id())
            await self._load(launched)

    async def usable(self, within_s: float = _RESTART_WAIT_S) -> HeldBuild:
        """Return the current build once its process can make processes.

        Args:
            within_s: How long to wait for that.

        Raises:
            NoBuildError: There is none.
            ProcessUnavailableError: Its process died and is not back in time.
        """
        if self.current is None:
            if not self.first_load_over.is_set():
                await services.wait_for_event(self.first_load_over, within_s)
            if self.current is None:
                reason = self.load_failure.message if self.load_failure is not None else ""
                raise errors.NoBuildError(self._settings.location_name, reason)
        if not await services.wait_for_event(self._usable, within_s):
            raise errors.ProcessUnavailableError("A process", "the code is being loaded again")
        return self.current

    def find(self, build_id: str) -> HeldBuild:
        """Return a build that is held; the current one for an empty id.

        Raises:
            UnknownBuildError: It is not held.
            NoBuildError: No build has loaded.
        """
        if not build_id:
            if self.current is None:
                reason = self.load_failure.message if self.load_failure is not None else ""
                raise errors.NoBuildError(self._settings.location_name, reason)
            return self.current
        for build in (self.current, *self.draining):
            if build is not None and build.build_id == build_id:
                return build
        raise errors.UnknownBuildError(build_id)

    async def evaluate(
        self, evaluation: evaluations.Evaluation, timeout_s: float
    ) -> process_pb2.Evaluated:
        """Evaluate a sensor, a schedule or conditions of the current build.

        Raises:
            CodeServerError: There is no build, or it has no such thing, or no process for it.
        """
        give_up_s = time.monotonic() + _RESTART_WAIT_S
        backoff = services.Backoff()
        while True:
            try:
                return await self._evaluate(evaluation, timeout_s)
            except errors.ProcessUnavailableError:
                # No user code has run yet. The death of the definitions process takes its
                # evaluators along, a moment before it is known.
                if time.monotonic() >= give_up_s:
                    raise
            await backoff.wait()

    async def _evaluate(
        self, evaluation: evaluations.Evaluation, timeout_s: float
    ) -> process_pb2.Evaluated:
        build = await self.usable()
        # Whether the build has a condition is found where it is: there may be tens of thousands.
        if evaluation.kind == evaluations.SCHEDULE:
            if evaluation.name not in build.schedule_names:
                raise errors.UnknownScheduleError(evaluation.name, build.build_id)
        elif evaluation.kind == evaluations.SENSOR and evaluation.name not in build.sensor_names:
            raise errors.UnknownSensorError(evaluation.name, build.build_id)
        if build.pool is None:
            raise errors.ProcessUnavailableError("An evaluator", "the build is closing")
        try:
            return await build.pool.evaluate(evaluation, timeout_s)
        finally:
            self.release_unused()

    def release_unused(self) -> None:
        """Close the draining builds that nothing needs any more."""
        unused = [build for build in self.draining if not build.in_use]
        self.draining = [build for build in self.draining if build.in_use]
        for build in unused:
            self._tasks.spawn(self._close(build), name=f"close {build.build_id}")

    def _launch(self, build_id: str) -> launching.Launched:
        return launching.launch_definitions_process(
            self._settings, build_id=build_id, socket_path=self._socket_path
        )

    async def _load_first(self) -> None:
        async with self._loading:
            try:
                await self._load(self._first)
            finally:
                self.first_load_over.set()

    async def _load(self, launched: launching.Launched) -> None:
        """Wait for a process and make it the current build, or note why it failed."""
        self.load_number += 1
        try:
            process, loaded = await self._await_load(launched)
        except definitions_processes.LoadError as error:
            # Shown on the location and told at the terminal; the failure is the user's.
            _logger.info(
                "A load failed",
                extra={"action": "load_build", "build_id": launched.build_id},
            )
            self.load_failure = error.failure
            self._changed()
            return
        self._make_current(process, loaded)

    async def _await_load(self, launched: launching.Launched) -> LoadedProcess:
        process = definitions_processes.DefinitionsProcess(launched, self._hub)
        try:
            return process, await process.loaded(self._settings.load_timeout_s)
        except BaseException:
            await process.close()
            raise

    def _make_current(
        self, process: definitions_processes.DefinitionsProcess, loaded: process_pb2.Loaded
    ) -> None:
        before = self.current
        build = _held(process, loaded)
        self._give_pool(build)
        self.current = build
        self.load_failure = None
        if before is not None:
            self.draining.append(before)
        self._usable.set()
        self._tasks.spawn(self._keep(build), name=f"keep {build.build_id}")
        self._changed()
        self.release_unused()

    def _give_pool(self, build: HeldBuild) -> None:
        surroundings = evaluators.Surroundings(
            settings=self._settings,
            hub=self._hub,
            make=build.process.make,
            on_query=self._on_query,
        )
        build.pool = evaluators.EvaluatorPool(build.build_id, surroundings)
        self._tasks.spawn(build.pool.start(), name=f"evaluators of {build.build_id}")

    async def _keep(self, build: HeldBuild) -> None:
        """Start the process of a build again whenever it dies, for as long as it is current."""
        backoff = services.Backoff()
        while True:
            await build.process.gone.wait()
            if build is not self.current:
                return
            self._usable.clear()
            if build.process.age_s > _WELL_AFTER_S:
                backoff.reset()
            _logger.warning(
                "The definitions process died and is started again",
                extra={"action": "restart_build", "build_id": build.build_id},
            )
            await backoff.wait()
            async with self._loading:
                if build is not self.current or await self._restart(build):
                    return

    async def _restart(self, build: HeldBuild) -> bool:
        """Start the process of a build again; tell whether the build was replaced instead."""
        old = build.process
        try:
            process, loaded = await self._await_load(self._launch(build.build_id))
        except definitions_processes.LoadError as error:
            self.load_failure = error.failure
            self._changed()
            return False
        except errors.ProcessUnavailableError:
            return False
        if _digest(loaded.snapshot) != build.info.definitions_digest:
            await process.close()
            _logger.warning(
                "The code has changed on disk, so it becomes a new build",
                extra={"action": "restart_build", "build_id": build.build_id},
            )
            await self._load(self._launch(server_settings.generate_build_id()))
            return self.current is not build
        # Before anything is awaited: a stop in between must find the process that lives.
        pool, build.process = build.pool, process
        self._give_pool(build)
        if pool is not None:
            self._tasks.spawn(pool.stop(), name=f"old evaluators of {build.build_id}")
        if self.load_failure is not None:
            self.load_failure = None
            self._changed()
        self._usable.set()
        await old.close()
        return False

    async def _close(self, build: HeldBuild) -> None:
        if build.pool is not None:
            await build.pool.stop()
        await build.process.close()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()


def _held(
    process: definitions_processes.DefinitionsProcess, loaded: process_pb2.Loaded
) -> HeldBuild:
    """Return what is held of a process that has loaded."""
    snapshot = snapshot_pb2.LocationSnapshot.FromString(loaded.snapshot)
    info = location_pb2.Build(
        build_id=process.build_id,
        definitions_digest=_digest(loaded.snapshot),
        definitions_size_bytes=len(loaded.snapshot),
        start_method=loaded.start_method,
        start_method_reason=loaded.start_method_reason,
    )
    info.load_time.FromNanoseconds(time.time_ns())
    info.load_duration.FromMilliseconds(round(process.age_s * 1000))
    return HeldBuild(
        info=info,
        snapshot=loaded.snapshot,
        job_names=frozenset(job.name for job in snapshot.jobs),
        sensor_names=frozenset(sensor.name for sensor in snapshot.sensors),
        schedule_names=frozenset(schedule.name for schedule in snapshot.schedules),
        process=process,
    )


def _digest(snapshot: bytes) -> str:
    return hashlib.sha256(snapshot).hexdigest()
