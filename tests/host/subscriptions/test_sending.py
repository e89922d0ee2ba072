"""A request gets its answer or is told why not, within its time and without its secrets."""

import asyncio
import shutil
import socket
import ssl

import pytest

from atoll_host import clock as clocks
from atoll_host.subscriptions import sending, subscription_settings
from tests.host.subscriptions import receivers


def sender(**fields) -> sending.Sender:
    values = {"allow_loopback": True, "timeout_s": 5.0, **fields}
    return sending.Sender(
        subscription_settings.SubscriptionSettings(**values), clocks.SystemClock()
    )


@pytest.fixture
async def http():
    async with receivers.Receiver().serving() as receiver:
        yield receiver


async def send(url: str, **fields):
    return await sender(**fields).send(url, {"x-told": "yes"}, b"{}")


async def test_a_request_arrives_and_its_answer_is_read(http) -> None:
    answer = await send(http.url)
    assert (answer.http_status, answer.error, answer.arrived) == (204, "", True)
    (request,) = http.requests
    assert (request.path, request.body, request.headers["x-told"]) == ("/hook?a=b", b"{}", "yes")


@pytest.mark.parametrize(
    ("said", "status", "error"),
    [
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/x\r\n\r\n", 302, "not followed"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 6\r\n\r\nsecret", 500, "status 500"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, ""),
        (b"no http at all\r\n\r\n", 0, "no HTTP"),
        (b"", 0, "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, 0, "no HTTP"),
    ],
)
async def test_answers_are_told_apart_and_never_repeated(http, said, status, error) -> None:
    http.answer = lambda _: said
    answer = await send(http.url)
    assert answer.http_status == status
    assert error in answer.error
    assert "secret" not in answer.error
    assert len(http.requests) == 1


async def test_a_long_answer_is_not_read_to_its_end(http) -> None:
    http.answer = lambda _: b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 3_000_000
    assert (await send(http.url)).arrived


async def test_the_receiver_says_when_to_come_again(http) -> None:
    http.answer = lambda _: b"HTTP/1.1 429 No\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n"
    assert (await send(http.url)).retry_after_s == 17
    later = b"HTTP/1.1 503 No\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n"
    http.answer = lambda _: later
    assert (await send(http.url)).retry_after_s == 0


async def test_a_receiver_that_hangs_is_left_in_time(http) -> None:
    http.may_answer.clear()
    answer = await send(http.url, timeout_s=0.2)
    assert answer.error == "nothing was answered within 0.2 s"


async def test_nobody_there_is_told_without_the_url() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        answer = await send(f"http://127.0.0.1:{port}/token-in-the-path")
    assert answer.error == "the connection was refused"
    answer = await send("https://no-such-host.invalid/token-in-the-path", timeout_s=10.0)
    assert answer.error == "the name of the receiver cannot be resolved"


async def test_the_address_behind_a_name_is_checked_when_it_is_connected_to(
    http, monkeypatch
) -> None:
    # The name is as public as any; only what it resolves to is not.
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def resolve(host, port, **_):
        asked.append(host)
        return [(0, 0, 0, "", (address, port)) for address in ("93.184.216.34", "127.0.0.1")]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    url = http.url.replace("http://localhost", "https://hooks.example.org")
    answer = await send(url, allow_loopback=False)
    assert "127.0.0.1 is that of the host itself" in answer.error
    assert (asked, http.requests) == (["hooks.example.org"], [])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
async def test_only_certificates_that_are_trusted_and_fit_the_name_are_taken(tmp_path) -> None:
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"),
        *("/CN=receiver", "-addext", "subjectAltName=DNS:localhost", "-out", made, "-keyout", key),
    ]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    async with receivers.Receiver().serving(context) as receiver:
        assert (await send(receiver.url, ca_file=str(made))).arrived
        refused = await send(receiver.url)
        assert refused.error.startswith("the encrypted connection failed")
        by_address = receiver.url.replace("localhost", "127.0.0.1")
        assert "certificate" in (await send(by_address, ca_file=str(made))).error
        missing = await send(receiver.url, ca_file=str(tmp_path / "none"))
        assert "ca_file cannot be read" in missing.error
    assert len(receiver.requests) == 1
