"""The process that imports the user's code once, and makes the processes that run it.

Started by the code server as `python -m atoll._location.definitions_process <role>
<location>@<build>` with everything it needs in one environment variable; `launch.LaunchParameters`
makes the command line (`argv`) and the environment (`environment`). It finds its working directory
itself. What the code server and it say to each other, framed as in `framing` over the code
server's unix socket:

    it sends                                   the code server sends
    Hello{role=DEFINITIONS, nonce, pid}
    Loaded{snapshot, start method, reason}
      or LoadFailed{failure}, then it ends     (nothing before this: it would be killed by it)
                                               StartEvaluator{nonce}
                                               StartRunWorker{nonce, run_directory, run_id}
    ProcessStarted{nonce, pid}
    ProcessExited{nonce, pid, exit_code}

ProcessExited with pid 0 means that the process could not be made; its exit code is the system's
errno then, and no ProcessStarted came before. ProcessStarted always comes before ProcessExited;
Hello of the new process, on a connection of its own, may come before or after both. At the end of
the socket it kills its evaluators and ends with 0; run workers live on. It ends with 1 after
LoadFailed and with 3 when it cannot reach the code server. It ignores SIGINT.

An evaluator (see `evaluator`) says Hello{role=EVALUATOR}, then for each Evaluate it may send
InstanceQuery, each answered by InstanceAnswer, and sends Evaluated. A spawned one whose import
fails sends LoadFailed instead and ends with 1. It ends with 0 at the end of its socket. To stop it
in a tick, kill its process group, whose id is its pid.

A run worker (see `run_worker`) connects when it can, says Hello{role=RUN_WORKER, run_id}, sends
SpoolAdvanced when its spool grew (hints: log messages that follow each other closely share one,
and none is sent while the socket is full) and InstanceQuery. It connects anew after the code
server's restart, with the nonce it was made with, and processes that user code forks may open
further connections with it: identify it by run id and lock rather than by the nonce alone.

Evaluators and run workers lead sessions and process groups of their own. Where forking is unsafe
they are spawned through this same entry point, import the code anew, and are no different to the
code server. No gRPC, no asyncio, no
thread: all this process keeps in memory is shared by its forks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Generator

from atoll._definitions import definitions as definitions_module
from atoll._location import (
    children,
    errors,
    evaluator,
    fork_safety,
    launch,
    lifeline,
    loading,
    relay,
    run_worker,
)
from atoll._wire import snapshot
from atoll.process.v1 import process_pb2

logger = logging.getLogger(__name__)

EXIT_LOAD_FAILED = 1
EXIT_UNREACHABLE = 3

_SNAPSHOT_SEND_TIMEOUT_S = 60.0
_POLL_MS = 60_000
_LOADING_THRESHOLD = (50_000, 20, 100)

_ROLES = {
    launch.Role.DEFINITIONS: process_pb2.PROCESS_ROLE_DEFINITIONS,
    launch.Role.EVALUATOR: process_pb2.PROCESS_ROLE_EVALUATOR,
    launch.Role.RUN_WORKER: process_pb2.PROCESS_ROLE_RUN_WORKER,
}


def main() -> int:
    """Do what the environment says this process is for, and return its exit code."""
    try:
        parameters = launch.take_from_environment()
    except errors.LaunchParametersError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNREACHABLE
    if parameters.role is launch.Role.DEFINITIONS:
        return _definitions_role(parameters)
    children.lead_session(parameters.role)
    if parameters.lifeline_descriptor >= 0:
        os.set_inheritable(parameters.lifeline_descriptor, False)  # noqa: FBT003 - the system's signature
        lifeline.die_with(parameters.lifeline_descriptor)
    load = functools.partial(loading.load_definitions, parameters.target)
    return run_child(parameters, load, start_method="spawn")


def run_child(parameters: launch.LaunchParameters, load: loading.Load, *, start_method: str) -> int:
    """Do what an evaluator or a run worker does, and return the exit code.

    Args:
        parameters: What it is for.
        load: Gives the definitions.
        start_method: How this process was made, "fork" or "spawn".
    """
    introduction = introduction_of(parameters)
    if parameters.role is launch.Role.EVALUATOR:
        return evaluator.serve(introduction, load)
    worker = run_worker.Worker(
        directory=parameters.run_directory,
        build_id=parameters.build_id,
        location_name=parameters.location_name,
        start_method=start_method,
        introduction=introduction,
    )
    return run_worker.run(worker, load)


def introduction_of(parameters: launch.LaunchParameters) -> relay.Introduction:
    """Return how a process introduces itself to the code server.

    Args:
        parameters: What it was started with.
    """
    return relay.Introduction(
        socket_path=parameters.socket_path,
        role=_ROLES[parameters.role],
        nonce=parameters.nonce,
        run_id=parameters.run_id,
    )


def _definitions_role(parameters: launch.LaunchParameters) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        channel = relay.open_channel(introduction_of(parameters))
    except OSError as error:
        sys.stderr.write(
            f"The code server does not answer at {parameters.socket_path} ({error}): "
            "it starts this process itself, when `atoll serve` runs.\n"
        )
        return EXIT_UNREACHABLE
    # An import that never returns must not outlive the code server; nothing is due on the socket
    # until it is done.
    lifeline.die_with(channel.fileno())
    with contextlib.ExitStack() as until_settled:
        until_settled.enter_context(_collecting_seldom())
        try:
            definitions = loading.load_definitions(parameters.target)
            loaded = _describe(definitions, parameters)
        except loading.LoadError as error:
            lifeline.live_on(channel.fileno())
            failed = process_pb2.LoadFailed(failure=error.failure)
            channel.send(process_pb2.ProcessMessage(load_failed=failed))
            return EXIT_LOAD_FAILED
        lifeline.live_on(channel.fileno())
        process = _DefinitionsProcess(parameters, definitions, loaded, channel)
        try:
            return process.serve(until_settled.close)
        except (OSError, errors.FramingError):
            # The code server is gone or out of its mind; either way there is nobody to serve.
            return 0


@contextlib.contextmanager
def _collecting_seldom() -> Generator[None]:
    """Have the garbage collector look seldom: what is loaded stays, and there is much of it."""
    usual = gc.get_threshold()
    gc.set_threshold(*_LOADING_THRESHOLD)
    try:
        yield
    finally:
        # Unless user code chose its own.
        if gc.get_threshold() == _LOADING_THRESHOLD:
            gc.set_threshold(*usual)


def _describe(
    definitions: definitions_module.Definitions, parameters: launch.LaunchParameters
) -> process_pb2.Loaded:
    try:
        encoded = snapshot.encode(definitions)
    except Exception as error:  # the boundary to what user code defined; told as a load failure
        raise loading.LoadError(loading.failure_of(parameters.target, error)) from error
    decision = fork_safety.decide(parameters.start_method)
    return process_pb2.Loaded(
        snapshot=encoded,
        start_method=decision.start_method,
        start_method_reason=decision.reason,
    )


class _DefinitionsProcess:
    """Serves the code server after a good load."""

    def __init__(
        self,
        parameters: launch.LaunchParameters,
        definitions: definitions_module.Definitions,
        loaded: process_pb2.Loaded,
        channel: relay.ServerChannel,
    ) -> None:
        self._parameters = parameters
        self._definitions = definitions
        self._loaded = loaded
        self._channel = channel
        self._children = children.Children(loaded.start_method, self._child_body)

    def _child_body(self, parameters: launch.LaunchParameters) -> int:
        return run_child(parameters, lambda: self._definitions, start_method="fork")

    def serve(self, settled: Callable[[], None]) -> int:
        """Tell that the code is loaded, then make processes until the code server is gone.

        Args:
            settled: Called as soon as the garbage collector has nothing to do with what was loaded.
        """
        wakeup = self._watch_children()
        self._children.keep_private(self._channel.fileno())
        message = process_pb2.ProcessMessage(loaded=self._loaded)
        self._channel.send(message, _SNAPSHOT_SEND_TIMEOUT_S)
        self._loaded.Clear()
        message.Clear()
        # What is alive now is shared with every fork: the collector must not touch, and so copy,
        # its pages. Told first, since this takes a while and the code server has to read meanwhile.
        gc.collect()
        gc.freeze()
        settled()
        try:
            self._serve_until_end(wakeup)
        finally:
            self._children.kill_evaluators()
        return 0

    def _watch_children(self) -> socket.socket:
        """Return a socket that becomes readable when a child ends."""
        reading, writing = socket.socketpair()
        reading.settimeout(0)
        writing.settimeout(0)
        self._wakeup = (reading, writing)
        # User code may have installed handlers of its own while it was imported.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for end in self._wakeup:
            self._children.keep_private(end.fileno())
        return reading

    def _serve_until_end(self, wakeup: socket.socket) -> None:
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        poller.register(wakeup.fileno(), select.POLLIN)
        while True:
            # Before the first wait too: a child may have ended before its end was watched.
            self._report_ended()
            ready = poller.poll(_POLL_MS)
            if any(descriptor == wakeup.fileno() for descriptor, _ in ready):
                with contextlib.suppress(BlockingIOError):
                    wakeup.recv(4096)
            if any(descriptor == self._channel.fileno() for descriptor, _ in ready) and not (
                self._take_messages()
            ):
                return

    def _take_messages(self) -> bool:
        """Do what the code server asks; return whether it is still there."""
        while True:
            message = self._channel.receive()
            if message is None:
                return False
            if message.HasField("start_evaluator"):
                self._start(launch.Role.EVALUATOR, message.start_evaluator.nonce)
            elif message.HasField("start_run_worker"):
                request = message.start_run_worker
                self._start(
                    launch.Role.RUN_WORKER, request.nonce, request.run_directory, request.run_id
                )
            if not self._channel.pending:
                return True

    def _start(
        self, role: launch.Role, nonce: str, run_directory: str = "", run_id: str = ""
    ) -> None:
        parameters = dataclasses.replace(
            self._parameters, role=role, nonce=nonce, run_directory=run_directory, run_id=run_id
        )
        pid = self._children.start(parameters)
        if pid:
            started = process_pb2.ProcessStarted(nonce=nonce, pid=pid)
            self._channel.send(process_pb2.ProcessMessage(process_started=started))

    def _report_ended(self) -> None:
        for ended in self._children.ended():
            exited = process_pb2.ProcessExited(
                nonce=ended.nonce, pid=ended.pid, exit_code=ended.exit_code
            )
            self._channel.send(process_pb2.ProcessMessage(process_exited=exited))


if __name__ == "__main__":
    children.end_process(main())
