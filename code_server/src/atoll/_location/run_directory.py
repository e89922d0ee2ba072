"""The directory of one run: what the code server and the run worker tell each other through files.

    plan.pb            the RunPlan; its presence means that the run was accepted
    build_id           the build that runs it
    worker.lock        flock held by the live worker for its whole life
    worker.pb          the WorkerIdentity of the worker
    cancel             exists when somebody asked for the run to be canceled
    events/            the spool, see `spool`
    output/            captured standard output and error, see `capture`

The code server accepts, watches, cancels and deletes; the worker locks and identifies itself. Files
are written beside and renamed, so that a reader sees them whole; they are not synced to the disk,
since what they survive is the death of processes. How a dead worker's run is brought to its end
stands in `sealing`, not here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import errno
import fcntl
import hashlib
import os
import pathlib
import re
import select
import shutil
import signal
import urllib.parse
from collections.abc import Iterator

from google.protobuf import message as protobuf_message

from atoll._location import errors, process_identity
from atoll.location.v1 import location_pb2
from atoll.process.v1 import process_pb2

OUTSIDE_STEPS = ""
"""The step key of what was written outside any step."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OUTSIDE_FILE = "_run"
_FILE_NAME_MAX = 180
_HASHED_MARK = "~"
_SUFFIXES = {"out": ".out", "err": ".err"}
_LOCK_TRIES = 100
_LOCK_RETRY_S = 0.01


class WorkerState(enum.Enum):
    """How the worker of a run is doing."""

    NEVER_STARTED = "never_started"
    ALIVE = "alive"
    DEAD = "dead"


@dataclasses.dataclass(frozen=True, slots=True)
class CapturedOutput:
    """One captured stream of one step.

    Attributes:
        step_key: The step; empty for what was written outside any step.
        stream: "out" or "err".
        path: The file.
    """

    step_key: str
    stream: str
    path: pathlib.Path


class WorkerLock:
    """The lock that a worker holds for its whole life.

    It must not live on in children that are forked without an exec: see `forget_in_children`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def forget_in_children(self) -> None:
        """Close the lock in every child forked from here on, so that it ends with this process."""
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Close the lock. May be repeated."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class RunDirectory:
    """The directory of one run.

    Args:
        path: Where it is. Its name is the run id.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """The run."""
        return self.path.name

    @property
    def events_path(self) -> pathlib.Path:
        """The folder of the spool."""
        return self.path / "events"

    @property
    def output_path(self) -> pathlib.Path:
        """The folder of the captured output."""
        return self.path / "output"

    def accept(self, plan: location_pb2.RunPlan, build_id: str) -> bool:
        """Write the plan, so that the run survives a restart of the code server.

        Args:
            plan: The run.
            build_id: The build that is going to run it.

        Returns:
            Whether the run is new; False when the same plan was accepted before.

        Raises:
            PlanConflictError: Another plan was accepted before.
            OSError: The files cannot be written.
        """
        if self.is_accepted:
            accepted = self.read_plan()
            if accepted != plan:
                raise errors.PlanConflictError(
                    self.path, accepted_attempt=accepted.attempt, attempt=plan.attempt
                )
            return False
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.events_path.mkdir(exist_ok=True)
        self.output_path.mkdir(exist_ok=True)
        _write_whole(self.path / "build_id", build_id.encode())
        _write_whole(self.path / "plan.pb", plan.SerializeToString())
        return True

    @property
    def is_accepted(self) -> bool:
        """Whether the plan was written; a directory without one was never accepted."""
        return (self.path / "plan.pb").exists()

    def read_plan(self) -> location_pb2.RunPlan:
        """Return the plan.

        Raises:
            RunDirectoryError: There is none, or it is damaged.
        """
        plan = location_pb2.RunPlan()
        self._read_message("plan.pb", plan)
        return plan

    def read_build_id(self) -> str:
        """Return the build that runs the run.

        Raises:
            RunDirectoryError: It was never written.
        """
        return self._read("build_id").decode()

    def write_identity(self, build_id: str) -> process_pb2.WorkerIdentity:
        """Write down that this process is the worker.

        Args:
            build_id: The build that it runs.
        """
        identity = process_identity.of_this_process(build_id)
        _write_whole(self.path / "worker.pb", identity.SerializeToString())
        return identity

    def read_identity(self) -> process_pb2.WorkerIdentity | None:
        """Return who the worker is; None when none ever wrote it down.

        Raises:
            RunDirectoryError: The file is damaged.
        """
        if not (self.path / "worker.pb").exists():
            return None
        identity = process_pb2.WorkerIdentity()
        self._read_message("worker.pb", identity)
        return identity

    def request_cancel(self) -> None:
        """Note that somebody asked for the run to be canceled."""
        (self.path / "cancel").touch()

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for the run to be canceled."""
        return (self.path / "cancel").exists()

    def lock_worker(self) -> WorkerLock:
        """Take the worker's lock: for a worker, or for whoever ends the run of a dead one.

        Raises:
            WorkerLockedError: Another process holds it.
        """
        path = self.path / "worker.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for _ in range(_LOCK_TRIES):
            if _try_lock(descriptor):
                return WorkerLock(descriptor)
            if self._identified_worker_runs():
                break
            # Somebody looks whether the lock is held, which takes it for a moment.
            select.select([], [], [], _LOCK_RETRY_S)
        os.close(descriptor)
        raise errors.WorkerLockedError(path)

    def _identified_worker_runs(self) -> bool:
        identity = self.read_identity()
        return identity is not None and process_identity.runs_still(identity)

    def worker_state(self) -> WorkerState:
        """Return how the worker is doing, judged by its lock and its identity.

        A lock that is held by others than the worker that wrote its identity (children forked by
        user code) does not count: the worker is dead.
        """
        identity = self.read_identity()
        if identity is not None:
            alive = process_identity.runs_still(identity) and self._lock_is_held()
            return WorkerState.ALIVE if alive else WorkerState.DEAD
        if self._lock_is_held():
            return WorkerState.ALIVE
        return WorkerState.DEAD if self._spool_begun() else WorkerState.NEVER_STARTED

    def _lock_is_held(self) -> bool:
        try:
            descriptor = os.open(self.path / "worker.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _spool_begun(self) -> bool:
        return self.events_path.exists() and any(self.events_path.iterdir())

    def signal_worker(self, signal_number: signal.Signals) -> None:
        """Send a signal to the worker and, unless it is SIGTERM, to all its process group.

        SIGTERM asks the worker alone to stop, so that it can end its children in its own order.

        Args:
            signal_number: The signal.
        """
        identity = self.read_identity()
        if identity is None:
            return
        if signal_number is not signal.SIGTERM:
            process_identity.kill_group(identity, signal_number)
        elif process_identity.runs_still(identity):
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal_number)

    def output_file(self, step_key: str, stream: str) -> pathlib.Path:
        """Return the file that captures a stream of a step; its folder exists.

        Args:
            step_key: The step; empty for what is written outside any step.
            stream: "out" or "err".
        """
        name = _file_name(step_key)
        if _HASHED_MARK in name:
            note = self.output_path / f"{name}.key"
            if not note.exists():
                _write_whole(note, step_key.encode())
        return self.output_path / (name + _SUFFIXES[stream])

    def captured_outputs(self) -> Iterator[CapturedOutput]:
        """Yield the captured streams that exist, sorted by file name."""
        if not self.output_path.is_dir():
            return
        for path in sorted(self.output_path.iterdir()):
            stream = path.suffix.removeprefix(".")
            if stream in _SUFFIXES:
                yield CapturedOutput(step_key=self._step_key(path), stream=stream, path=path)

    def _step_key(self, path: pathlib.Path) -> str:
        name = path.name[: -len(path.suffix)]
        if name == _OUTSIDE_FILE:
            return OUTSIDE_STEPS
        if _HASHED_MARK in name:
            return path.with_name(f"{name}.key").read_text(encoding="utf-8")
        return urllib.parse.unquote(name)

    def delete(self) -> None:
        """Delete the directory: the host has everything. May be repeated.

        The plan goes first, so that a deletion cut short leaves no run that looks accepted.
        """
        (self.path / "plan.pb").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _read(self, name: str) -> bytes:
        path = self.path / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise errors.RunDirectoryError(
                self.path, f"{name} cannot be read ({error.strerror})"
            ) from error

    def _read_message(self, name: str, message: protobuf_message.Message) -> None:
        try:
            message.ParseFromString(self._read(name))
        except protobuf_message.DecodeError as error:
            problem = f"{name} is no {message.DESCRIPTOR.full_name}"
            raise errors.RunDirectoryError(self.path, problem) from error


def run_directory(runs_path: pathlib.Path, run_id: str) -> RunDirectory:
    """Return the directory of a run, whether it exists or not.

    Args:
        runs_path: The folder of all runs of a location.
        run_id: The run.

    Raises:
        InvalidRunIdError: The id cannot name a directory.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise errors.InvalidRunIdError(run_id)
    return RunDirectory(runs_path / run_id)


def run_directories(runs_path: pathlib.Path) -> list[RunDirectory]:
    """Return the runs that were accepted, and delete what is left of acceptances cut short.

    Args:
        runs_path: The folder of all runs of a location.
    """
    if not runs_path.is_dir():
        return []
    found: list[RunDirectory] = []
    for path in sorted(runs_path.iterdir()):
        if not path.is_dir() or not _RUN_ID.fullmatch(path.name):
            continue
        directory = RunDirectory(path)
        if directory.is_accepted:
            found.append(directory)
        else:
            directory.delete()
    return found


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _file_name(step_key: str) -> str:
    if step_key == OUTSIDE_STEPS:
        return _OUTSIDE_FILE
    name = urllib.parse.quote(step_key, safe="").replace("~", "%7E")
    if name.startswith(("_run", ".")):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _FILE_NAME_MAX:
        digest = hashlib.sha256(step_key.encode()).hexdigest()
        name = f"{name[:100]}{_HASHED_MARK}{digest[:32]}"
    return name


def _write_whole(path: pathlib.Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
