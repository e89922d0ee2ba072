# ruff: noqa: SIM117 - what is connected to what reads best nested
import socket

import pytest

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import locations_pb2, runs_pb2
from atoll.client import calls, connection, errors, runs
from atoll.events.v1 import events_pb2
from atoll.rpc.v1 import server_info_pb2
from tests.code_server.cli_client import scripted_host


@pytest.fixture
def host() -> scripted_host.ScriptedHost:
    return scripted_host.ScriptedHost()


def stored(event_id: int, run_id: str = "r") -> events_pb2.StoredEvent:
    event = events_pb2.Event(run_id=run_id, log_message=events_pb2.LogMessage())
    return events_pb2.StoredEvent(id=event_id, event=event)


async def test_a_list_goes_over_all_pages(host):
    host.locations = [locations_pb2.Location(name=f"l{number}") for number in range(5)]
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        names = [location.name async for location in client.locations.list()]
    assert names == ["l0", "l1", "l2", "l3", "l4"]
    assert len(host.page_sizes) == 3


async def test_a_limited_list_asks_for_no_more_than_it_needs(host):
    host.locations = [locations_pb2.Location(name=f"l{number}") for number in range(5)]
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        names = [location.name async for location in client.locations.list(limit=3)]
    assert names == ["l0", "l1", "l2"]
    assert host.page_sizes == [3, 1]


async def test_a_launch_whose_answer_is_lost_is_repeated_and_stays_one_run(host):
    host.launch_answers_lost = 2
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        run = await client.runs.launch(runs.Launch("daily", "sales"))
    assert len(host.launches) == 3
    assert len({launch.request_id for launch in host.launches}) == 1
    assert list(host.runs) == [run.run_id]


async def test_two_launches_are_two_runs(host):
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        first = await client.runs.launch(runs.Launch("daily", "sales"))
        second = await client.runs.launch(runs.Launch("daily", "sales"))
    assert first.run_id != second.run_id


async def test_a_host_that_stays_away_ends_the_retries(host):
    host.launch_answers_lost = 1000
    async with scripted_host.serving_host(host) as address:
        async with connection.connect(address, deadline_s=0.5) as client:
            with pytest.raises(errors.UnavailableError) as caught:
                await client.runs.launch(runs.Launch("daily", "sales"))
    assert caught.value.reason == errors.reasons.STORAGE_UNAVAILABLE


async def test_a_refusal_keeps_its_reason_and_its_values(host):
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        with pytest.raises(errors.NotFoundError) as caught:
            await client.runs.get("nope")
    assert caught.value.reason == errors.reasons.UNKNOWN_RUN
    assert caught.value.metadata == {"run_id": "nope"}


async def test_a_watch_resumes_where_its_connection_broke(host):
    host.events = [stored(number) for number in range(1, 8)]
    host.watch_breaks_after = 3
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        seen = []
        async with client.events.watch(from_beginning=True) as watch:
            async for event in watch:
                seen.append(event.id)
                if event.id == 7:
                    break
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert [request.resume_token for request in host.watches] == ["", "3", "6"]
    assert [request.from_beginning for request in host.watches] == [True, False, False]


async def test_a_watch_says_when_its_beginning_is_fixed(host):
    host.events = [stored(1)]
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        async with client.events.watch(api_pb2.EventFilter(), from_beginning=True) as watch:
            await watch.opened()
            assert watch.resume_token == "1"
            assert (await anext(watch)).id == 1


async def test_a_watch_whose_token_is_too_old_is_told_so(host):
    host.watch_error = errors.FailedPreconditionError(
        "List again.", reason=errors.reasons.RESUME_TOKEN_TOO_OLD
    )
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        async with client.events.watch(resume_token="1") as watch:
            with pytest.raises(errors.FailedPreconditionError) as caught:
                await anext(watch)
    assert caught.value.reason == errors.reasons.RESUME_TOKEN_TOO_OLD


async def test_a_watch_gives_up_when_its_patience_ends(host):
    host.watch_breaks_after = 0
    host.events = [stored(1)]
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        async with client.events.watch(from_beginning=True, patience_s=0.2) as watch:
            with pytest.raises(errors.UnavailableError):
                await anext(watch)


@pytest.mark.slow
async def test_waiting_outlives_a_host_that_is_started_anew(host):
    host.runs["r1"] = runs_pb2.Run(run_id="r1", status=runs_pb2.RUN_STATUS_SUCCESS)
    # More often than one call is repeated.
    host.looks_lost = calls.ATTEMPTS_MAX + 1
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        run = await client.runs.wait("r1")
    assert run.status == runs_pb2.RUN_STATUS_SUCCESS
    assert host.looks_lost == 0


async def test_waiting_ends_with_the_run(host):
    host.runs["r"] = runs_pb2.Run(run_id="r", status=runs_pb2.RUN_STATUS_STARTED)
    succeeded = events_pb2.Event(run_id="r", run_succeeded=events_pb2.RunSucceeded())

    # ruff: noqa: N802
    class EndsWhenWatched(scripted_host.ScriptedHost):
        async def WatchEvents(self, request, context):
            self.runs["r"].status = runs_pb2.RUN_STATUS_SUCCESS
            event = events_pb2.StoredEvent(id=1, event=succeeded)
            yield api_pb2.WatchEventsResponse(events=[event], resume_token="1")

    ending = EndsWhenWatched()
    ending.runs = host.runs
    async with scripted_host.serving_host(ending) as address, connection.connect(address) as client:
        run = await client.runs.wait("r", timeout_s=5)
    assert run.status == runs_pb2.RUN_STATUS_SUCCESS


async def test_waiting_has_a_bound(host):
    host.runs["r"] = runs_pb2.Run(run_id="r", status=runs_pb2.RUN_STATUS_STARTED)
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        with pytest.raises(errors.WaitTimeoutError, match="r did not end within"):
            await client.runs.wait("r", timeout_s=0.1)


async def test_nothing_listening_is_told_with_the_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(errors.ConnectError, match=f"No host answers at {address}"):
        async with connection.connect(address):
            pass


async def test_a_code_server_is_not_taken_for_a_host(host):
    kind = server_info_pb2.SERVER_KIND_CODE_SERVER
    async with scripted_host.serving_host(host, kind=kind) as address:
        with pytest.raises(errors.ConnectError, match="is a code server, not a host"):
            async with connection.connect(address):
                pass
