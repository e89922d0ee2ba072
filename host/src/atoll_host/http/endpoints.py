"""Endpoints of Connect, made in a loop from the descriptors of services.

Called by `application`. Servicers are the same objects that gRPC serves, called in process: nothing
is sent through a socket in between. What stands round each call is what stands round it over gRPC:
credentials and the rule of the rpc (through a `calls.Gate`), a bound on its time, and the table of
errors.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Any, Final

from connectrpc import method as connect_methods
from connectrpc import request as connect_requests
from connectrpc import server
from google.protobuf import descriptor, descriptor_pool, message, message_factory

from atoll._rpc import errors as rpc_errors
from atoll._rpc import options, times
from atoll._rpc import serving as rpc_serving
from atoll.rpc.v1 import access_pb2
from atoll_host.http import calls, codecs, problems

_Request = connect_requests.RequestContext[Any, Any]
_NO_CONTEXT: Final = object()
"""What servicers get for the context of gRPC: they need nothing of it, and a test holds that."""


class Application(server.ConnectASGIApplication[Any]):
    """Answers calls of the given endpoints in the protocol of Connect."""

    def __init__(self, endpoints: Mapping[str, Any], *, bytes_max: int) -> None:
        """Make the application.

        Args:
            endpoints: By path.
            bytes_max: How long the message of a request may be.
        """
        super().__init__(  # pyright: ignore[reportUnknownMemberType] - endpoints of any messages
            service=None,
            endpoints=lambda _: endpoints,
            read_max_bytes=bytes_max,
            compressions=(),
            codecs=(codecs.JsonCodec(), codecs.BinaryCodec()),
        )

    @property
    def path(self) -> str:
        """Where its endpoints are."""
        return "/"


def methods_of(
    services: Iterable[rpc_serving.Service],
) -> dict[str, tuple[descriptor.MethodDescriptor, Callable[..., Any]]]:
    """Return the rpcs of services by their paths, each with what answers it.

    Rpcs to which clients send streams are left out: HTTP and JSON have no form for them.
    """
    found: dict[str, tuple[descriptor.MethodDescriptor, Callable[..., Any]]] = {}
    pool = descriptor_pool.Default()
    for service in services:
        for method in pool.FindServiceByName(service.name).methods:
            if not method.client_streaming:
                answer = getattr(service.servicer, method.name)
                found[calls.path_of(method)] = (method, answer)
    return found


def is_read(method: descriptor.MethodDescriptor) -> bool:
    """Return whether a call changes nothing, so that it may be made with GET."""
    rule = method.GetOptions().Extensions[access_pb2.access]
    return rule.role != access_pb2.ROLE_UNSPECIFIED and not rule.changes


def endpoint(
    method: descriptor.MethodDescriptor,
    answer: Callable[..., Any],
    gate: calls.Gate,
    boundary: problems.Boundary,
) -> Any:
    """Return the endpoint of one rpc.

    Args:
        method: The rpc.
        answer: The method of the servicer.
        gate: Who is asked whether a call may be made.
        boundary: What exceptions become.
    """
    levels = connect_methods.IdempotencyLevel
    info: connect_methods.MethodInfo[Any, Any] = connect_methods.MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=message_factory.GetMessageClass(method.input_type),
        output=message_factory.GetMessageClass(method.output_type),
        idempotency_level=levels.NO_SIDE_EFFECTS if is_read(method) else levels.UNKNOWN,
        stream_type=connect_methods.StreamType.SERVER_STREAM
        if method.server_streaming
        else connect_methods.StreamType.UNARY,
    )
    guarded = _Guarded(method, answer, gate, boundary)
    if method.server_streaming:
        return server.Endpoint.server_stream(info, guarded.stream)
    return server.Endpoint.unary(info, guarded.unary)


class _Guarded:
    """A method of a servicer with what stands round it."""

    def __init__(
        self,
        method: descriptor.MethodDescriptor,
        answer: Callable[..., Any],
        gate: calls.Gate,
        boundary: problems.Boundary,
    ) -> None:
        self._boundary = boundary
        self._answer = answer
        self._gate = gate
        self._path = calls.path_of(method)
        self._bound_s = options.deadline_s(self._path, streams_response=method.server_streaming)

    async def unary(self, request: message.Message, _: _Request) -> message.Message:
        """Answer with one message."""
        try:
            times.check(request)
            async with _until(_ends_at(self._bound_s), self._path):
                return await self._gate.answer(
                    calls.current(), request, lambda: self._answer(request, _NO_CONTEXT)
                )
        except Exception as error:
            raise self._boundary.connect_error(error, self._path) from error

    async def stream(
        self, request: message.Message, _: _Request
    ) -> AsyncGenerator[message.Message, None]:
        """Answer with messages, each made when the one before was taken."""
        ends_at = _ends_at(self._bound_s)
        answered = self._gate.stream(
            calls.current(), request, lambda: self._answer(request, _NO_CONTEXT)
        )
        try:
            times.check(request)
            async with contextlib.aclosing(answered) as parts:
                while True:
                    # Time that a slow client takes is not the servicer's: it is bounded apart.
                    async with _until(ends_at, self._path):
                        part = await anext(parts, None)
                    if part is None:
                        return
                    yield part
        except Exception as error:
            raise self._boundary.connect_error(error, self._path) from error


def _ends_at(bound_s: float | None) -> float | None:
    return None if bound_s is None else asyncio.get_running_loop().time() + bound_s


@contextlib.asynccontextmanager
async def _until(ends_at: float | None, path: str) -> AsyncGenerator[None, None]:
    """Bound the block, in the task that runs it: its caller stays known to what it awaits."""
    limit = asyncio.timeout_at(ends_at)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise rpc_errors.DeadlineExceededError(
            f"{path} took longer than a call may. Ask for less, or try again later."
        ) from error
