"""A program that does not await launches, lists, watches and waits as one that does."""

import asyncio
import threading

import pytest

from atoll.api.v1 import events_pb2
from atoll.client import errors, runs
from atoll.client.sync import connection
from tests.integration import code_location

pytestmark = pytest.mark.postgres


@pytest.fixture
async def lake(mesh):
    host = await mesh.host()
    snapshot = code_location.snapshot([code_location.asset("x")], [code_location.job("job", "x")])
    return host, await mesh.location(host, "lake", snapshot)


async def test_it_launches_lists_and_waits(lake):
    host, location = lake

    def program() -> tuple[str, list[str], str]:
        with connection.connect(host.address) as client:
            run = client.runs.launch(runs.Launch("job", location_name="lake"))
            names = [one.definition.name for one in client.sensors.list()]
            assert names == []
            listed = [one.run_id for one in client.runs.list(location_name="lake")]
            return run.run_id, listed, client.runs.cancel(run.run_id).run_id

    run_id, listed, canceled = await asyncio.to_thread(program)
    assert listed == [run_id]
    assert canceled == run_id
    del location


async def test_it_watches_and_leaves_the_watch_when_it_has_seen_enough(lake):
    host, _ = lake
    opened = threading.Event()

    def program() -> list[str]:
        query = events_pb2.EventFilter(kinds=["run_enqueued"])
        with connection.connect(host.address) as client, client.events.watch(query) as watch:
            watch.opened()
            opened.set()
            return [event.event.run_id for event, _ in zip(watch, range(2), strict=False)]

    def launch() -> list[str]:
        assert opened.wait(20)
        with connection.connect(host.address) as client:
            return [client.runs.launch(runs.Launch("job", "lake")).run_id for _ in range(3)]

    seen, launched = await asyncio.gather(asyncio.to_thread(program), asyncio.to_thread(launch))
    assert seen == launched[:2]


async def test_errors_are_those_of_the_asynchronous_client(lake):
    host, _ = lake

    def program() -> None:
        with connection.connect(host.address) as client:
            with pytest.raises(errors.NotFoundError, match="nothing-like-that"):
                client.runs.launch(runs.Launch("nothing-like-that", location_name="lake"))
            with pytest.raises(errors.WaitTimeoutError):
                client.runs.wait(
                    client.runs.launch(runs.Launch("job", location_name="lake")).run_id,
                    timeout_s=0.01,
                )

    await asyncio.to_thread(program)


def test_nobody_there_is_a_connect_error_and_leaves_no_thread():
    before = set(threading.enumerate())
    with pytest.raises(errors.ConnectError), connection.connect("127.0.0.1:1", timeout_s=1):
        pass
    assert set(threading.enumerate()) == before
