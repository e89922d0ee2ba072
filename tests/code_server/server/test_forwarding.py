"""Events reach the host exactly once and in order, whatever happens to the stream."""

import asyncio
import contextlib

import pytest

from atoll._location import run_directory, spool
from atoll._rpc import errors as rpc_errors
from atoll._server import feeds, forwarding, host_link, output, session
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2
from tests.code_server.server import fake_host


class Producer:
    """A run whose spool is written by the test."""

    def __init__(self, folder, run_id: str, segment_bytes: int = spool.SEGMENT_BYTES) -> None:
        self.run_id = run_id
        self.directory = run_directory.run_directory(folder, run_id)
        self.directory.accept(location_pb2.RunPlan(run_id=run_id, attempt=1), "b")
        self.writer = spool.create(self.directory.events_path, segment_bytes=segment_bytes)
        self.feed = feeds.Feed(self.directory)

    def write(self, count: int = 1, message: str = "m") -> None:
        for _ in range(count):
            event = events_pb2.Event(run_id=self.run_id, message=message)
            event.engine_event.SetInParent()
            self.writer.append(event)


class Mesh:
    """A forwarder with its session, against a fake host."""

    def __init__(self, address: str) -> None:
        self.link = host_link.HostLink(address, "here", "server-1")
        self.superseded = asyncio.Event()
        self.times_superseded = 0
        self.session = session.Session(
            self.link,
            lambda: mesh_pb2.Registration(location_name="here", server_id="server-1"),
            self._note_superseded,
        )
        self.fenced: dict[str, str] = {}
        self.forwarder = forwarding.Forwarder(self.link, self.fenced.__setitem__)

    def _note_superseded(self) -> None:
        self.times_superseded += 1
        self.superseded.set()

    @contextlib.asynccontextmanager
    async def running(self):
        await self.session.start()
        await self.forwarder.start()
        try:
            yield self
        finally:
            await self.forwarder.stop()
            await self.session.stop()
            await self.link.close()

    def forward(self, producer: Producer) -> None:
        self.forwarder.add(producer.feed)


@pytest.fixture
async def host():
    async with fake_host.running() as host:
        yield host


@pytest.fixture
async def mesh(host):
    async with Mesh(host.address).running() as mesh:
        yield mesh


def count_of(run_id: str, count: int):
    return lambda memory: len(memory.events.get(run_id, [])) >= count


async def test_events_arrive_while_they_are_written(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1")
    mesh.forward(producer)
    for count in range(1, 4):
        producer.write()
        mesh.forwarder.poke("r1")
        await host.until(count_of("r1", count))
    assert fake_host.is_exact(host.memory.events["r1"])


async def test_events_arrive_without_a_poke(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1")
    mesh.forward(producer)
    producer.write()
    await host.until(count_of("r1", 1))
    producer.write()
    await host.until(count_of("r1", 2))


async def test_many_events_of_many_runs_arrive_once_and_in_order(host, mesh, tmp_path):
    producers = [Producer(tmp_path, f"r{n}", segment_bytes=2_000) for n in range(5)]
    for producer in producers:
        producer.write(700)
        mesh.forward(producer)
    for producer in producers:
        await host.until(count_of(producer.run_id, 700))
        assert fake_host.is_exact(host.memory.events[producer.run_id])
    assert host.memory.repeats == 0
    # What was acknowledged is deleted, but for the last segment.
    for producer in producers:
        producer.feed.end()
        mesh.forwarder.poke(producer.run_id)
        await asyncio.wait_for(producer.feed.done.wait(), 5)
        assert len(list(producer.directory.events_path.iterdir())) == 1


async def test_a_lost_acknowledgement_repeats_and_nothing_doubles(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1")
    host.break_after_batches = 1
    mesh.forward(producer)
    producer.write(1200)
    mesh.forwarder.poke("r1")
    await host.until(count_of("r1", 1200))
    assert fake_host.is_exact(host.memory.events["r1"])
    assert host.memory.repeats > 0


async def test_a_host_that_restarts_gets_everything(tmp_path):
    memory = fake_host.Memory()
    producer = Producer(tmp_path, "r1")
    async with fake_host.running(memory) as host:
        address = host.address
        mesh = Mesh(address)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(mesh.running())
            mesh.forward(producer)
            producer.write(10)
            await host.until(count_of("r1", 10))
            await host.stop()
            producer.write(10)
            async with fake_host.running(memory, address) as again:
                await again.until(count_of("r1", 20))
                assert len(memory.registrations) >= 2
    assert fake_host.is_exact(memory.events["r1"])


async def test_an_old_epoch_makes_the_session_register_anew(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1")
    mesh.forward(producer)
    await host.registered()
    host.memory.epochs["server-1"] += 5
    producer.write()
    await host.until(count_of("r1", 1))
    assert host.memory.stale_epochs_seen >= 1
    assert len(host.memory.registrations) == 2


async def test_a_fenced_run_is_given_up_and_the_others_go_on(host, mesh, tmp_path):
    bound, fenced = Producer(tmp_path, "r1"), Producer(tmp_path, "r2")
    host.memory.fenced["r2"] = "bound to another server"
    for producer in (bound, fenced):
        producer.write(3)
        mesh.forward(producer)
    await host.until(count_of("r1", 3))
    fenced.write()
    bound.write()
    await host.until(count_of("r1", 4))
    assert mesh.fenced == {"r2": "bound to another server"}
    assert "r2" not in host.memory.events


async def test_no_more_than_the_window_is_in_flight(host, mesh, tmp_path):
    host.acknowledge.clear()
    producer = Producer(tmp_path, "r1")
    total = forwarding.BATCH_EVENTS_MAX * (forwarding.BATCHES_IN_FLIGHT_MAX + 4)
    producer.write(total)
    mesh.forward(producer)
    window = forwarding.BATCH_EVENTS_MAX * forwarding.BATCHES_IN_FLIGHT_MAX

    async def full() -> None:
        while producer.feed.sent_seq < window:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(full(), 10)
    await asyncio.sleep(0.05)  # it must stay so
    assert producer.feed.sent_seq == window
    host.acknowledge.set()
    await host.until(count_of("r1", total))
    assert host.memory.repeats == 0


async def test_what_comes_in_while_small_batches_are_under_way_goes_out_together(
    host, mesh, tmp_path
):
    host.acknowledge.clear()
    producer = Producer(tmp_path, "r1")
    mesh.forward(producer)

    async def write_and_send() -> None:
        producer.write()
        mesh.forwarder.poke("r1")
        while producer.feed.sent_seq < producer.writer.last_seq:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    for _ in range(forwarding.SMALL_BATCHES_IN_FLIGHT_MAX):
        await asyncio.wait_for(write_and_send(), 10)
    for _ in range(20):
        producer.write()
        mesh.forwarder.poke("r1")
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)  # it must stay so
    assert producer.feed.sent_seq == forwarding.SMALL_BATCHES_IN_FLIGHT_MAX
    host.acknowledge.set()
    await host.until(count_of("r1", producer.writer.last_seq))
    assert host.memory.batches == forwarding.SMALL_BATCHES_IN_FLIGHT_MAX + 1


async def test_a_damaged_spool_ends_with_the_event_that_stands_for_the_rest(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1", segment_bytes=100)
    producer.write(20)
    segments = sorted(producer.directory.events_path.iterdir())
    middle = segments[len(segments) // 2]
    middle.write_bytes(b"\x00\x00\x00\x05" + middle.read_bytes()[4:-3])
    mesh.forward(producer)
    await host.until(count_of("r1", 1))
    event = events_pb2.Event(run_id="r1")
    event.run_failed.SetInParent()

    async def damaged() -> None:
        while not producer.feed.damaged:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(damaged(), 5)
    producer.feed.replace_rest(event)
    producer.feed.end()
    mesh.forwarder.poke("r1")
    events = await host.ended("r1")
    assert fake_host.is_exact(events)
    assert len(events) < 20
    await asyncio.wait_for(producer.feed.done.wait(), 5)


def final_event(run_id: str) -> events_pb2.Event:
    event = events_pb2.Event(run_id=run_id)
    event.run_failed.SetInParent()
    return event


async def test_what_was_readable_of_a_damaged_spool_is_sent_again_after_a_break(
    host, mesh, tmp_path
):
    producer = Producer(tmp_path, "r1", segment_bytes=100)
    producer.write(20)
    segments = sorted(producer.directory.events_path.iterdir())
    middle = segments[len(segments) // 2]
    middle.write_bytes(b"\x00\x00\x00\x05" + middle.read_bytes()[4:-3])
    while not producer.feed.damaged:
        producer.feed.take(events_max=500, bytes_max=1_000_000)
    producer.feed.replace_rest(final_event("r1"))
    producer.feed.end()
    # The host has stored nothing of what was taken.
    mesh.forward(producer)
    events = await host.ended("r1", 10)
    assert fake_host.is_exact(events)
    assert len(events) > 2


async def test_a_spool_that_ends_too_early_ends_with_the_event_that_stands_for_the_rest(
    host, mesh, tmp_path
):
    producer = Producer(tmp_path, "r1", segment_bytes=100)
    producer.write(20)
    segments = sorted(producer.directory.events_path.iterdir())
    segments[len(segments) // 2].unlink()
    # The host was away: nothing was sent before the damage was found.
    producer.feed.replace_rest(final_event("r1"))
    producer.feed.end()
    mesh.forward(producer)
    events = await host.ended("r1", 10)
    assert fake_host.is_exact(events)
    assert len(events) > 2
    await asyncio.wait_for(producer.feed.done.wait(), 5)


async def test_a_spool_that_cannot_be_read_for_a_while_loses_nothing(host, mesh, tmp_path):
    producer = Producer(tmp_path, "r1")
    producer.write(3)
    (segment,) = producer.directory.events_path.iterdir()
    aside = segment.rename(tmp_path / "aside")
    segment.mkdir()  # opening it fails, as it does for want of descriptors
    producer.feed.end()
    assert producer.feed.take(events_max=10, bytes_max=1000) == []
    assert not producer.feed.done.is_set()
    segment.rmdir()
    aside.rename(segment)
    mesh.forward(producer)
    await host.until(count_of("r1", 3))
    await asyncio.wait_for(producer.feed.done.wait(), 5)


class TestOutput:
    async def test_a_file_that_cannot_be_read_holds_up_neither_others_nor_its_run(
        self, host, mesh, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(output, "_EVERY_S", 0.01)
        monkeypatch.setattr(output, "_DISK_FAILURES_MAX", 3)
        unreadable, readable = Producer(tmp_path, "r1"), Producer(tmp_path, "r2")
        unreadable.directory.output_file("step", "out").mkdir()
        readable.directory.output_file("step", "out").write_bytes(b"said")
        forwarder = output.OutputForwarder(mesh.link)
        outputs = [
            output.RunOutput(producer.directory, adopted=False)
            for producer in (unreadable, readable)
        ]
        for one in outputs:
            forwarder.add(one)
        await forwarder.start()
        try:
            key = ("r2", "step", mesh_pb2.OUTPUT_STREAM_STDOUT)
            await host.until(lambda memory: memory.output.get(key) == b"said", 5)
            await asyncio.wait_for(forwarder.finish(outputs[0]), 5)
        finally:
            await forwarder.stop()


class TestSession:
    async def test_pings_keep_the_lease(self, tmp_path):
        async with (
            fake_host.running(lease_ttl_s=0.15) as host,
            Mesh(host.address).running(),
        ):
            await host.until(lambda memory: memory.pings >= 4)
            assert len(host.memory.registrations) == 1

    async def test_changes_are_told(self, host, mesh):
        await host.registered()
        mesh.session.state_changed()
        await host.until(lambda memory: len(memory.updates) == 1)

    async def test_a_lost_session_is_opened_again_with_a_higher_epoch(self, host, mesh):
        await host.registered()
        host.drop_sessions()
        await host.registered(2)
        await asyncio.wait_for(mesh.link.registered(), 5)
        assert mesh.link.epoch == 2

    async def test_a_refusal_is_retried(self, host):
        host.refuse_registration = rpc_errors.UnavailableError("not yet")
        async with Mesh(host.address).running() as mesh:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(mesh.link.registered(), 0.2)
            host.refuse_registration = None
            await host.registered()

    async def test_superseded_drains_and_keeps_its_lease_for_the_runs_that_go_on(self):
        async with (
            fake_host.running(lease_ttl_s=0.15) as host,
            Mesh(host.address).running() as mesh,
        ):
            await host.registered()
            host.supersede("here", "server-2")
            await asyncio.wait_for(mesh.superseded.wait(), 5)
            pings = host.memory.pings
            # Who does not renew the lease is away, and its runs are given up in the end.
            await host.until(lambda memory: memory.pings >= pings + 3)
            assert len(host.memory.registrations) == 1

    async def test_superseded_registers_again_after_a_loss_and_drains_once(self, host, mesh):
        await host.registered()
        for registrations in (1, 2):
            host.supersede("here", "server-2")
            await asyncio.wait_for(mesh.superseded.wait(), 5)
            host.drop_sessions()
            await host.registered(registrations + 1)
        assert await asyncio.wait_for(mesh.link.registered(), 5) == mesh.link.epoch
        assert mesh.times_superseded == 1
