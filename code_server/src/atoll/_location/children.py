"""How a definitions process makes the processes that run user code, and how it learns of their end.

Forked where that is safe, spawned with the same entry point elsewhere. Every child leads a session
of its own: Ctrl-C in a terminal does not reach it, and its process group is what is killed with
it. A run worker lives on when the definitions process ends; an evaluator dies with it, whatever it
is doing. What a child does is the caller's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from atoll._location import capture, launch, lifeline
from atoll.location.v1 import location_pb2

logger = logging.getLogger(__name__)

EXIT_CRASHED = 70
"""A child of Atoll's own failed outside user code (EX_SOFTWARE)."""

ChildBody = Callable[[launch.LaunchParameters], int]
"""What a forked child does; returns its exit code."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Attributes:
        nonce: What it was made for.
        pid: Its process id; 0 when it could not be made.
        exit_code: Its exit code; negative is the number of the signal that killed it.
    """

    nonce: str
    pid: int
    exit_code: int


class Children:
    """The children of one definitions process.

    Args:
        start_method: How they are made.
        body: What a forked child does. A spawned one finds out by itself.
    """

    def __init__(self, start_method: location_pb2.StartMethod.ValueType, body: ChildBody) -> None:
        self._forks = start_method == location_pb2.START_METHOD_FORK
        self._body = body
        self._living: dict[int, launch.LaunchParameters] = {}
        self._unmade: list[Ended] = []
        self._private: list[int] = []
        # By process id, the end of a pipe that nobody writes into: its closing is the end of this
        # process, which the evaluator at the other end dies with. One pipe each, since the kernel
        # signals one process for a pipe.
        self._lifelines: dict[int, int] = {}

    def keep_private(self, descriptor: int) -> None:
        """Have a descriptor closed in forked children.

        Args:
            descriptor: One that belongs to the definitions process alone.
        """
        self._private.append(descriptor)

    def start(self, parameters: launch.LaunchParameters) -> int:
        """Make a process.

        Args:
            parameters: What it is for.

        Returns:
            Its process id, or 0 when the system refused; that is reported by `ended` then.
        """
        capture.flush_standard_streams()
        try:
            pid = self._make(parameters)
        except OSError as error:
            logger.warning(
                "a process could not be made",
                extra={"action": "start_process", "role": parameters.role, "error": str(error)},
            )
            exit_code = error.errno or errno.EAGAIN
            self._unmade.append(Ended(nonce=parameters.nonce, pid=0, exit_code=exit_code))
            return 0
        self._living[pid] = parameters
        return pid

    def _make(self, parameters: launch.LaunchParameters) -> int:
        if parameters.role is not launch.Role.EVALUATOR:
            return self._fork_or_spawn(parameters)
        reading, writing = os.pipe()
        try:
            pid = self._fork_or_spawn(
                dataclasses.replace(parameters, lifeline_descriptor=reading), writing
            )
        except OSError:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._lifelines[pid] = writing
        return pid

    def _fork_or_spawn(self, parameters: launch.LaunchParameters, *not_theirs: int) -> int:
        if not self._forks:
            return _spawn(parameters)
        pid = os.fork()
        if pid == 0:
            self._become_child(parameters, [*not_theirs, *self._private, *self._lifelines.values()])
        return pid

    def _become_child(self, parameters: launch.LaunchParameters, not_theirs: list[int]) -> NoReturn:
        exit_code = EXIT_CRASHED
        try:
            lead_session(parameters.role)
            for descriptor in not_theirs:
                os.close(descriptor)
            if parameters.lifeline_descriptor >= 0:
                lifeline.die_with(parameters.lifeline_descriptor)
            _start_afresh()
            exit_code = self._body(parameters)
        except BaseException:  # noqa: BLE001 - nothing may return into the definitions process's own code
            traceback.print_exc()
        finally:
            end_process(exit_code)

    def ended(self) -> list[Ended]:
        """Return the children that have ended since the last call."""
        found, self._unmade = self._unmade, []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            parameters = self._living.pop(pid, None)
            if pid in self._lifelines:
                os.close(self._lifelines.pop(pid))
            # Others are processes that user code started while it was imported.
            if parameters is not None:
                exit_code = os.waitstatus_to_exitcode(status)
                found.append(Ended(nonce=parameters.nonce, pid=pid, exit_code=exit_code))

    def kill_evaluators(self) -> None:
        """Kill the evaluators and all they started. Run workers live on."""
        for pid, parameters in self._living.items():
            if parameters.role is launch.Role.EVALUATOR:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)


def _spawn(parameters: launch.LaunchParameters) -> int:
    inherited = parameters.lifeline_descriptor
    if inherited >= 0:
        os.set_inheritable(inherited, True)  # noqa: FBT003 - the signature of the system
    argv = parameters.argv()
    return os.posix_spawn(
        argv[0],
        argv,
        parameters.environment(os.environ),
        setsigdef=(signal.SIGINT, signal.SIGCHLD),
    )


def lead_session(role: launch.Role) -> None:
    """Leave the terminal and the process group of whoever started this process.

    Args:
        role: What this process is for; a definitions process stays where it is.
    """
    if role is launch.Role.DEFINITIONS:
        return
    # It is the leader already when it was started as one.
    with contextlib.suppress(PermissionError):
        os.setsid()


def end_process(exit_code: int) -> NoReturn:
    """End this process at once, running nothing that was registered for the end of another.

    What the import of user code registered with atexit (the deletion of temporary files, say)
    belongs to the process that imported, and its forks go on using it.

    Args:
        exit_code: The exit code.
    """
    capture.flush_standard_streams()
    os._exit(exit_code)


def _start_afresh() -> None:
    """Undo in a forked child what holds for the definitions process alone."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    # Python's own generator reseeds itself after a fork; NumPy's global one would make every run
    # draw the same numbers.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
