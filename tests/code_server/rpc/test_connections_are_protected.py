"""TLS between servers and clients: what connects, what does not, and what people are told."""

import asyncio
import datetime as dt
import logging

import pytest

from atoll._rpc import errors, info, interception, peer_identities, reasons, serving, tls
from atoll.rpc.v1 import server_info_pb2
from tests import certificates

HOST = server_info_pb2.SERVER_KIND_HOST
FACTS = info.ServerFacts(kind=HOST, version="1", instance_id="me")


@pytest.fixture
def ca(tmp_path):
    return certificates.Authority(tmp_path)


@pytest.fixture
def pair(ca):
    return ca.pair("host", "atoll:host")


@pytest.fixture
async def serve():
    running = []

    async def serve(security=None) -> serving.GrpcServer:
        server = serving.GrpcServer("127.0.0.1:0", facts=FACTS, services=(), security=security)
        await server.start()
        running.append(server)
        return server

    yield serve
    for server in running:
        await server.stop(0)


async def ask(address: str, secured: tls.ClientTls | None = None) -> str:
    async with serving.channel(address, secured) as channel:
        answer = await info.check_server(
            channel, kind=HOST, peer=address, timeout_s=10, secured=secured is not None
        )
    return answer.instance_id


def client(ca, own=None, *, server_name: str = "") -> tls.ClientTls:
    return tls.ClientTls(tls.ClientFiles(ca.path, own, server_name))


async def refused(address: str, secured: tls.ClientTls | None = None) -> str:
    with pytest.raises(errors.UnavailableError) as caught:
        await ask(address, secured)
    assert caught.value.reason == reasons.TLS_FAILED
    assert address in caught.value.message
    return caught.value.message


async def test_a_server_with_a_certificate_is_verified_and_answers(serve, ca, pair):
    server = await serve(certificates.security(pair))
    assert await ask(server.address, client(ca)) == "me"


async def test_a_client_without_tls_is_told_that_the_server_may_speak_it(serve, pair):
    server = await serve(certificates.security(pair))
    assert "name the file of its authority" in await refused(server.address)


async def test_a_client_with_tls_is_told_that_the_server_speaks_none(serve, ca):
    server = await serve()
    assert "it speaks no TLS" in await refused(server.address, client(ca))


async def test_a_certificate_of_another_authority_is_refused(serve, tmp_path, pair):
    server = await serve(certificates.security(pair))
    other = certificates.Authority(tmp_path, "other")
    assert "authority that is not trusted" in await refused(server.address, client(other))


async def test_a_certificate_for_another_name_is_refused(serve, ca):
    pair = ca.pair("elsewhere", "atoll:host", dns=("elsewhere.example",), ips=())
    server = await serve(certificates.security(pair))
    assert "is for another name" in await refused(server.address, client(ca))
    named = client(ca, server_name="elsewhere.example")
    assert await ask(server.address, named) == "me"


async def test_a_certificate_that_expired_while_the_server_ran_is_refused(serve, ca):
    long_ago = certificates.NOW - dt.timedelta(days=9)
    pair = ca.pair("old", "atoll:host", now=long_ago, days=1)
    files = tls.ServerFiles(pair)
    then = tls.ServerTls(files, now_s=long_ago.timestamp)
    server = await serve(serving.Security(then))
    assert "has expired" in await refused(server.address, client(ca))


async def test_a_client_without_a_certificate_is_told_to_name_one(serve, ca, pair):
    server = await serve(certificates.security(pair, ca))
    assert "ask for a client certificate" in await refused(server.address, client(ca))


async def test_a_client_certificate_of_another_authority_is_refused(serve, ca, pair, tmp_path):
    server = await serve(certificates.security(pair, ca))
    stranger = certificates.Authority(tmp_path, "other").pair("stranger", "atoll:host")
    told = await refused(server.address, client(ca, stranger))
    assert "of an authority that they do not trust" in told


async def test_a_second_address_requires_certificates_where_the_first_does_not(serve, ca, pair):
    server = await serve(certificates.security(pair, ca, second="127.0.0.1:0"))
    assert await ask(server.address, client(ca)) == "me"
    await refused(server.certificates_address, client(ca))
    own = ca.pair("sales", "atoll:location:sales")
    assert await ask(server.certificates_address, client(ca, own)) == "me"


async def test_whoever_may_not_call_at_all_is_refused_by_name(serve, ca, pair):
    def admit(peer: peer_identities.PeerIdentity | None) -> None:
        if peer is None or peer.name != "sales":
            raise errors.PermissionDeniedError(f"not {peer and peer.uri}", reason="UNKNOWN_PEER")

    admission: interception.Admission = admit
    given = certificates.security(pair, ca)
    server = await serve(serving.Security(given.tls, admit=admission))
    assert await ask(server.address, client(ca, ca.pair("a", "atoll:location:sales"))) == "me"
    with pytest.raises(errors.PermissionDeniedError, match="not atoll:location:other"):
        await ask(server.address, client(ca, ca.pair("b", "atoll:location:other")))


async def test_new_connections_see_a_new_certificate_and_old_ones_go_on(serve, ca, tmp_path, pair):
    server = await serve(certificates.security(pair))
    before = client(ca)
    async with serving.channel(server.address, before) as old:
        await info.check_server(old, kind=HOST)
        other = certificates.Authority(tmp_path, "other")
        certificates.write(pair, other.issue("atoll:host"))
        assert await ask(server.address, client(other)) == "me"
        assert "not trusted" in await refused(server.address, before)
        await info.check_server(old, kind=HOST)


async def test_the_authority_of_clients_is_read_anew_too(serve, ca, pair, tmp_path):
    server = await serve(certificates.security(pair, ca))
    other = certificates.Authority(tmp_path, "other")
    stranger = client(ca, other.pair("stranger", "atoll:location:sales"))
    await refused(server.address, stranger)
    ca.path.write_bytes(ca.issued.certificate + other.issued.certificate)
    assert await ask(server.address, stranger) == "me"


async def test_a_client_dials_with_what_its_files_hold_by_then(serve, ca, pair):
    server = await serve(certificates.security(pair, ca))
    own = ca.pair("sales", "atoll:location:sales")
    dialing = client(ca, own)
    first = dialing.generation
    assert dialing.generation == first
    ca.pair("sales", "atoll:location:sales")
    assert dialing.generation > first
    assert await ask(server.address, dialing) == "me"


async def test_files_that_cannot_be_used_leave_what_was_there(serve, ca, pair, caplog):
    server = await serve(certificates.security(pair))
    key = pair.key.read_text()
    with caplog.at_level(logging.INFO):
        pair.key.write_text("half of a k")
        for _ in range(3):
            assert await ask(server.address, client(ca)) == "me"
    told = [record for record in caplog.records if "cannot be used" in record.message]
    assert len(told) == 1
    assert str(pair.key) in told[0].problem
    assert key.splitlines()[1] not in caplog.text


async def test_many_connections_while_certificates_change_all_succeed(serve, ca, pair):
    server = await serve(certificates.security(pair))

    async def change() -> None:
        for _ in range(5):
            await asyncio.to_thread(certificates.write, pair, ca.issue("atoll:host"))

    async def connect() -> list[str]:
        return [await ask(server.address, client(ca)) for _ in range(5)]

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        tasks = [group.create_task(connect()) for _ in range(4)]
    assert {answer for task in tasks for answer in task.result()} == {"me"}


def test_any_address_may_be_listened_on_with_a_certificate(pair):
    given = certificates.security(pair)
    serving.GrpcServer("0.0.0.0:0", facts=FACTS, services=(), security=given)
