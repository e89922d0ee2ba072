"""Who is sent to: a real HTTP server in the test's own loop, which does as the test says."""

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable

TIMEOUT_S = 20.0


@dataclasses.dataclass
class Request:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict:
        return json.loads(self.body)

    @property
    def event_ids(self) -> list[int]:
        return [int(event["id"]) for event in self.document["data"]["events"]]

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as a receiver does that knows nothing of us."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        stamp = self.headers["webhook-timestamp"]
        signed = f"{self.id}.{stamp}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


class Receiver:
    """Takes requests and answers with what `answer` says: a status, or a whole answer."""

    def __init__(self, answer: int | Callable[[Request], int | bytes] = 204) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.at_once = 0
        self.at_once_max = 0
        self._arrived = asyncio.Condition()
        self._talks: set[asyncio.Task[None]] = set()
        self.url = ""

    @property
    def event_ids(self) -> list[int]:
        return [event_id for request in self.requests for event_id in request.event_ids]

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until what arrived is enough."""
        async with asyncio.timeout(TIMEOUT_S), self._arrived:
            await self._arrived.wait_for(met)

    async def until_requests(self, count: int) -> None:
        await self.until(lambda: len(self.requests) >= count)

    @contextlib.asynccontextmanager
    async def serving(self, encrypted: ssl.SSLContext | None = None) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self._keep, "127.0.0.1", 0, ssl=encrypted)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'https' if encrypted else 'http'}://localhost:{port}/hook?a=b"
        try:
            yield self
        finally:
            self.may_answer.set()
            server.close()
            # A connection that is left open would be found when its event loop is gone.
            for task in tuple(self._talks):
                _, unfinished = await asyncio.wait({task}, timeout=1.0)
                for left in unfinished:
                    left.cancel()

    async def _keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            await self._talk(reader, writer)
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            body = await reader.readexactly(int(headers["content-length"]))
            request = Request(first.split(" ")[1], headers, body)
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
            async with self._arrived:
                self.requests.append(request)
                self._arrived.notify_all()
            await self.may_answer.wait()
            self.at_once -= 1
            answer = self.answer if isinstance(self.answer, int) else self.answer(request)
            if isinstance(answer, int):
                answer = f"HTTP/1.1 {answer} Said\r\ncontent-length: 0\r\n\r\n".encode()
            writer.write(answer)
            await writer.drain()
