"""Events reach the host exactly once and in order, whatever happens to the stream."""

import asyncio
import contextlib

import pytest

from atoll._location import run_directory, spool
from atoll._rpc import errors as rpc_errors
from atoll._server import feeds, forwarding, host_link, session
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
        self.session = session.Session(
            self.link,
            lambda: mesh_pb2.Registration(location_name="here", server_id="server-1"),
            self.superseded.set,
        )
        self.fenced: dict[str, str] = {}
        self.forwarder = forwarding.Forwarder(self.link, self.fenced.__setitem__)

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

    async def test_superseded_means_no_further_registration(self, host, mesh):
        await host.registered()
        host.supersede("here", "server-2")
        await asyncio.wait_for(mesh.superseded.wait(), 5)
        host.drop_sessions()
        mesh.link.report_stale(mesh.link.epoch)
        await asyncio.sleep(0.2)  # it must stay so
        assert len(host.memory.registrations) == 1
        # What is left of its runs may still be told.
        assert await asyncio.wait_for(mesh.link.registered(), 5) == 1
