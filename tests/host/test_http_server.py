"""The servers of HTTP that a host has: they answer at once, and wait for nobody without an end."""

import asyncio
import contextlib
import socket

import pytest

from atoll._rpc import addresses
from atoll_host import http_server

TIMEOUT_S = 10.0


class Application:
    """Answers everything alike, and keeps what it was told of the connections."""

    def __init__(self) -> None:
        self.connections: list[http_server.Connection] = []

    async def __call__(self, scope, receive, send) -> None:
        self.connections.append(scope[http_server.CONNECTION_KEY])
        headers = [(b"content-length", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@contextlib.asynccontextmanager
async def serving(application, head_timeout_s: float = 60.0):
    server = http_server.Server("tests", http_server.Bounds(20, head_timeout_s))
    await asyncio.wait_for(server.start(addresses.Address("127.0.0.1", 0), application), TIMEOUT_S)
    try:
        yield addresses.parse(server.address)
    finally:
        await asyncio.wait_for(server.stop(), TIMEOUT_S)


async def ask(address: addresses.Address, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), TIMEOUT_S)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_the_parts_of_an_answer_do_not_wait_for_acknowledgements():
    application = Application()
    options: list[int] = []

    async def looking(scope, receive, send) -> None:
        transport = scope[http_server.CONNECTION_KEY].abort.__self__
        sent_on = transport.get_extra_info("socket")
        options.append(sent_on.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await application(scope, receive, send)

    async with serving(looking) as address:
        assert (await ask(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")).endswith(b"ok")
    assert options
    assert all(options)


async def test_a_head_that_never_ends_closes_its_connection():
    application = Application()
    async with serving(application, head_timeout_s=0.05) as address:
        assert await ask(address, b"GET / HTTP/1.1\r\nhost") == b""
    assert not application.connections


async def test_an_address_that_is_taken_is_told():
    application = Application()
    async with serving(application) as address:
        second = http_server.Server("second", http_server.Bounds(20, 60.0))
        with pytest.raises(OSError, match="in use"):
            await second.start(address, application)
        await second.stop()
        assert second.address == ""
