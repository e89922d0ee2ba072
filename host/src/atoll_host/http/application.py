"""The ASGI application: the API, how the host is, and what describes the API.

Made by `listening`. Every request is judged by its head first (`guarding`); a call then shows its
credentials, is read within bounds, and goes to the Connect application. Everything else is a
route of starlette. Nothing here knows a servicer.
"""

import asyncio
import contextlib
import dataclasses
import http
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
from google.protobuf import descriptor
from starlette import applications, requests, responses, routing, types
from starlette import exceptions as http_errors
from starlette.middleware import cors

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll._rpc import serving as rpc_serving
from atoll_host import http_server
from atoll_host.http import calls, endpoints, guarding, http_settings, lines, problems

_HEAD_KEY: Final = "atoll.head"

_log = logging.getLogger(__name__)

_ON_EVERYTHING: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_DISCARDED_TIMES: Final = 4
_ALLOWED_HEADERS: Final = (
    "authorization",
    "connect-protocol-version",
    "connect-timeout-ms",
    "content-type",
)

Ready = Callable[[], Awaitable[str]]
"""Returns why the host is not ready; empty if it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """What the application serves.

    Attributes:
        services: The services of the API.
        gate: Who may call what.
        table: What exceptions become.
        ready: Tells whether the host does its work.
        pages: Further routes, such as the description of the API.
    """

    services: Sequence[rpc_serving.Service]
    gate: calls.Gate
    table: rpc_errors.ErrorTable
    ready: Ready
    pages: Sequence[routing.BaseRoute] = ()


def application(
    served: Served, settings: http_settings.HttpSettings, policy: guarding.Policy
) -> types.ASGIApp:
    """Return the application.

    Args:
        served: What it serves.
        settings: The bounds.
        policy: Which requests are taken.
    """
    rpcs = _Calls(served, settings)
    routes = [
        routing.Route("/healthz", _healthy, methods=["GET"]),
        routing.Route("/readyz", _readiness(served.ready), methods=["GET"]),
        *served.pages,
    ]
    others = applications.Starlette(
        routes=routes, exception_handlers={http_errors.HTTPException: _refuse_http}
    )
    inner: types.ASGIApp = _Paths(rpcs, others)
    if settings.allowed_origins:
        inner = cors.CORSMiddleware(
            inner,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_ALLOWED_HEADERS,
            max_age=600,
        )
    return _Guard(inner, policy)


class _Guard:
    """Takes what `guarding` lets through, and puts the same headers on every answer."""

    def __init__(self, inner: types.ASGIApp, policy: guarding.Policy) -> None:
        self._inner = inner
        self._policy = policy

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] != "http":
            return
        head = guarding.head_of(scope["headers"])
        refusal = guarding.judge(
            self._policy,
            scheme=scope["scheme"],
            target=scope["raw_path"] + scope["query_string"],
            headers=head,
            count=len(scope["headers"]),
        )

        async def send_with_headers(message: types.Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in _ON_EVERYTHING.items()
                        if name.encode() not in given
                    ),
                ]
            await send(message)

        scope[_HEAD_KEY] = head
        if refusal is not None:
            await _answer(refusal)(scope, receive, send_with_headers)
        else:
            await self._inner(scope, receive, send_with_headers)


class _Paths:
    """Sends calls one way and everything else the other."""

    def __init__(self, rpcs: "_Calls", others: types.ASGIApp) -> None:
        self._rpcs = rpcs
        self._others = others

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        rpc = self._rpcs.find(scope["path"])
        if rpc is None:
            await self._others(scope, receive, send)
        else:
            await self._rpcs.answer(rpc, scope, receive, send)


class _Calls:
    """Takes calls: credentials, bounds, body; the Connect application does the rest."""

    def __init__(self, served: Served, settings: http_settings.HttpSettings) -> None:
        found = endpoints.methods_of(served.services)
        self._methods = {path: method for path, (method, _) in found.items()}
        self._gate = served.gate
        self._boundary = problems.Boundary(served.table)
        self._settings = settings
        self._streams = 0
        self._connect = endpoints.Application(
            {
                path: endpoints.endpoint(method, answer, served.gate, self._boundary)
                for path, (method, answer) in found.items()
            },
            bytes_max=settings.body_bytes_max,
        )

    def find(self, path: str) -> descriptor.MethodDescriptor | None:
        """Return the rpc at a path."""
        return self._methods.get(path)

    async def answer(
        self,
        method: descriptor.MethodDescriptor,
        scope: types.Scope,
        receive: types.Receive,
        send: types.Send,
    ) -> None:
        """Answer a call, or say why not."""
        incoming = _Incoming(receive)
        try:
            call = self._checked(method, scope)
            await self._known(call)
            body = await self._body(incoming)
            answering = self._patient(send)
            asked = scope
            if method.server_streaming and lines.is_asked_for(call.headers):
                asked, body = lines.scope(scope), lines.body(body)
                answering = lines.unwrapping(answering, _STATUS_OF_CODE)
            with self._counted(streams=method.server_streaming), calls.answering(call):
                await self._connect(asked, _replayed(body, receive), answering)
        except _Refused as refused:
            await self._discard(scope, incoming)
            await _answer(refused.refusal)(scope, receive, send)
        except _Stalled:
            # Closing would first send what waits to be sent, which the client does not take.
            scope[http_server.CONNECTION_KEY].abort()
            _log.info(
                "a client read nothing of its answer and was cut off",
                extra={"action": "http_client_stalled", "method": calls.path_of(method)},
            )
            await receive()

    def _checked(self, method: descriptor.MethodDescriptor, scope: types.Scope) -> calls.Call:
        head = scope[_HEAD_KEY]
        refusal = guarding.judge_call(
            scope["method"],
            scope["query_string"],
            head,
            rpc=guarding.Rpc(endpoints.is_read(method), method.server_streaming),
            bytes_max=self._settings.body_bytes_max,
        )
        if refusal is not None:
            raise _Refused(refusal)
        client = scope.get("client")
        return calls.Call(
            method,
            head,
            peer=f"{client[0]}:{client[1]}" if client else "",
            uris=scope[http_server.CONNECTION_KEY].uris,
        )

    async def _known(self, call: calls.Call) -> None:
        try:
            async with asyncio.timeout(self._settings.receive_timeout_s):
                await self._gate.known(call)
        except Exception as error:
            told = self._boundary.describe(error, call.name)
            status = problems.STATUSES[told.code]
            challenge = (
                {"www-authenticate": "Bearer"} if status == http.HTTPStatus.UNAUTHORIZED else {}
            )
            raise _Refused(guarding.Refusal(status, told, challenge)) from error

    async def _body(self, incoming: "_Incoming") -> bytes:
        """Read the body; nothing is kept of one that is too long, or comes too slowly."""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._settings.receive_timeout_s):
                while not incoming.complete:
                    chunk = await incoming.next()
                    size += len(chunk)
                    if size > self._settings.body_bytes_max:
                        raise _Refused(guarding.too_long(self._settings.body_bytes_max))
                    chunks.append(chunk)
                return b"".join(chunks)
        except TimeoutError as error:
            told = f"The body did not arrive within {self._settings.receive_timeout_s:g} s."
            raise _Refused(_too_slow(f"{told} Send it again.")) from error

    async def _discard(self, scope: types.Scope, incoming: "_Incoming") -> None:
        """Read on for a while: who is refused while sending would not see the answer."""
        if "expect" in scope[_HEAD_KEY]:
            return
        left = _DISCARDED_TIMES * self._settings.body_bytes_max
        with contextlib.suppress(TimeoutError, _Refused):
            async with asyncio.timeout(self._settings.receive_timeout_s):
                while left > 0 and not incoming.complete:
                    left -= len(await incoming.next())

    @contextlib.contextmanager
    def _counted(self, *, streams: bool) -> Any:
        """Count an answer that goes on and on; refuse one too many."""
        if not streams:
            yield
            return
        if self._streams >= self._settings.streams_max:
            told = problems.refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._streams} streaming answers are under way, which is the most at once. "
                "Try again later, or raise http.streams_max.",
                reasons.BUSY,
            )
            raise _Refused(guarding.Refusal(http.HTTPStatus.TOO_MANY_REQUESTS, told))
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def _patient(self, send: types.Send) -> types.Send:
        """Bound how long a client may read nothing: until it reads, nothing more is made."""

        async def sending(message: types.Message) -> None:
            try:
                async with asyncio.timeout(self._settings.stalled_timeout_s):
                    await send(message)
                    # What is sent to nobody is dropped at once: without a pause, an answer that is
                    # made without waiting would go on for ever and let nobody else have a turn.
                    # Not after the head: a deadline in the pause would have it sent twice.
                    if message.get("more_body", False):
                        await asyncio.sleep(0)
            except TimeoutError as error:
                raise _Stalled from error

        return sending


class _Incoming:
    """The body of a request as it comes.

    Attributes:
        complete: Whether all of it came.
    """

    def __init__(self, receive: types.Receive) -> None:
        self._receive = receive
        self.complete = False

    async def next(self) -> bytes:
        """Return the next piece."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.complete = True
            raise _Refused(_too_slow("The client went away."))
        self.complete = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


class _Refused(Exception):
    """A call is not taken."""

    def __init__(self, refusal: guarding.Refusal) -> None:
        super().__init__(refusal.told.message)
        self.refusal = refusal


class _Stalled(Exception):
    """A client reads nothing of its answer."""


_STATUS_OF_CODE: Final = {
    problems.CODES[code].value: status for code, status in problems.STATUSES.items()
}


def _too_slow(text: str) -> guarding.Refusal:
    told = problems.refusal(grpc.StatusCode.DEADLINE_EXCEEDED, text, reasons.DEADLINE_EXCEEDED)
    return guarding.Refusal(http.HTTPStatus.REQUEST_TIMEOUT, told, {"connection": "close"})


def _replayed(body: bytes, receive: types.Receive) -> types.Receive:
    """Return what hands out a body that was read, and then tells when the client goes away."""
    handed = False

    async def receiving() -> types.Message:
        nonlocal handed
        if handed:
            return await receive()
        handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


def _answer(refusal: guarding.Refusal) -> responses.Response:
    return responses.JSONResponse(
        problems.content(refusal.told),
        status_code=refusal.status,
        headers=dict(refusal.headers),
    )


async def _healthy(_: requests.Request) -> responses.Response:
    return responses.JSONResponse({"status": "serving"})


def _readiness(ready: Ready) -> Callable[[requests.Request], Awaitable[responses.Response]]:
    async def answer(_: requests.Request) -> responses.Response:
        why = await ready()
        if why:
            return responses.JSONResponse({"status": "not ready", "reason": why}, status_code=503)
        return responses.JSONResponse({"status": "ready"})

    return answer


async def _refuse_http(request: requests.Request, error: Exception) -> responses.Response:
    status = http.HTTPStatus.INTERNAL_SERVER_ERROR
    headers: Mapping[str, str] | None = None
    if isinstance(error, http_errors.HTTPException):
        status, headers = http.HTTPStatus(error.status_code), error.headers
    told = problems.refusal(
        grpc.StatusCode.UNIMPLEMENTED,
        f"{status.phrase}: {request.method} {request.url.path[:200]}. /openapi.json tells what "
        "there is; calls go to /<service>/<rpc>.",
        reasons.UNSUPPORTED,
    )
    return responses.JSONResponse(
        problems.content(told), status_code=status, headers=dict(headers or {})
    )
