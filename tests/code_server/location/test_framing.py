"""Messages survive the socket however the stream is cut, and a broken peer is noticed."""

import random
import socket
import threading

import pytest

from atoll._location import errors, framing
from atoll.process.v1 import process_pb2


def _message(nonce: str) -> process_pb2.ProcessMessage:
    return process_pb2.ProcessMessage(hello=process_pb2.Hello(nonce=nonce))


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    ends = (
        framing.Channel(left, process_pb2.ServerMessage),
        framing.Channel(right, process_pb2.ProcessMessage),
    )
    yield ends
    for end in ends:
        end.close()


@pytest.mark.parametrize("seed", range(5))
def test_messages_come_out_whole_however_the_stream_is_cut(seed: int):
    chance = random.Random(seed)
    messages = [_message("x" * chance.randrange(0, 300)) for _ in range(50)]
    stream = b"".join(framing.encode(message) for message in messages)
    decoder = framing.Decoder(process_pb2.ProcessMessage)
    found = []
    position = 0
    while position < len(stream):
        size = chance.randrange(1, 40)
        found += decoder.feed(stream[position : position + size])
        position += size
    assert found == messages
    assert decoder.at_boundary


def test_an_absurd_length_is_refused_before_its_bytes_arrive():
    decoder = framing.Decoder(process_pb2.ProcessMessage)
    with pytest.raises(errors.FramingError, match="4294967295 bytes"):
        decoder.feed(b"\xff\xff\xff\xff")


def test_a_frame_of_something_else_is_refused():
    decoder = framing.Decoder(process_pb2.ProcessMessage)
    with pytest.raises(errors.FramingError, match=r"no atoll\.process\.v1\.ProcessMessage"):
        decoder.feed(b"\x00\x00\x00\x02\x0f\xff")


def test_several_messages_in_one_piece_are_received_one_by_one(pair):
    ours, theirs = pair
    ours.send(_message("a"))
    ours.send(_message("b"))
    assert theirs.receive(1.0).hello.nonce == "a"
    assert theirs.pending
    assert theirs.receive(1.0).hello.nonce == "b"
    assert not theirs.pending


def test_the_end_of_the_stream_is_no_message(pair):
    ours, theirs = pair
    ours.close()
    assert theirs.receive(1.0) is None


def test_an_end_inside_a_message_is_an_error():
    left, right = socket.socketpair()
    channel = framing.Channel(right, process_pb2.ProcessMessage)
    left.sendall(framing.encode(_message("abc"))[:-1])
    left.close()
    with pytest.raises(errors.FramingError, match="in the middle"):
        channel.receive(1.0)
    channel.close()


def test_a_silent_peer_times_out(pair):
    with pytest.raises(TimeoutError):
        pair[1].receive(0.01)


def test_a_message_larger_than_every_buffer_arrives(pair):
    ours, theirs = pair
    large = process_pb2.ProcessMessage(loaded=process_pb2.Loaded(snapshot=b"x" * 5_000_000))
    sender = threading.Thread(target=ours.send, args=(large,))
    sender.start()
    assert theirs.receive(10.0) == large
    sender.join()


def test_a_full_peer_takes_no_hint_and_still_gets_whole_messages(pair):
    ours, theirs = pair
    sent = 0
    while ours.try_send(_message(f"{sent}")):
        sent += 1
    for number in range(sent):
        assert theirs.receive(1.0).hello.nonce == f"{number}"
    assert ours.try_send(_message("again"))
    assert theirs.receive(1.0).hello.nonce == "again"


def test_a_peer_that_takes_nothing_ends_the_send(pair):
    large = process_pb2.ProcessMessage(loaded=process_pb2.Loaded(snapshot=b"x" * 5_000_000))
    with pytest.raises(TimeoutError):
        pair[0].send(large, timeout_s=0.02)
