"""Forwards the captured output of steps to the host, while runs go on and at their end.

Repeating a piece changes nothing, and the host answers which offset it expects next, so a code
server that restarts goes on where the host is. Output is worth less than events: a run whose output
the host refuses for good ends without it.
"""

from __future__ import annotations

import asyncio
import logging
import pathlib

import grpc
import grpc.aio

from atoll._location import run_directory
from atoll._rpc import errors as rpc_errors
from atoll._rpc import options, reasons
from atoll._server import host_link, services
from atoll.mesh.v1 import mesh_pb2

_logger = logging.getLogger(__name__)

_PIECE_BYTES = 256 * 1024
_EVERY_S = 1.0

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
    """

    def __init__(self, directory: run_directory.RunDirectory, *, adopted: bool) -> None:
        self.directory = directory
        self.refused = False
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
        try:
            await self._forward(output)
        except grpc.aio.AioRpcError as error:
            self._judge(output, error)
            return False
        return True

    async def finish(self, output: RunOutput) -> None:
        """Forward everything of a run that has ended; returns when the host has it."""
        backoff = services.Backoff()
        while not output.refused:
            await self._link.registered()
            if await self._try_forward(output):
                return
            await backoff.wait()

    def _judge(self, output: RunOutput, error: grpc.aio.AioRpcError) -> None:
        problem = rpc_errors.from_call(error, peer=self._link.address)
        if problem.reason in {reasons.STALE_EPOCH, reasons.NOT_REGISTERED}:
            # The session notices by itself, and the forwarder of events tells it.
            return
        if error.code() not in _MAY_HEAL:
            output.refused = True
            _logger.error(
                "The host refuses the output of a run; it is dropped",
                extra={
                    "action": "forward_output",
                    "run_id": output.directory.run_id,
                    "problem": problem.message,
                },
            )

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


def _read(path: pathlib.Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_PIECE_BYTES)
