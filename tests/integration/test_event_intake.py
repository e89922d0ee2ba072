"""Events of code servers are stored exactly once, in order, and from nobody else."""

import asyncio

import grpc.aio
import pytest

from atoll.api.v1 import events_pb2 as api_events_pb2
from atoll.api.v1 import runs_pb2
from atoll.mesh.v1 import mesh_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres


@pytest.fixture
async def location(mesh, host):
    defined = code_location.snapshot(
        [code_location.asset("x")], [code_location.job("job", "x"), code_location.job("other", "x")]
    )
    return await mesh.location(host, "a", defined)


async def launched(client, location) -> str:
    """Launch a run and return its id once the location has it."""
    request = runs_pb2.LaunchRunRequest(location_name=location.name, job_name="job")
    await client.runs.LaunchRun(request)
    return (await location.next_plan()).run_id


async def stored(client, run_id: str) -> list[int]:
    """Return the seq of every stored event of a run that its worker wrote."""
    found, token = [], ""
    while True:
        request = api_events_pb2.ListEventsRequest(
            filter=api_events_pb2.EventFilter(run_id=run_id), page_size=1000, page_token=token
        )
        page = await client.events.ListEvents(request)
        found += [each.event.seq for each in page.events if each.event.seq]
        token = page.next_page_token
        if not token:
            return found


async def test_a_run_goes_from_the_queue_to_success(client, location):
    watch = await client.watch().begun()
    run_id = await launched(client, location)
    (acknowledged,) = await location.append(code_location.succeeding(run_id, "x"))
    assert acknowledged[run_id].acknowledged_seq == 3
    await watch.until("run_succeeded", run_id)
    run = (await client.runs.GetRun(runs_pb2.GetRunRequest(run_id=run_id))).run
    assert run.status == runs_pb2.RUN_STATUS_SUCCESS
    assert run.build_id == "b1"


async def test_repeats_after_a_lost_connection_are_stored_once(client, location):
    run_id = await launched(client, location)
    events = code_location.logs(run_id, 1000)
    for start in (0, 0, 200, 100, 700, 500):
        await location.append(events[start : start + 300])
        location.drop_events()
    await location.append(events)
    assert await stored(client, run_id) == list(range(1, 1001))


async def test_events_survive_a_restart_of_the_host(mesh, host, client, location):
    run_id = await launched(client, location)
    events = code_location.logs(run_id, 500)
    await location.append(events[:200])
    await host.stop()
    second = await mesh.host()
    location.connect(second.address)
    await location.join()
    (acknowledged,) = await location.append(events)
    assert acknowledged[run_id].acknowledged_seq == 500
    assert await stored(mesh.client(second), run_id) == list(range(1, 501))


async def test_a_gap_is_not_acknowledged(client, location):
    run_id = await launched(client, location)
    events = code_location.logs(run_id, 10)
    (acknowledged,) = await location.append(events[:3] + events[5:])
    assert acknowledged[run_id].acknowledged_seq == 3
    assert await stored(client, run_id) == [1, 2, 3]


async def test_many_batches_in_flight_are_acknowledged_in_order(client, location):
    run_id = await launched(client, location)
    events = code_location.logs(run_id, 640)
    batches = [events[start : start + 10] for start in range(0, 640, 10)]
    answers = await location.append(*batches)
    reached = [answer[run_id].acknowledged_seq for answer in answers]
    assert reached == sorted(reached)
    assert reached[-1] == 640


async def test_the_session_before_cannot_append(client, location):
    run_id = await launched(client, location)
    before = location.epoch
    await location.join()
    error = await client.refused(location.append(code_location.logs(run_id, 1), epoch=before))
    assert error.code == grpc.StatusCode.ABORTED
    assert error.reason == "STALE_EPOCH"
    assert await stored(client, run_id) == []


async def test_a_server_that_never_registered_cannot_append(mesh, host, client, location):
    run_id = await launched(client, location)
    events = code_location.logs(run_id, 1)
    error = await client.refused(location.append(events, server_id="forged"))
    assert error.reason == "STALE_EPOCH"


async def test_another_location_cannot_write_into_a_run(mesh, host, client, location):
    run_id = await launched(client, location)
    other = await mesh.location(host, "b")
    (acknowledged,) = await other.append(code_location.succeeding(run_id))
    assert "bound to code server" in acknowledged[run_id].fenced_reason
    assert acknowledged[run_id].acknowledged_seq == 0
    assert await stored(client, run_id) == []


async def test_a_superseded_server_still_appends_the_runs_it_holds(mesh, host, client, location):
    run_id = await launched(client, location)
    await mesh.location(host, "a")
    await location.heard("superseded")
    (acknowledged,) = await location.append(code_location.succeeding(run_id, "x"))
    assert acknowledged[run_id].acknowledged_seq == 3


async def test_an_unknown_run_is_fenced(client, location):
    (acknowledged,) = await location.append(code_location.logs("nonsense", 1))
    assert acknowledged["nonsense"].fenced_reason


async def test_one_fenced_run_does_not_hold_up_others(client, location):
    run_id = await launched(client, location)
    mixed = [*code_location.logs("nonsense", 2), *code_location.logs(run_id, 2)]
    (acknowledged,) = await location.append(mixed)
    assert acknowledged["nonsense"].fenced_reason
    assert acknowledged[run_id].acknowledged_seq == 2


async def test_an_event_without_a_run_is_refused(client, location):
    error = await client.refused(location.append(code_location.logs("", 1)))
    assert error.reason == "INVALID_REQUEST"
    assert "without a run id" in error.message


async def test_a_flooding_location_does_not_delay_another(mesh, host, client, location):
    other = await mesh.location(
        host, "b", code_location.snapshot([code_location.asset("y")], [code_location.job("job")])
    )
    flooded, quiet = await launched(client, location), await launched(client, other)
    events = code_location.logs(flooded, 30_000)
    batches = [events[start : start + 500] for start in range(0, len(events), 500)]
    flood = asyncio.create_task(location.append(*batches))
    for seq in range(1, 6):
        await other.append(code_location.logs(quiet, 1, first_seq=seq))
    assert not flood.done()  # not even five round trips of the quiet one waited for the flood
    await flood
    assert await stored(client, flooded) == list(range(1, 30_001))


async def test_output_is_stored_at_its_offset_and_read_back(client, location):
    run_id = await launched(client, location)

    async def append(offset: int, data: bytes) -> int:
        response = await location.mesh.AppendOutput(
            mesh_pb2.AppendOutputRequest(
                location_name="a",
                server_id=location.server_id,
                epoch=location.epoch,
                run_id=run_id,
                step_key="x",
                stream=mesh_pb2.OUTPUT_STREAM_STDOUT,
                offset=offset,
                data=data,
            )
        )
        return response.next_offset

    assert await append(0, b"hello ") == 6
    assert await append(0, b"hello ") == 6
    assert await append(6, b"world") == 11
    assert await append(20, b"too far") == 11
    request = runs_pb2.GetRunOutputRequest(run_id=run_id)
    pieces = [piece async for piece in client.runs.GetRunOutput(request)]
    assert b"".join(piece.data for piece in pieces) == b"hello world"


async def test_output_of_a_run_of_another_location_is_refused(mesh, host, client, location):
    run_id = await launched(client, location)
    other = await mesh.location(host, "b")
    request = mesh_pb2.AppendOutputRequest(
        location_name="b",
        server_id=other.server_id,
        epoch=other.epoch,
        run_id=run_id,
        stream=mesh_pb2.OUTPUT_STREAM_STDOUT,
        data=b"forged",
    )
    error = await client.refused(other.mesh.AppendOutput(request))
    assert run_id in error.message


async def test_user_code_reads_the_instance(client, location):
    run_id = await launched(client, location)
    await location.append(code_location.succeeding(run_id, "x"))
    latest = await location.instance.GetLatestMaterializations(
        mesh_pb2.GetLatestMaterializationsRequest(
            asset_keys=[code_location.key("x"), code_location.key("never")]
        )
    )
    (event,) = latest.events
    assert event.event.run_id == run_id
    listed = await location.instance.ListAssetEvents(
        mesh_pb2.ListAssetEventsRequest(
            asset_key=code_location.key("x"), kind=mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION
        )
    )
    assert [each.id for each in listed.events] == [event.id]
    run = (await location.instance.GetRun(mesh_pb2.GetRunRequest(run_id=run_id))).run
    assert (run.job_name, run.status) == ("job", "SUCCESS")
    unknown = await location.instance.GetRun(mesh_pb2.GetRunRequest(run_id="nonsense"))
    assert not unknown.HasField("run")
