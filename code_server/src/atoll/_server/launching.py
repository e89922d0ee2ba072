"""Starts definitions processes. Free of gRPC and asyncio, since the first one starts before them.

The process is a fresh interpreter in a session of its own, so that a Ctrl-C at the terminal reaches
the code server alone. What it writes goes to a pipe: the last of it is shown when a load fails.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import subprocess
import time
from typing import IO

from atoll._location import launch
from atoll._server import errors, settings

_NONCE_BYTES = 16

# Switches of the gRPC core that `atoll._rpc` sets for this process; user code decides for itself.
_OWN_VARIABLES = frozenset({("GRPC_ENABLE_FORK_SUPPORT", "0"), ("GRPC_VERBOSITY", "ERROR")})


@dataclasses.dataclass(frozen=True)
class Launched:
    """A definitions process that was started.

    Attributes:
        build_id: The build that it holds.
        nonce: What it presents in its Hello.
        process: The process.
        output: The reading end of its standard output and error.
        launched_at_s: When, by the monotonic clock.
    """

    build_id: str
    nonce: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    launched_at_s: float


def make_nonce() -> str:
    """Return a secret for one process."""
    return secrets.token_hex(_NONCE_BYTES)


def launch_definitions_process(
    chosen: settings.Settings, *, build_id: str, socket_path: str
) -> Launched:
    """Start a definitions process.

    Args:
        chosen: The settings of the code server.
        build_id: The build that the process is to hold.
        socket_path: Where the code server listens.

    Raises:
        ProcessUnavailableError: The operating system refused.
    """
    nonce = make_nonce()
    parameters = launch.LaunchParameters(
        target=chosen.target,
        socket_path=socket_path,
        nonce=nonce,
        location_name=chosen.location_name,
        build_id=build_id,
        start_method=chosen.start_method,
    )
    inherited = dict(os.environ.items() - _OWN_VARIABLES)
    launched_at_s = time.monotonic()
    try:
        process = subprocess.Popen(
            parameters.argv(),
            env=parameters.environment(inherited),
            cwd=chosen.target.working_directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        problem = f"{error.strerror or error}"
        raise errors.ProcessUnavailableError("The definitions process", problem) from error
    if process.stdout is None:  # pragma: no cover  # a pipe was asked for
        raise errors.ProcessUnavailableError("The definitions process", "it has no output")
    os.set_blocking(process.stdout.fileno(), False)
    return Launched(
        build_id=build_id,
        nonce=nonce,
        process=process,
        output=process.stdout,
        launched_at_s=launched_at_s,
    )
