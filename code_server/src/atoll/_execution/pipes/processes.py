"""One program as a process group of its own: started, waited for, ended with all that it started.

Called by the subprocess client. What the program is for and what it reports stays outside.
"""

import collections
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from atoll._execution.pipes import lines, messages, pumps, tethered_launch

_LINES_KEPT = 20
_LINE_CHARACTERS_KEPT = 500
_LOOK_EVERY_S = 0.02
# What the program started may outlive it by a clean-up, but not by the whole timeout: where nobody
# reaps orphans, a group never looks empty.
_REST_TIMEOUT_S = 5.0


class ProcessGroup:
    """A program that runs, and everything that it starts without leaving its group.

    Args:
        command: The program and its arguments.
        env: Its environment, all of it.
        cwd: Where it runs; here where None.
        forward_stdio: Whether what it prints goes to the streams of this process.
        bound: Whether it must end when this process ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: "str | os.PathLike[str] | None",
        forward_stdio: bool,
        bound: bool,
    ) -> None:
        self._errors = _LastLines(forward=forward_stdio)
        self._pump: pumps.DescriptorPump | None = None
        tied = bound and tethered_launch.IS_SUPPORTED
        self._tether = tethered_launch.Tether() if tied else None
        inherited = None if forward_stdio else subprocess.DEVNULL
        try:
            options: dict[str, Any] = {
                "cwd": cwd,
                "stdin": subprocess.DEVNULL,
                "stdout": inherited,
                # Not through this process where the program is to outlive it.
                "stderr": subprocess.PIPE if bound else inherited,
            }
            self._process: subprocess.Popen[Any] = (
                subprocess.Popen(command, env=dict(env), start_new_session=True, **options)
                if self._tether is None
                else tethered_launch.start(command, self._tether, env=env, **options)
            )
            self.pid = self._process.pid
            self._follow_errors()
        except BaseException:
            if self._tether is not None:
                self._tether.cut()
            raise

    def _follow_errors(self) -> None:
        if self._process.stderr is not None:
            descriptor = os.dup(self._process.stderr.fileno())
            self._process.stderr.close()
            self._pump = pumps.DescriptorPump(
                descriptor, self._errors.feed, "atoll-pipes-standard-error"
            )

    def wait(self) -> int:
        """Wait for the program to end; return its exit code, negative for a signal."""
        return self._process.wait()

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines that the program wrote to standard error."""
        return self._errors.lines

    def terminate(self, timeout_s: float) -> None:
        """Ask the group to end, and kill what is left of it after the timeout.

        Args:
            timeout_s: How long the program may take to clean up.
        """
        deadline = time.monotonic() + timeout_s
        try:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
                self._wait_for_the_rest(min(deadline, time.monotonic() + _REST_TIMEOUT_S))
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def release(self) -> None:
        """Stop following the program, whether it has ended or is to live on."""
        if self._tether is not None:
            self._tether.release()
        if self._pump is not None:
            # A problem here could only be that of the stream it was forwarded to.
            self._pump.finish()
            self._pump = None
            self._errors.close()

    def _wait_for_the_rest(self, deadline: float) -> None:
        pause = threading.Event()
        while self._signal(0) and time.monotonic() < deadline:
            pause.wait(_LOOK_EVERY_S)

    def _signal(self, number: int) -> bool:
        """Signal the group; tell whether there still is one."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


class _LastLines:
    """Forwards what arrives and keeps its last lines."""

    def __init__(self, *, forward: bool) -> None:
        self._forward = forward
        self._kept: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)
        self._cutter = lines.LineCutter(self._keep, bytes_max=4 * _LINE_CHARACTERS_KEPT)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is kept."""
        return tuple(self._kept)

    def feed(self, piece: bytes) -> None:
        """Take a piece of text."""
        if self._forward:
            messages.write_to_own("stderr", piece.decode("utf-8", "replace"))
        self._cutter.feed(piece)

    def close(self) -> None:
        """Keep a last line that was not ended."""
        self._cutter.close()

    def _keep(self, line: str) -> None:
        self._kept.append(line[:_LINE_CHARACTERS_KEPT])


def describe_end(exit_code: int) -> str:
    """Return how a program ended, in words that follow its name."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def program_name(command: Sequence[str]) -> str:
    """Return what people call a program."""
    return pathlib.PurePath(command[0]).name
