"""The HTTP listeners of a host: verified, renewed without a restart, and told who calls."""

import asyncio
import contextlib
import json
import ssl

import pytest

from atoll._rpc import addresses
from atoll._rpc import tls as rpc_tls
from atoll_host import http_server
from atoll_host.tls import securing, tls_settings
from tests import certificates

TIMEOUT_S = 10.0


async def tell(scope, receive, send) -> None:
    """An application that answers with who calls."""
    uris = scope[http_server.CONNECTION_KEY].uris
    told = json.dumps([scope["scheme"], *uris]).encode()
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture
def ca(tmp_path):
    return certificates.Authority(tmp_path)


@pytest.fixture
def pair(ca):
    return ca.pair("host", "atoll:host")


@pytest.fixture
async def serve(ca, pair):
    async with contextlib.AsyncExitStack() as stack:

        async def serve(mode: str, asked: rpc_tls.ClientCertificates | None = None) -> int:
            settings = tls_settings.TlsSettings(
                certificate=str(pair.certificate),
                key=str(pair.key),
                client_ca=str(ca.path),
                client_certificates=mode,
            )
            return await stack.enter_async_context(serving(securing.Tls(settings), asked))

        yield serve


@contextlib.asynccontextmanager
async def serving(
    tls: securing.Tls, asked: rpc_tls.ClientCertificates | None = None, head_timeout_s: float = 60.0
):
    bounds = http_server.Bounds(connections_max=20, head_timeout_s=head_timeout_s)
    server = http_server.Server("tests", bounds, tls, asked)
    await asyncio.wait_for(server.start(addresses.Address("127.0.0.1", 0), tell), TIMEOUT_S)
    try:
        yield addresses.parse(server.address).port
    finally:
        await asyncio.wait_for(server.stop(), TIMEOUT_S)


def trusting(ca, own=None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.path)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


class Connection:
    """One connection on which requests are sent."""

    def __init__(self, reader, writer) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self) -> list:
        self._writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), TIMEOUT_S)
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        return json.loads(await asyncio.wait_for(self._reader.readexactly(length), TIMEOUT_S))

    @property
    def certificate(self) -> bytes:
        return self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext | None = None):
    opening = asyncio.open_connection("127.0.0.1", port, ssl=context)
    reader, writer = await asyncio.wait_for(opening, TIMEOUT_S)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ask(port: int, context: ssl.SSLContext) -> list:
    async with connected(port, context) as connection:
        return await connection.ask()


async def test_who_shows_a_certificate_is_known_and_who_shows_none_is_served(serve, ca):
    port = await serve("optional")
    ann = ca.pair("ann", "atoll:user:ann")
    assert await ask(port, trusting(ca, ann)) == ["https", "atoll:user:ann"]
    assert await ask(port, trusting(ca)) == ["https"]


@pytest.mark.parametrize("mode", ["optional", "required"])
async def test_a_certificate_of_another_authority_is_refused(serve, ca, tmp_path, mode):
    port = await serve(mode)
    other = certificates.Authority(tmp_path, "other").pair("ann", "atoll:user:ann")
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await ask(port, trusting(ca, other))


async def test_who_shows_none_where_one_is_required_is_refused(serve, ca):
    port = await serve("required")
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await ask(port, trusting(ca))


async def test_a_listener_may_ask_for_none_where_others_require_one(serve, ca, pair):
    port = await serve("required", rpc_tls.ClientCertificates.NONE)
    assert await ask(port, trusting(ca)) == ["https"]
    certificates.write(pair, ca.issue("atoll:host"))
    assert await ask(port, trusting(ca)) == ["https"]


async def test_new_connections_see_a_new_certificate_and_old_ones_go_on(serve, ca, pair):
    port = await serve("optional")
    async with connected(port, trusting(ca)) as old:
        assert await old.ask() == ["https"]
        certificates.write(pair, ca.issue("atoll:host"))
        async with connected(port, trusting(ca)) as new:
            assert await new.ask() == ["https"]
            assert new.certificate != old.certificate
        assert await old.ask() == ["https"]


async def test_the_authority_of_clients_is_read_anew_too(serve, ca, tmp_path):
    port = await serve("required")
    other = certificates.Authority(tmp_path, "other")
    ann = other.pair("ann", "atoll:user:ann")
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await ask(port, trusting(ca, ann))
    # The old authority stays readable to the client, which verifies the server by it.
    before = trusting(ca, ann)
    ca.path.write_bytes(other.issued.certificate)
    assert await ask(port, before) == ["https", "atoll:user:ann"]


async def test_without_a_certificate_nothing_changes():
    async with serving(securing.NO_TLS) as port, connected(port) as plain:
        assert await plain.ask() == ["http"]
