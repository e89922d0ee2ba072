"""Only processes that present their nonce get through to the code server."""

import asyncio
import socket

import pytest

from atoll._location import framing
from atoll._server import hub
from atoll.process.v1 import process_pb2

EVALUATOR = process_pb2.PROCESS_ROLE_EVALUATOR
WORKER = process_pb2.PROCESS_ROLE_RUN_WORKER


class Listener:
    def __init__(self) -> None:
        self.here = asyncio.Event()
        self.gone = asyncio.Event()
        self.messages: list[process_pb2.ProcessMessage] = []
        self.got = asyncio.Event()
        self.connection: hub.Connection | None = None

    def connected(self, connection: hub.Connection) -> None:
        self.connection = connection
        self.here.set()

    def received(self, connection, message) -> None:
        self.messages.append(message)
        self.got.set()

    def disconnected(self, connection) -> None:
        self.gone.set()


@pytest.fixture
async def serving(tmp_path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    server = hub.Hub(listener)
    await server.start()
    yield server, str(tmp_path / "s")
    await server.stop()


async def connect(path: str, *messages: process_pb2.ProcessMessage):
    reader, writer = await asyncio.open_unix_connection(path)
    for message in messages:
        writer.write(framing.encode(message))
    return reader, writer


def hello(nonce: str, role=EVALUATOR, run_id: str = "") -> process_pb2.ProcessMessage:
    return process_pb2.ProcessMessage(
        hello=process_pb2.Hello(nonce=nonce, role=role, pid=1, run_id=run_id)
    )


SPOOL = process_pb2.ProcessMessage(spool_advanced=process_pb2.SpoolAdvanced(run_id="r"))


async def turned_away(reader: asyncio.StreamReader) -> bool:
    return await asyncio.wait_for(reader.read(1), 5) == b""


async def test_a_process_with_its_nonce_is_heard_and_spoken_to(serving):
    server, path = serving
    listener = Listener()
    server.expect("secret", EVALUATOR, listener)
    reader, writer = await connect(path, hello("secret"), SPOOL)
    await asyncio.wait_for(listener.got.wait(), 5)
    assert listener.messages == [SPOOL]
    answer = process_pb2.ServerMessage(evaluate=process_pb2.Evaluate())
    await listener.connection.send(answer)
    [received] = framing.Decoder(process_pb2.ServerMessage).feed(await reader.read(100))
    assert received == answer
    writer.close()
    await asyncio.wait_for(listener.gone.wait(), 5)
    with pytest.raises(ConnectionError):
        await listener.connection.send(answer)


@pytest.mark.parametrize(
    "first",
    [hello("wrong"), hello("secret", WORKER, "r"), SPOOL],
    ids=["nonce", "role", "no hello"],
)
async def test_strangers_are_turned_away(serving, first, caplog):
    server, path = serving
    listener = Listener()
    server.expect("secret", EVALUATOR, listener)
    reader, writer = await connect(path, first)
    assert await turned_away(reader)
    assert not listener.here.is_set()
    writer.close()


async def test_a_forgotten_nonce_is_a_stranger(serving):
    server, path = serving
    server.expect("secret", EVALUATOR, Listener())
    server.forget("secret")
    reader, writer = await connect(path, hello("secret"))
    assert await turned_away(reader)
    writer.close()


async def test_workers_of_an_earlier_server_are_looked_up(serving):
    server, path = serving
    listener = Listener()
    server.look_up_workers(
        lambda run_id, nonce: listener if (run_id, nonce) == ("r", "old") else None
    )
    _, writer = await connect(path, hello("old", WORKER, "r"))
    await asyncio.wait_for(listener.here.wait(), 5)
    reader, other = await connect(path, hello("other", WORKER, "r"))
    assert await turned_away(reader)
    writer.close()
    other.close()


async def test_garbage_ends_the_connection_and_nothing_else(serving):
    server, path = serving
    listener = Listener()
    server.expect("secret", EVALUATOR, listener)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"\xff" * 64)
    assert await turned_away(reader)
    writer.close()
    _, good = await connect(path, hello("secret"))
    await asyncio.wait_for(listener.here.wait(), 5)
    good.close()
