"""Starts a program by way of a process that first binds itself to the life of this one.

Called by `processes`. The program is the same process as the launcher, which ties itself and then
becomes the program: there is no moment in which it runs untied. Linux only, where the kernel can
signal a process group when the last writer of a pipe is gone; this file is run as the launcher.
"""

import errno
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

IS_SUPPORTED = sys.platform == "linux" and bool(sys.executable)
_LOCALE_VARIABLE = "LC_CTYPE"
_ERROR_BYTES_MAX = 64


class Tether:
    """The end of a pipe on which the life of a process group hangs.

    The group inherits the reading end; only this process has the writing end. When that closes,
    even by SIGKILL of this process, the kernel kills the group.
    """

    def __init__(self) -> None:
        self.descriptor, self._held = os.pipe()

    def release(self) -> None:
        """Set the group free. May be repeated."""
        if self._held >= 0:
            # The flag belongs to the pipe, whoever set it.
            flags = fcntl.fcntl(self.descriptor, fcntl.F_GETFL)
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, flags & ~os.O_ASYNC)
            self.cut()

    def cut(self) -> None:
        """Have the group killed. May be repeated."""
        if self._held >= 0:
            os.close(self._held)
            os.close(self.descriptor)
            self._held = -1


def start(
    command: Sequence[str], tether: Tether, *, env: Mapping[str, str], **options: Any
) -> "subprocess.Popen[Any]":
    """Start a program in a session of its own, bound to a tether.

    Args:
        command: The program and its arguments.
        tether: What it is bound to.
        env: Its environment, all of it.
        **options: Further options of `subprocess.Popen`.

    Returns:
        The process, which has become the program.

    Raises:
        OSError: The program cannot be run.
    """
    told, telling = os.pipe()
    with os.fdopen(told, "rb") as answer:
        try:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", __file__),
                    *(str(tether.descriptor), str(telling), str(int(_LOCALE_VARIABLE in env))),
                    *command,
                ],
                env=dict(env),
                pass_fds=(tether.descriptor, telling),
                start_new_session=True,
                **options,
            )
        finally:
            os.close(telling)
        try:
            number = answer.read(_ERROR_BYTES_MAX)
        except BaseException:
            tether.cut()
            _bury(process)
            raise
    if number:
        _bury(process)
        raise OSError(int(number), os.strerror(int(number)))
    return process


def _bury(process: "subprocess.Popen[Any]") -> None:
    """Wait for a process that ends, and close its streams."""
    with process:
        process.wait()


def _become(tether: int, telling: int, command: Sequence[str], env: Mapping[str, str]) -> None:
    """Bind this process, which leads its group, and become the program."""
    if sys.platform != "linux":
        return
    fcntl.fcntl(tether, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(tether, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(tether, fcntl.F_SETFL, fcntl.fcntl(tether, fcntl.F_GETFL) | os.O_ASYNC)
    # Only what happens from now on sends the signal; the other end may have gone before.
    poller = select.poll()
    poller.register(tether, 0)
    if poller.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)
    os.set_inheritable(telling, False)  # noqa: FBT003 - the signature of the system
    # What the interpreter ignores, the program would ignore as well.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], [*command], env)  # noqa: S606 - the point of it
    except OSError as error:
        os.write(telling, str(error.errno or errno.ENOEXEC).encode())


def _main(arguments: Sequence[str]) -> None:
    tether, telling, has_locale, *command = arguments
    environment = dict(os.environ)
    if has_locale == "0":
        # The interpreter sets it for itself where there is no locale.
        environment.pop(_LOCALE_VARIABLE, None)
    _become(int(tether), int(telling), command, environment)
    sys.exit(127)


if __name__ == "__main__":
    _main(sys.argv[1:])
