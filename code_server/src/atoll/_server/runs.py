r"""Runs: accepted, started, watched, canceled, brought to their end, adopted after a restart.

    accepted --> starting --> live --> dead --> sealed --> acknowledged --> deleted
                                 \--> fenced: killed, put aside

A run is accepted when its plan is on disk; from then on it survives any death of this process. Each
run has one task that takes it through the states above. That a worker is dead is judged by its lock
and its identity, never by silence; what it could not write any more is written by
`atoll._location.sealing`. One `HeldRun` holds the facts, see `held_runs`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import pathlib
import shutil
import time
from collections.abc import Callable

from atoll._location import errors as location_errors
from atoll._location import run_directory, sealing
from atoll._server import (
    builds,
    ended_runs,
    errors,
    forwarding,
    held_runs,
    host_link,
    hub,
    launching,
    output,
    services,
    state_directory,
)
from atoll._server import settings as server_settings
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_UNTOLD_START_S = 10.0
# Then it is seen whether a run that waits for a worker was canceled.
_BUILD_WITHIN_S = 3.0
_MAKE_ATTEMPTS_MAX = 5
_FENCED_KEPT = 20


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What runs need from the rest of the code server."""

    settings: server_settings.Settings
    state: state_directory.StateDirectory
    hub: hub.Hub
    builds: builds.Builds
    link: host_link.HostLink
    on_query: held_runs.Query


class Runs(services.Service):
    """The runs of one location.

    Args:
        surroundings: What they need.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.draining = False
        self.forwarder = forwarding.Forwarder(surroundings.link, self._fence)
        self.output = output.OutputForwarder(surroundings.link)
        self._output_bounds = output.OutputBounds(self.output)
        self._around = surroundings
        self._held: dict[str, held_runs.HeldRun] = {}
        self._ended = ended_runs.EndedRuns(surroundings.state.path / "ended_runs")
        self._tasks = services.TaskSet("runs")
        self._on_empty: Callable[[], None] = lambda: None
        surroundings.hub.look_up_workers(self._find_worker)

    def on_empty(self, listener: Callable[[], None]) -> None:
        """Have a function called whenever no run is held any more."""
        self._on_empty = listener

    async def start(self) -> None:
        """Adopt the runs that an earlier code server left, and forward what they write."""
        for directory in run_directory.run_directories(self._around.state.runs_path):
            self._adopt(directory)
        await self.forwarder.start()
        await self.output.start()
        await self._output_bounds.start()

    def _adopt(self, directory: run_directory.RunDirectory) -> None:
        try:
            self._hold(directory, adopted=True)
        except location_errors.RunDirectoryError:
            _logger.exception(
                "A run cannot be adopted; its directory stays",
                extra={"action": "adopt_run", "run_id": directory.run_id},
            )

    async def stop(self) -> None:
        """Let go of the runs; their workers live on."""
        await self._tasks.cancel()
        await self._output_bounds.stop()
        await self.output.stop()
        await self.forwarder.stop()
        for run in self._held.values():
            run.release()

    @property
    def live_count(self) -> int:
        """How many runs have not ended."""
        return sum(not run.sealed for run in self._held.values())

    def live_run_ids(self) -> list[str]:
        """Return the ids of the runs that have not ended."""
        return [run.run_id for run in self._held.values() if not run.sealed]

    @property
    def empty(self) -> bool:
        """Whether nothing of any run is left to do."""
        return not self._held

    def held(self) -> list[location_pb2.HeldRun]:
        """Return the runs that are held: alive, or not acknowledged to their end."""
        return [
            location_pb2.HeldRun(
                run_id=run.run_id,
                attempt=run.attempt,
                build_id=run.build_id,
                alive=not run.sealed,
            )
            for run in self._held.values()
        ]

    def accept(self, plan: location_pb2.RunPlan) -> str:
        """Accept a run; it is durable when this returns. Repeating changes nothing.

        Args:
            plan: The run.

        Returns:
            The build that runs it.

        Raises:
            CodeServerError: It is refused, for good or for now.
            LocationError: The plan cannot be kept under its run id.
        """
        directory = run_directory.run_directory(self._around.state.runs_path, plan.run_id)
        if plan.attempt < 1:
            raise errors.InvalidPlanError(f"the attempt {plan.attempt} is not 1 or more")
        if ended := self._ended.find(plan.run_id):
            return ended.build_id
        if known := self._held.get(plan.run_id):
            return _build_of_repeated(known, plan)
        if self.draining:
            raise errors.DrainingError(self._around.settings.location_name)
        build = self._around.builds.find("")
        if plan.job_name not in build.job_names:
            raise errors.UnknownJobError(plan.job_name, build.build_id)
        directory.accept(plan, build.build_id)
        self._hold(directory, adopted=False)
        return build.build_id

    def cancel(self, run_id: str, grace_s: float | None) -> bool:
        """Ask a run to stop, and kill it after the grace period. Repeating changes nothing.

        Returns:
            Whether the run is held.
        """
        run = self._held.get(run_id)
        if run is None:
            return False
        if not run.sealed:
            run.directory.request_cancel()
            self._begin_cancel(run, grace_s)
        return True

    def _begin_cancel(self, run: held_runs.HeldRun, grace_s: float | None) -> None:
        grace_s = self._around.settings.cancel_grace_s if grace_s is None else grace_s
        run.kill_at(time.monotonic() + grace_s)
        run.changed.set()

    def _hold(self, directory: run_directory.RunDirectory, *, adopted: bool) -> None:
        run = held_runs.HeldRun(directory, self.forwarder.poke, self._around.on_query)
        self._held[run.run_id] = run
        self.forwarder.add(run.feed)
        run_output = output.RunOutput(directory, adopted=adopted)
        self.output.add(run_output)
        if adopted and directory.cancel_requested:
            self._begin_cancel(run, None)
        run.task = self._tasks.spawn(self._supervise(run, run_output), name=f"run {run.run_id}")

    def _find_worker(self, run_id: str, nonce: str) -> hub.Listener | None:
        run = self._held.get(run_id)
        return run if run is not None and hub.same_secret(run.nonce, nonce) else None

    async def _supervise(self, run: held_runs.HeldRun, run_output: output.RunOutput) -> None:
        """Take a run through its states to the end, again while the disk fails."""
        backoff = services.Backoff()
        while True:
            try:
                await self._bring_to_end(run, run_output)
            except (location_errors.LocationError, OSError) as error:
                _logger.warning(
                    "What is to be done for a run cannot be done yet",
                    extra={"action": "run", "run_id": run.run_id, "problem": str(error)},
                    exc_info=error,
                )
            else:
                return
            await backoff.wait()

    async def _bring_to_end(self, run: held_runs.HeldRun, run_output: output.RunOutput) -> None:
        """Go through the states from where the run stands; may be repeated."""
        if not run.sealed:
            await self._live(run)
            await self._seal(run)
            run.sealed = True
        run.feed.end()
        self.forwarder.poke(run.run_id)
        await run.feed.done.wait()
        await self.output.finish(run_output)
        self._ended.add(
            ended_runs.EndedRun(run_id=run.run_id, attempt=run.attempt, build_id=run.build_id)
        )
        run.directory.delete()
        self._let_go(run)

    async def _live(self, run: held_runs.HeldRun) -> None:
        """Start the worker unless it was started, and return when it is dead."""
        attempts = 0
        while run.directory.worker_state() is run_directory.WorkerState.NEVER_STARTED:
            build = await self._make_worker(run) if attempts < _MAKE_ATTEMPTS_MAX else None
            if build is None:
                return
            attempts += 1
            build.workers += 1
            try:
                if await self._watch(run):
                    return
            finally:
                build.workers -= 1
                self._around.builds.release_unused()
            await asyncio.sleep(_LOOK_EVERY_S)
        await self._watch(run)

    async def _make_worker(self, run: held_runs.HeldRun) -> builds.HeldBuild | None:
        """Have a worker made, as soon as there is something to make it with.

        Returns:
            The build that makes it; None when the run was canceled before.
        """
        backoff = services.Backoff()
        while not run.directory.cancel_requested:
            run.expect(launching.make_nonce())
            request = process_pb2.StartRunWorker(
                nonce=run.nonce, run_directory=str(run.directory.path), run_id=run.run_id
            )
            try:
                build = await self._around.builds.usable(within_s=_BUILD_WITHIN_S)
                await build.process.make(process_pb2.ServerMessage(start_run_worker=request), run)
            except errors.CodeServerError as error:
                _logger.info(
                    "A run waits for a worker",
                    extra={"action": "start_run", "run_id": run.run_id, "problem": str(error)},
                )
            else:
                run.build_id = build.build_id
                return build
            await backoff.wait()
        return None

    async def _watch(self, run: held_runs.HeldRun) -> bool:
        """Watch a worker until it is dead.

        Returns:
            False when there never was one, so that another may be started.
        """
        since_s = time.monotonic()
        while True:
            state = run.directory.worker_state()
            if state is run_directory.WorkerState.DEAD:
                await run.await_exit_code()
                return True
            if state is run_directory.WorkerState.ALIVE:
                run.watch_worker()
            elif run.not_made:
                return False
            elif run.exited:
                return True
            elif run.untold and time.monotonic() - since_s > _UNTOLD_START_S:
                return False
            run.press_cancel(time.monotonic())
            await services.wait_for_event(run.changed, run.look_within_s(_LOOK_EVERY_S))
            run.changed.clear()

    async def _seal(self, run: held_runs.HeldRun) -> None:
        """Have the spool end with a final event."""
        backoff = services.Backoff()
        while not await self._try_seal(run):
            await backoff.wait()

    async def _try_seal(self, run: held_runs.HeldRun) -> bool:
        try:
            await asyncio.to_thread(sealing.seal, run.directory, run.exit_code)
        except location_errors.SpoolCorruptError as error:
            run.feed.replace_rest(_damaged(run, str(error)))
        except (location_errors.LocationError, OSError) as error:
            # A lock that is being looked at, or a full disk: it passes.
            _logger.warning(
                "A run cannot be brought to its end yet",
                extra={"action": "seal_run", "run_id": run.run_id, "problem": str(error)},
            )
            return False
        return True

    def _fence(self, run_id: str, reason: str) -> None:
        """Give up a run that the host has given to somebody else."""
        run = self._held.get(run_id)
        if run is not None:
            self._tasks.spawn(self._discard(run, reason), name=f"fence {run_id}")

    async def _discard(self, run: held_runs.HeldRun, reason: str) -> None:
        _logger.warning(
            "A run is given up",
            extra={"action": "discard_run", "run_id": run.run_id, "reason": reason},
        )
        if run.task is not None:
            await services.cancel(run.task)
        run.kill()
        await run.wait_dead(_UNTOLD_START_S)
        self._put_aside(run)
        self._let_go(run)

    def _put_aside(self, run: held_runs.HeldRun) -> None:
        """Keep the directory of a run that was given up for a while."""
        folder = self._around.state.path / "fenced"
        folder.mkdir(mode=0o700, exist_ok=True)
        place = folder / f"{time.time_ns()}-{run.run_id}"
        run.directory.path.rename(place)
        for old in sorted(folder.iterdir(), key=_age_key)[:-_FENCED_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _let_go(self, run: held_runs.HeldRun) -> None:
        self.forwarder.remove(run.run_id)
        self.output.remove(run.run_id)
        run.release()
        if self._held.get(run.run_id) is run:
            del self._held[run.run_id]
        if not self._held:
            self._on_empty()


def _age_key(path: pathlib.Path) -> str:
    return path.name


def _damaged(run: held_runs.HeldRun, problem: str) -> events_pb2.Event:
    """Return the event that ends a run whose spool cannot be read."""
    message = f"{problem} What the run wrote after that is lost. Is the disk in order?"
    event = events_pb2.Event(
        run_id=run.run_id, job_name=run.plan.job_name, message=f"The run did not end: {message}"
    )
    event.timestamp.FromNanoseconds(time.time_ns())
    event.run_failed.failure.type = sealing.FAILURE_TYPE
    event.run_failed.failure.message = message
    return event


def _build_of_repeated(known: held_runs.HeldRun, plan: location_pb2.RunPlan) -> str:
    """Answer the hand-over of a run that is held already.

    A newer attempt of the same plan means that the host gave up on an earlier hand-over which did
    arrive, late. The run goes on: a second worker would do the work twice, and its events would
    carry numbers that the first one's have taken.
    """
    same = location_pb2.RunPlan()
    same.CopyFrom(plan)
    same.attempt = known.plan.attempt
    if same != known.plan:
        raise location_errors.PlanConflictError(
            known.directory.path, accepted_attempt=known.attempt, attempt=plan.attempt
        )
    return known.build_id
