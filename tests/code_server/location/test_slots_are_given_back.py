"""Slots that a run gives back and asks for again: questions that overtake each other do no harm."""

import pathlib
import socket
from collections.abc import Iterator

import pytest

from atoll._location import framing, relay, slot_client
from atoll.mesh.v1 import slots_pb2
from atoll.process.v1 import process_pb2

SOON_S = 10.0
AT_ONCE_S = 0.05
PAUSE_S = 0.6
"""Longer than the client's pause after an error."""


class CodeServer:
    """The other end of the connection, which the test itself is."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._channel: framing.Channel[process_pb2.ProcessMessage] | None = None

    def asked(self, timeout_s: float = SOON_S) -> process_pb2.InstanceQuery:
        if self._channel is None:
            connection, _ = self._listening.accept()
            self._channel = framing.Channel(connection, process_pb2.ProcessMessage)
            hello = self._channel.receive(SOON_S)
            assert hello is not None
            assert hello.hello.run_id == "r"
        message = self._channel.receive(timeout_s)
        assert message is not None
        return message.instance_query

    def answer(
        self,
        query: process_pb2.InstanceQuery,
        answer: slots_pb2.AcquireSlotsResponse | None = None,
        *,
        reason: str = "",
    ) -> None:
        assert self._channel is not None
        message = process_pb2.ServerMessage()
        message.instance_answer.query_id = query.query_id
        if reason:
            message.instance_answer.error.reason = reason
        else:
            answered = answer or slots_pb2.AcquireSlotsResponse()
            message.instance_answer.acquire_slots.CopyFrom(answered)
        self._channel.send(message)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._listening.close()


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[CodeServer]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        made = CodeServer(listening)
        yield made
        made.close()


@pytest.fixture
def client(tmp_path: pathlib.Path, server: CodeServer) -> Iterator[slot_client.SlotClient]:
    role = process_pb2.PROCESS_ROLE_RUN_WORKER
    introduction = relay.Introduction(str(tmp_path / "s"), role, "nonce", "r")
    made = slot_client.SlotClient(introduction, 1, lambda: 0)
    yield made
    made.forget()


def _granted(step_key: str) -> slots_pb2.AcquireSlotsResponse:
    return slots_pb2.AcquireSlotsResponse(granted_step_keys=[step_key])


def test_nothing_is_asked_before_what_was_given_back_is_back(
    client: slot_client.SlotClient, server: CodeServer
):
    client.want({"a": "p"})
    waiting = slots_pb2.WaitingSlot(step_key="a", pool="p", limit=1)
    server.answer(server.asked(), slots_pb2.AcquireSlotsResponse(waiting=[waiting]))
    assert client.take(SOON_S).waiting == {"a": 1}
    client.want({})
    given_back = server.asked()
    assert list(given_back.acquire_slots.withdrawn_step_keys) == ["a"]
    client.want({"a": "p"})
    assert not client.take(AT_ONCE_S).granted
    with pytest.raises(TimeoutError):
        server.asked(AT_ONCE_S)
    server.answer(given_back)
    assert not client.take(AT_ONCE_S).granted
    again = server.asked()
    assert [each.step_key for each in again.acquire_slots.wanted] == ["a"]
    assert not again.acquire_slots.withdrawn_step_keys
    server.answer(again, _granted("a"))
    assert client.take(SOON_S).granted == {"a"}


@pytest.mark.parametrize("late", [False, True])
def test_a_slot_that_was_granted_and_given_back_is_not_taken(
    client: slot_client.SlotClient, server: CodeServer, late: bool
):
    client.want({"a": "p"})
    first = server.asked()
    client.want({})
    given_back = server.asked()
    client.want({"a": "p"})
    if not late:
        server.answer(first, _granted("a"))
        assert not client.take(AT_ONCE_S).granted
    server.answer(given_back)
    assert not client.take(AT_ONCE_S).granted
    again = server.asked()
    if late:
        server.answer(first, _granted("a"))
        assert not client.take(AT_ONCE_S).granted
    server.answer(again, _granted("a"))
    assert client.take(SOON_S).granted == {"a"}


def test_what_could_not_be_given_back_is_given_back_later(
    client: slot_client.SlotClient, server: CodeServer
):
    client.want({"a": "p"})
    server.asked()
    client.want({})
    server.answer(server.asked(), reason="HOST_UNAVAILABLE")
    assert client.take(AT_ONCE_S).problem
    assert not client.take(PAUSE_S).granted
    assert not client.take(AT_ONCE_S).granted
    assert list(server.asked().acquire_slots.withdrawn_step_keys) == ["a"]
