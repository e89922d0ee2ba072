"""A spool loses no event and makes none up, whoever dies when."""

import os
import random
import resource
import signal
import time

import pytest

from atoll._location import errors, spool
from atoll.events.v1 import events_pb2
from tests import counting


def _event(text: str) -> events_pb2.Event:
    event = events_pb2.Event(run_id="r", message=text)
    event.log_message.level = events_pb2.LOG_LEVEL_INFO
    return event


def _read_all(reader: spool.Reader) -> list[events_pb2.Event]:
    found = []
    while batch := reader.read(events_max=7, bytes_max=1000):
        found += [spooled.event for spooled in batch]
    return found


def _messages(folder) -> list[str]:
    return [event.message for event in spool.events(folder)]


def test_events_are_numbered_and_come_back_in_order_over_segments(tmp_path):
    writer = spool.create(tmp_path / "events", segment_bytes=200)
    written = [writer.append(_event(f"event {number}")) for number in range(100)]
    found = _read_all(spool.Reader(tmp_path / "events"))
    assert written == [event.seq for event in found] == list(range(1, 101))
    assert [event.message for event in found] == [f"event {number}" for number in range(100)]
    assert len(list((tmp_path / "events").iterdir())) > 5


def test_a_reader_keeps_up_with_a_writer(tmp_path):
    writer = spool.create(tmp_path, segment_bytes=150)
    reader = spool.Reader(tmp_path)
    assert _read_all(reader) == []
    seen = []
    for number in range(30):
        writer.append(_event(f"{number}"))
        seen += [event.message for event in _read_all(reader)]
    assert seen == [f"{number}" for number in range(30)]


def test_batches_are_bounded_but_never_empty_while_there_is_more(tmp_path):
    writer = spool.create(tmp_path)
    for size in (10, 5000, 10, 10):
        writer.append(_event("x" * size))
    reader = spool.Reader(tmp_path)
    sizes = []
    while batch := reader.read(events_max=2, bytes_max=100):
        sizes.append(len(batch))
    assert sizes == [1, 1, 2]


def test_a_run_that_has_begun_does_not_begin_again(tmp_path):
    spool.create(tmp_path).append(_event("first"))
    with pytest.raises(errors.SpoolExistsError, match="begun before"):
        spool.create(tmp_path)


@pytest.mark.parametrize("cut", range(1, 30, 3))
def test_a_torn_tail_means_wait_and_is_cut_off_by_resume(tmp_path, cut):
    writer = spool.create(tmp_path)
    writer.append(_event("whole"))
    whole = (tmp_path / "000001.spool").stat().st_size
    writer.append(_event("torn" * 10))
    path = tmp_path / "000001.spool"
    os.truncate(path, whole + cut)
    reader = spool.Reader(tmp_path)
    assert [event.message for event in _read_all(reader)] == ["whole"]

    resumed = spool.resume(tmp_path)
    assert resumed.append(_event("after")) == 2
    assert [event.message for event in _read_all(reader)] == ["after"]
    assert _messages(tmp_path) == ["whole", "after"]


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\0\0\0\x05\0\0\0\0hello", b"\xff" * 20])
def test_a_tail_of_garbage_is_no_event(tmp_path, garbage):
    spool.create(tmp_path).append(_event("whole"))
    with (tmp_path / "000001.spool").open("ab") as file:
        file.write(garbage)
    assert _messages(tmp_path) == ["whole"]
    assert spool.resume(tmp_path).append(_event("after")) == 2
    assert _messages(tmp_path) == ["whole", "after"]


def test_damage_that_other_segments_follow_is_an_error(tmp_path):
    writer = spool.create(tmp_path, segment_bytes=100)
    for number in range(10):
        writer.append(_event(f"{number}" * 30))
    path = tmp_path / "000002.spool"
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(errors.SpoolCorruptError, match="000002"):
        _messages(tmp_path)


def test_a_missing_segment_is_an_error(tmp_path):
    writer = spool.create(tmp_path, segment_bytes=60)
    for number in range(10):
        writer.append(_event(f"{number}" * 30))
    (tmp_path / "000002.spool").unlink()
    with pytest.raises(errors.SpoolCorruptError, match=r"000002\.spool is damaged"):
        spool.resume(tmp_path)


def test_only_whole_acknowledged_segments_are_deleted_and_never_the_last(tmp_path):
    writer = spool.create(tmp_path, segment_bytes=100)
    for number in range(10):
        writer.append(_event(f"{number}" * 30))
    reader = spool.Reader(tmp_path)
    _read_all(reader)
    before = sorted(path.name for path in tmp_path.iterdir())
    reader.release(3)
    assert sorted(path.name for path in tmp_path.iterdir()) == before[1:]
    reader.release(10)
    assert sorted(path.name for path in tmp_path.iterdir()) == before[-1:]
    assert spool.resume(tmp_path).append(_event("more")) == 11


def test_after_a_restart_the_rest_is_read_again(tmp_path):
    writer = spool.create(tmp_path, segment_bytes=100)
    for number in range(10):
        writer.append(_event(f"{number}" * 30))
    first = spool.Reader(tmp_path)
    _read_all(first)
    first.release(5)
    again = [event.seq for event in _read_all(spool.Reader(tmp_path))]
    assert again == list(range(again[0], 11))
    assert again[0] <= 6


def test_a_resumed_spool_whose_last_segment_is_empty_goes_on_counting(tmp_path):
    writer = spool.create(tmp_path)
    writer.append(_event("one"))
    (tmp_path / "000002.spool").touch()
    assert spool.resume(tmp_path).append(_event("two")) == 2
    assert _messages(tmp_path) == ["one", "two"]


def test_an_event_that_does_not_fit_on_the_disk_leaves_the_spool_as_it_was(tmp_path):
    # /dev/full is no regular file; a limit on the size of files gives the same refusal of a write.
    writer = spool.create(tmp_path)
    writer.append(_event("fits"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (tmp_path / "000001.spool").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(errors.SpoolWriteError, match="cannot take another event"):
            writer.append(_event("x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert writer.append(_event("small")) == 2
    assert _messages(tmp_path) == ["fits", "small"]


def test_an_event_that_no_message_could_carry_is_refused(tmp_path):
    writer = spool.create(tmp_path)
    with pytest.raises(errors.SpoolWriteError, match="at most"):
        writer.append(_event("x" * (spool.RECORD_BYTES_MAX + 1)))
    assert writer.append(_event("small")) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_writer_killed_at_any_moment_leaves_whole_events_without_gaps(tmp_path, seed):
    folder = tmp_path / "events"
    pid = os.fork()
    if pid == 0:
        try:
            writer = spool.create(folder, segment_bytes=3000)
            while True:
                writer.append(_event("x" * random.randrange(400)))
        finally:
            os._exit(1)
    reader = spool.Reader(folder)
    wanted = 200 + 150 * seed
    seen = []
    deadline = time.monotonic() + 10
    while len(seen) < wanted and time.monotonic() < deadline:
        seen += [spooled.event.seq for spooled in reader.read(events_max=50, bytes_max=10_000)]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    resumed = spool.resume(folder)
    last = resumed.append(_event("sealed"))
    seen += [event.seq for event in _read_all(reader)]
    assert seen == list(range(1, last + 1))
    assert len(seen) > wanted


def test_an_append_is_one_write_and_no_other_call_to_the_system(tmp_path):
    writer = spool.create(tmp_path)
    event = _event("a message of an ordinary length, as user code logs it")
    calls = counting.calls_of(lambda: [writer.append(event) for _ in range(300)])
    system = {name: count for name, count in calls.items() if name.startswith("posix.")}
    assert system == {"posix.write": 300}
