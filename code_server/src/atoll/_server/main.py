"""The life of a code server's process: signals, the line when it serves, the end.

Loaded by `bootstrap` once the definitions process is under way. SIGTERM and SIGINT stop; SIGHUP
reloads. A stop that takes too long is cut off by the kernel's alarm.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll._server import launching, server, state_directory
from atoll._server import settings as server_settings
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2

_STOP_WITHIN_S = 15
_USAGE_REASONS = frozenset({reasons.INVALID_ADDRESS, reasons.ADDRESS_NOT_LOOPBACK})
_OWN_MESSAGE_REASONS = frozenset(
    {reasons.TLS_FILE_UNUSABLE, reasons.TOKEN_FILE_UNUSABLE, reasons.TOKEN_UNPROTECTED}
)
_METHODS = {
    location_pb2.START_METHOD_FORK: "fork",
    location_pb2.START_METHOD_SPAWN: "spawn",
}


def run(
    chosen: server_settings.Settings,
    state: state_directory.StateDirectory,
    listener: socket.socket,
    first: launching.Launched,
) -> int:
    """Serve until told to stop; return the exit code.

    Args:
        chosen: The settings.
        state: The state directory, held.
        listener: The unix socket, listening.
        first: The first definitions process.
    """
    prepared = server.Prepared(settings=chosen, state=state, listener=listener, first=first)
    try:
        return asyncio.run(_serve(prepared))
    except rpc_errors.RpcError as error:
        # Said here, since whoever called cannot know gRPC's errors yet.
        if error.reason not in _USAGE_REASONS:
            _say(f"Error: {error.message}")
            return 2 if error.reason in _OWN_MESSAGE_REASONS else 1
        of_host = error.metadata.get("address") == chosen.host_address
        _say(f"Error: {'--host' if of_host else '--listen'}: {error.message}")
        return 2


async def _serve(prepared: server.Prepared) -> int:
    code_server = server.CodeServer(prepared)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, code_server.reloader.ask)
    announcing = None
    try:
        await code_server.start()
        announcing = asyncio.create_task(_announce(code_server))
        drained = asyncio.create_task(code_server.drain.over.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait({drained, stopped}, return_when=asyncio.FIRST_COMPLETED)
        drained.cancel()
        stopped.cancel()
    finally:
        if announcing is not None:
            announcing.cancel()
        # Whatever hangs from here on, the kernel ends the process.
        signal.alarm(_STOP_WITHIN_S)
        live_runs = code_server.runs.live_count
        await code_server.stop()
    if live_runs:
        # Whoever started this process may end its runs as well, so nothing is promised here.
        runs = "1 run was" if live_runs == 1 else f"{live_runs} runs were"
        _say(
            f"Stopped. {runs} under way: the next start of this location takes over, "
            "or tells the end."
        )
    return 0


async def _announce(code_server: server.CodeServer) -> None:
    """Say when the location serves, and whenever a load fails or comes right."""
    await code_server.builds.first_load_over.wait()
    told = asyncio.Event()
    code_server.builds.on_change(told.set)
    build_id, failure = "", None
    while True:
        builds = code_server.builds
        if builds.load_failure is not None and builds.load_failure is not failure:
            _say(_failed(code_server, builds.load_failure))
        elif builds.current is not None and builds.current.build_id != build_id:
            build_id = builds.current.build_id
            _say(_serving(code_server, builds.current.info))
        failure = builds.load_failure
        told.clear()
        await told.wait()


def _serving(code_server: server.CodeServer, build: location_pb2.Build) -> str:
    method = _METHODS.get(build.start_method, "unknown")
    return (
        f"Serving {code_server.settings.location_name}, build {build.build_id}, "
        f"at {code_server.address} (processes by {method})"
    )


def _failed(code_server: server.CodeServer, failure: values_pb2.Failure) -> str:
    """Return why a load failed, with the place in the user's code."""
    kept = code_server.builds.current
    kind = f"{failure.type.removeprefix('atoll.')}: " if failure.type else ""
    lines = [f"{code_server.settings.location_name} failed to load: {kind}{failure.message}"]
    # A frame without a function is the place of a wrong definition, which the message names.
    lines += [
        f"  {frame.file}:{frame.line} in {frame.function}: {frame.source}"
        for frame in failure.frames[-5:]
        if frame.function
    ]
    if failure.last_output:
        lines += ["  last output:", *(f"    {ln}" for ln in failure.last_output.splitlines()[-10:])]
    if kept is not None:
        lines.append(f"  Build {kept.build_id} goes on serving at {code_server.address}.")
    else:
        lines.append(
            f"  Listening at {code_server.address} without a build; correct it and reload."
        )
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
