"""Errors keep reason, message and values from servicer to client; tracebacks stay behind."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from google.rpc import status_pb2 as google_status_pb2

from atoll._rpc import errors, info, options, reasons, serving
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.rpc.v1 import server_info_pb2

FACTS = info.ServerFacts(
    kind=server_info_pb2.SERVER_KIND_CODE_SERVER, version="0.0.1", instance_id="i", features=("a",)
)
NAME = location_pb2.DESCRIPTOR.services_by_name["CodeLocationService"].full_name


class DomainError(Exception):
    def __init__(self, job_name: str, count: int) -> None:
        super().__init__(f"There is no job {job_name!r}. Choose another.")
        self.job_name = job_name
        self.count = count
        self._private = "no"


@dataclasses.dataclass
class Servicer(location_pb2_grpc.CodeLocationServiceServicer):
    behave: Callable[[], Awaitable[None]]

    async def Describe(self, request, context):  # noqa: N802
        await self.behave()
        return location_pb2.DescribeResponse(location_name="here")

    async def StreamDefinitions(self, request, context):  # noqa: N802
        yield location_pb2.StreamDefinitionsResponse(chunk=b"a")
        await self.behave()
        yield location_pb2.StreamDefinitionsResponse(chunk=b"b")


TABLE = errors.ErrorTable(
    {DomainError: errors.Mapped(grpc.StatusCode.NOT_FOUND, reasons.UNKNOWN_JOB)}
)


@contextlib.asynccontextmanager
async def served(
    behave: Callable[[], Awaitable[None]],
) -> AsyncIterator[tuple[location_pb2_grpc.CodeLocationServiceStub, str]]:
    server = serving.GrpcServer(
        "127.0.0.1:0",
        facts=FACTS,
        services=[
            serving.Service(
                NAME,
                location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
                Servicer(behave),
            )
        ],
        table=TABLE,
    )
    await server.start()
    try:
        async with serving.channel(server.address) as channel:
            yield location_pb2_grpc.CodeLocationServiceStub(channel), server.address
    finally:
        await server.stop(0)


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def behave() -> None:
        raise error

    return behave


async def call(stub, method: str, timeout_s: float | None = 5) -> list[bytes]:
    if method == "Describe":
        await stub.Describe(location_pb2.DescribeRequest(), timeout=timeout_s)
        return []
    request = location_pb2.StreamDefinitionsRequest()
    return [part.chunk async for part in stub.StreamDefinitions(request, timeout=timeout_s)]


async def failure_of(stub, method: str = "Describe") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(stub, method)
    return caught.value


@pytest.mark.parametrize("method", ["Describe", "StreamDefinitions"])
async def test_a_domain_exception_arrives_with_reason_and_values(method):
    async with served(raising(DomainError("nightly", 3))) as (stub, _):
        error = errors.from_call(await failure_of(stub, method))
    assert type(error) is errors.NotFoundError
    assert error.reason == reasons.UNKNOWN_JOB
    assert error.message == "There is no job 'nightly'. Choose another."
    assert error.metadata == {"job_name": "nightly", "count": "3"}


async def test_any_grpc_client_can_read_the_details():
    async with served(raising(DomainError("nightly", 3))) as (stub, _):
        raw = await failure_of(stub)
    trailer = dict(raw.trailing_metadata())[errors.DETAILS_TRAILER]
    status = google_status_pb2.Status.FromString(trailer)
    detail = error_details_pb2.ErrorInfo()
    assert status.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert status.details[0].Unpack(detail)
    assert (detail.reason, detail.domain) == (reasons.UNKNOWN_JOB, "atoll")
    assert detail.metadata["job_name"] == "nightly"


@pytest.mark.parametrize("method", ["Describe", "StreamDefinitions"])
async def test_what_nobody_expected_leaves_no_trace_but_an_id(method, caplog):
    async with served(raising(ZeroDivisionError("secret value"))) as (stub, _):
        error = errors.from_call(await failure_of(stub, method))
    assert type(error) is errors.InternalError
    assert "secret" not in error.message
    assert "Traceback" not in error.message
    [record] = [r for r in caplog.records if r.name == "atoll._rpc.interception"]
    assert record.error_id == error.metadata["error_id"]
    assert record.exc_info


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidArgumentError("bad"),
        errors.NotFoundError("x", reason=reasons.UNKNOWN_RUN, metadata={"run_id": "r"}),
        errors.AlreadyExistsError("x"),
        errors.PermissionDeniedError("x"),
        errors.FailedPreconditionError("x", reason=reasons.DRAINING),
        errors.AbortedError("x", reason=reasons.STALE_EPOCH),
        errors.ResourceExhaustedError("x"),
        errors.UnavailableError("x", reason=reasons.STORAGE_UNAVAILABLE),
        errors.DeadlineExceededError("x"),
        errors.UnimplementedError("x"),
    ],
    ids=lambda e: type(e).__name__,
)
async def test_every_class_survives_the_way(error):
    async with served(raising(error)) as (stub, _):
        arrived = errors.from_call(await failure_of(stub))
    assert type(arrived) is type(error)
    assert (arrived.message, arrived.reason, arrived.metadata) == (
        error.message,
        error.reason,
        error.metadata,
    )


async def test_a_huge_message_is_cut_and_arrives():
    error = errors.InvalidArgumentError(
        "ü" * 100_000, metadata={str(i): "x" * 9999 for i in range(99)}
    )
    async with served(raising(error)) as (stub, _):
        arrived = errors.from_call(await failure_of(stub))
    assert type(arrived) is errors.InvalidArgumentError
    assert arrived.message.startswith("üüü")
    assert arrived.message.endswith("…")


async def test_a_server_that_is_not_there_is_named():
    async with serving.channel("127.0.0.1:1") as channel:
        raw = await failure_of(location_pb2_grpc.CodeLocationServiceStub(channel))
    error = errors.from_call(raw, peer="127.0.0.1:1")
    assert type(error) is errors.UnavailableError
    assert "127.0.0.1:1" in error.message
    assert error.reason == reasons.UNREACHABLE


@pytest.mark.parametrize("method", ["Describe", "StreamDefinitions"])
async def test_a_call_without_a_deadline_is_bounded(method, monkeypatch):
    monkeypatch.setattr(options, "SERVER_DEADLINE_S", 0.05)
    monkeypatch.setattr(options, "STREAM_DEADLINE_S", 0.05)
    canceled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    async with served(hang) as (stub, _):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(stub, method, timeout_s=None)
        await asyncio.wait_for(canceled.wait(), 5)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "Give the call a deadline" in caught.value.details()


async def test_a_stream_that_ends_well_ends_well():
    async def behave() -> None:
        return None

    async with served(behave) as (stub, _):
        parts = await call(stub, "StreamDefinitions")
    assert parts == [b"a", b"b"]
