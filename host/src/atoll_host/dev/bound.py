"""Runs a program that ends when the process that started it does: ``bound.py PARENT PROGRAM ...``.

Started by ``processes`` with a bare interpreter (no site, no environment), so it imports the
standard library only and costs a few milliseconds. It asks the kernel to send SIGTERM when the
parent is gone and then becomes the program, whatever interpreter that belongs to. Where the kernel
has no such request (not Linux), the program just runs, and only the guardian ends it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT_GONE = 3


def main(arguments: list[str]) -> int:
    """Bind this process to its parent and become the program.

    Args:
        arguments: The id of the parent, the program, and the program's arguments.
    """
    parent, *program = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        return PARENT_GONE  # It went between the start and the request: nobody wants this any more.
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be run: {error.strerror}.\n")
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
