"""Forwards the captured output of steps to the host, while runs go on and at their end.

Repeating a piece changes nothing, and the host answers which offset it expects next, so a code
server that restarts goes on where the host is. Output is worth less than events: a run whose output
the host refuses for good ends without it. What floods the disk is cut, whether the host takes
output or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pathlib
from collections.abc import Sequence

import grpc
import grpc.aio

from atoll._location import capture, run_directory
from atoll._rpc import errors as rpc_errors
from atoll._rpc import options, reasons
from atoll._server import host_link, services
from atoll.mesh.v1 import mesh_pb2

_logger = logging.getLogger(__name__)

_PIECE_BYTES = 256 * 1024
_EVERY_S = 1.0
# A worker cuts its output at the end of a step only. In this time one that floods may write what
# the disk takes.
_BOUND_EVERY_S = 0.5
_DISK_FAILURES_MAX = 10

_MAY_HEAL = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
_STREAMS = {
    "out": mesh_pb2.OUTPUT_STREAM_STDOUT,
    "err": mesh_pb2.OUTPUT_STREAM_STDERR,
}


class RunOutput:
    """The output of one run on its way to the host.

    Args:
        directory: The directory of the run.
        adopted: Whether an earlier code server may have sent some of it.

    Attributes:
        refused: Whether nothing more of it is forwarded.
        problem: Why a file could not be read the last time; empty when all could.
    """

    def __init__(self, directory: run_directory.RunDirectory, *, adopted: bool) -> None:
        self.directory = directory
        self.refused = False
        self.problem = ""
        self.sending = asyncio.Lock()
        self._adopted = adopted
        self._offsets: dict[pathlib.Path, int] = {}

    def offset(self, path: pathlib.Path) -> int | None:
        """Return where to go on with a file; None when only the host knows."""
        return self._offsets.get(path, None if self._adopted else 0)

    def advance(self, path: pathlib.Path, offset: int) -> None:
        """Note up to where the host has a file."""
        self._offsets[path] = offset


class OutputForwarder(services.LoopService):
    """Forwards captured output.

    Args:
        link: The connection to the host.
    """

    def __init__(self, link: host_link.HostLink) -> None:
        super().__init__("output")
        self._link = link
        self._runs: dict[str, RunOutput] = {}

    def add(self, output: RunOutput) -> None:
        """Forward the output of a run from now on."""
        self._runs[output.directory.run_id] = output

    def remove(self, run_id: str) -> None:
        """Forward the output of a run no more. May be repeated."""
        self._runs.pop(run_id, None)

    async def run(self) -> None:
        """Forward what has been written, again and again."""
        self.started.set()
        while True:
            await asyncio.sleep(_EVERY_S)
            await self._link.registered()
            for output in tuple(self._runs.values()):
                await self._try_forward(output)

    async def _try_forward(self, output: RunOutput) -> bool:
        output.problem = ""
        try:
            await self._forward(output)
        except grpc.aio.AioRpcError as error:
            self._judge(output, error)
            return False
        except OSError as error:
            # No descriptors left, for example; the others go on.
            output.problem = str(error)
            return False
        return True

    async def finish(self, output: RunOutput) -> None:
        """Forward everything of a run that has ended; returns when the host has it.

        What still cannot be read after some time is dropped: a run never waits for its output.
        """
        backoff = services.Backoff()
        disk_failures = 0
        while not output.refused:
            await self._link.registered()
            if await self._try_forward(output):
                return
            disk_failures = disk_failures + 1 if output.problem else 0
            if disk_failures >= _DISK_FAILURES_MAX:
                self._drop(output, output.problem)
                return
            await backoff.wait()

    def _judge(self, output: RunOutput, error: grpc.aio.AioRpcError) -> None:
        problem = rpc_errors.from_call(error, peer=self._link.address)
        if problem.reason in {reasons.STALE_EPOCH, reasons.NOT_REGISTERED}:
            # The session notices by itself, and the forwarder of events tells it.
            return
        if error.code() not in _MAY_HEAL:
            self._drop(output, problem.message)

    @staticmethod
    def _drop(output: RunOutput, problem: str) -> None:
        output.refused = True
        _logger.error(
            "The output of a run cannot be forwarded; it is dropped",
            extra={
                "action": "forward_output",
                "run_id": output.directory.run_id,
                "problem": problem,
            },
        )

    async def enforce_bounds(self) -> None:
        """Cut what has grown past its bound. In a thread, since runs may have many files."""
        directories = [one.directory for one in self._runs.values()]
        if directories:
            await asyncio.to_thread(_enforce_bounds, directories)

    async def _forward(self, output: RunOutput) -> None:
        if output.refused:
            return
        async with output.sending:
            for captured in output.directory.captured_outputs():
                await self._forward_file(output, captured)

    async def _forward_file(
        self, output: RunOutput, captured: run_directory.CapturedOutput
    ) -> None:
        offset = output.offset(captured.path)
        if offset is None:
            offset = await self._append(output, captured, 0, b"")
            output.advance(captured.path, offset)
        while data := _read(captured.path, offset):
            expected = await self._append(output, captured, offset, data)
            if expected <= offset:
                # The host has less than was thought, or takes no more of this file.
                output.advance(captured.path, expected)
                return
            offset = expected
            output.advance(captured.path, offset)

    async def _append(
        self,
        output: RunOutput,
        captured: run_directory.CapturedOutput,
        offset: int,
        data: bytes,
    ) -> int:
        request = mesh_pb2.AppendOutputRequest(
            location_name=self._link.location_name,
            server_id=self._link.server_id,
            epoch=self._link.epoch,
            run_id=output.directory.run_id,
            step_key=captured.step_key,
            stream=_STREAMS[captured.stream],
            offset=offset,
            data=data,
        )
        response = await self._link.mesh.AppendOutput(request, timeout=options.DEFAULT_DEADLINE_S)
        return response.next_offset


class OutputBounds(services.LoopService):
    """Keeps captured output within its bounds while steps go on, with or without a host.

    Args:
        forwarder: Knows whose output there is.
    """

    def __init__(self, forwarder: OutputForwarder) -> None:
        super().__init__("output bounds")
        self._forwarder = forwarder

    async def run(self) -> None:
        """Look at all output, again and again."""
        self.started.set()
        while True:
            await asyncio.sleep(_BOUND_EVERY_S)
            await self._forwarder.enforce_bounds()


def _enforce_bounds(directories: Sequence[run_directory.RunDirectory]) -> None:
    for directory in directories:
        # A run that ends at this moment takes its directory along.
        with contextlib.suppress(OSError):
            for captured in directory.captured_outputs():
                capture.enforce_bound(captured.path)


def _read(path: pathlib.Path, offset: int) -> bytes:
    """Return the next piece of a file; never what is going to be cut off."""
    size = capture.enforce_bound(path)
    if offset >= size:
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(min(_PIECE_BYTES, size - offset))
