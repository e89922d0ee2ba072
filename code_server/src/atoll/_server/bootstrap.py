"""The first steps of a code server, taken before gRPC is loaded.

The user's code and gRPC each take a good part of a second to import, so they do it at the same
time: this module takes the state directory, opens the socket and launches the definitions process,
and only then loads `atoll._server.main`, which needs gRPC. That is the one import which is not at
the top of a module, and the reason why this module and what it imports must stay free of gRPC and
asyncio (a test holds that).
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
import types
from typing import NoReturn

from atoll._location import launch
from atoll._server import launching, settings, state_directory

MAIN_MODULE = "atoll._server.main"

_SET_DUMPABLE = 4


def serve(chosen: settings.Settings) -> int:
    """Run a code server until it is told to stop; return the exit code.

    Args:
        chosen: What it is to do.

    Raises:
        CodeServerError: The state directory cannot be used, or no process can be started.
    """
    for name in launch.HIDDEN_VARIABLES:
        os.environ.pop(name, None)
    if chosen.token.is_given:
        _keep_from_user_code()
    state = state_directory.StateDirectory(chosen.state_path)
    listener = state.open()
    try:
        # Until the loop handles signals itself, a stop unwinds what was begun here.
        signal.signal(signal.SIGTERM, _stop)
        first = launching.launch_definitions_process(
            chosen,
            build_id=chosen.build_id or settings.generate_build_id(),
            socket_path=state.socket_path,
        )
        main = importlib.import_module(MAIN_MODULE)
        exit_code: int = main.run(chosen, state, listener, first)
        return exit_code
    finally:
        # Closing the socket ends a definitions process that nobody took over.
        listener.close()
        state.close()


def _keep_from_user_code() -> None:
    """Have the kernel show the memory of this process, and what it was started with, to nobody.

    User code runs as the same user, and could read both in /proc otherwise. Processes that this one
    starts are not affected. Off Linux, and for root, nothing changes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _stop(_signal: int, _frame: types.FrameType | None) -> NoReturn:
    raise SystemExit(0)
