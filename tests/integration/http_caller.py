"""A client of HTTP that sends what it is told, right or wrong, and reads what comes back."""

import asyncio
import contextlib
import dataclasses
import json
import struct
from typing import Any
from urllib import parse

import h11

TIMEOUT_S = 10.0
_END = 0b10


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of an error, as programs read it."""
        return self.said["details"][0]["debug"]["reason"]


class Caller:
    """Calls one host; each call has a connection of its own."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def post(self, path: str, content: Any = None, **headers: str) -> Answer:
        """Call an rpc with a JSON object, or with the bytes of one."""
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        return await self.send("POST", path, body, {"content-type": "application/json", **headers})

    async def get(self, path: str, content: Any = None, **headers: str) -> Answer:
        """Get a page, or call an rpc that only reads."""
        if content is not None:
            asked = {"encoding": "json", "message": json.dumps(content)}
            path = f"{path}?{parse.urlencode(asked)}"
        return await self.send("GET", path, b"", headers)

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send a request as it is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        head = [f"{method} {path} HTTP/1.1"]
        named.setdefault("host", self.address)
        named.setdefault("content-length", str(len(body)))
        head += [f"{name}: {value}" for name, value in named.items()]
        return await self.raw("\r\n".join([*head, "connection: close", "", ""]).encode() + body)

    async def raw(self, request: bytes) -> Answer:
        """Send bytes and read one answer."""
        async with self.connected() as (reader, writer):
            writer.write(request)
            # A server that refuses a long body by its head does not read it.
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await asyncio.wait_for(answer(reader), TIMEOUT_S)

    @contextlib.asynccontextmanager
    async def connected(self):
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def stream(self, path: str, content: Any = None, **headers: str):
        """Call an rpc that answers with a stream; read it with the yielded `Stream`."""
        async with self.connected() as (reader, writer):
            message = json.dumps(content or {}).encode()
            body = struct.pack(">BI", 0, len(message)) + message
            named = {
                "host": self.address,
                "content-type": "application/connect+json",
                "content-length": str(len(body)),
                **{name.replace("_", "-"): value for name, value in headers.items()},
            }
            head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
            writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            yield Stream(reader)


class Stream:
    """The messages of a streaming answer."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.status = 0
        self.end: Any = None
        self._parser = h11.Connection(h11.CLIENT)
        self._parser.send(h11.Request(method="POST", target="/", headers=[("host", "x")]))
        self._parser.send(h11.EndOfMessage())
        self._buffer = b""

    async def next(self) -> Any:
        """Return the next message; None at the end, which is then in `end`."""
        while True:
            if len(self._buffer) >= 5:
                flags, length = struct.unpack(">BI", self._buffer[:5])
                if len(self._buffer) >= 5 + length:
                    found = json.loads(self._buffer[5 : 5 + length])
                    self._buffer = self._buffer[5 + length :]
                    if flags & _END:
                        self.end = found
                        return None
                    return found
            self._buffer += await asyncio.wait_for(self._more(), TIMEOUT_S)

    async def _more(self) -> bytes:
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA:
                self._parser.receive_data(await self.reader.read(65536))
            elif isinstance(event, h11.Response):
                self.status = event.status_code
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            else:
                raise ConnectionError(f"the stream ended with {event!r}")


async def answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    parser.send(h11.EndOfMessage())
    status, headers, body = 0, {}, b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            parser.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            return Answer(status, headers, body)
