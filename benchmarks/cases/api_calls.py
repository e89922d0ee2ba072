"""Asking for a run through the API: how long one call takes, and how many a second there may be."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc.aio

from atoll._rpc import options
from atoll.api.v1 import runs_pb2, runs_pb2_grpc
from atoll.client import runs
from benchmarks import definitions, report, rig

WARM_UP = 50
AT_ONCE = 16
ROUNDS = 5
_PATH = "/atoll.api.v1.RunsService/GetRun"
_HTTP_SERVED = r"over HTTP, on (\S+:\d+)"
Call = Callable[[], Awaitable[None]]


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Ask one after the other, then from many connections at once, over gRPC and over HTTP."""
    settings = place.folder("settings") / "atoll.toml"
    settings.write_text('[http]\nlisten = "127.0.0.1:0"\n')
    async with place.mesh(host_arguments=("--config", str(settings))) as mesh:
        await mesh.add_location("noop", definitions.NOOP)
        run = await mesh.client.runs.launch(runs.Launch(job_name="noop_job", location_name="noop"))
        address = mesh.host.said(_HTTP_SERVED)
        over_grpc = [_Grpc(mesh.address, run.run_id) for _ in range(AT_ONCE)]
        over_http = [_Http(address, run.run_id) for _ in range(AT_ONCE)]
        try:
            return [
                *await _measured("grpc", place, [each.call for each in over_grpc]),
                *await _measured("http", place, [each.call for each in over_http]),
            ]
        finally:
            for each in over_http:
                each.close()
            await asyncio.gather(*(each.close() for each in over_grpc))


async def _measured(name: str, place: rig.Rig, calls: Sequence[Call]) -> list[report.Measured]:
    first = calls[0]
    singles = [await _seconds(first) for _ in range(WARM_UP + place.count(400))][WARM_UP:]
    rates = [await _rate(calls, place.count(60)) for _ in range(ROUNDS)]
    return [
        report.Measured(f"api_call_{name}", [seconds * 1000 for seconds in singles]),
        report.Measured(
            f"api_calls_a_second_{name}", rates, f"best {max(rates):.0f}, {AT_ONCE} at once"
        ),
    ]


async def _seconds(call: Call) -> float:
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


async def _rate(calls: Sequence[Call], each: int) -> float:
    async def repeat(call: Call) -> None:
        for _ in range(each):
            await call()

    begun = time.perf_counter()
    await asyncio.gather(*(repeat(call) for call in calls))
    return len(calls) * each / (time.perf_counter() - begun)


class _Grpc:
    """A connection over gRPC."""

    def __init__(self, address: str, run_id: str) -> None:
        own = ("grpc.use_local_subchannel_pool", 1)  # a connection for each channel
        self._channel = grpc.aio.insecure_channel(address, options=(*options.CHANNEL, own))
        self._stub = runs_pb2_grpc.RunsServiceStub(self._channel)
        self._request = runs_pb2.GetRunRequest(run_id=run_id)

    async def call(self) -> None:
        await self._stub.GetRun(self._request)

    async def close(self) -> None:
        await self._channel.close()


class _Http:
    """A connection over HTTP that is kept."""

    def __init__(self, address: str, run_id: str) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._address = address
        body = json.dumps({"runId": run_id}).encode()
        head = (
            f"POST {_PATH} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body

    async def call(self) -> None:
        if self._streams is None:  # the host ends connections on which nothing happens
            host, _, port = self._address.rpartition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        writer.write(self._request)
        answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the host answered {answer[:300]!r}")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
