"""Runs are found by what they are, followed to their end, run again, canceled and deleted."""

import asyncio

import grpc.aio
import pytest
from google.protobuf import timestamp_pb2

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import mesh_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres

TIMEOUT_S = 10.0
STATUS = runs_pb2.RunStatus
FROM_FAILURE = runs_pb2.REEXECUTION_STRATEGY_FROM_FAILURE
SELECTED = runs_pb2.REEXECUTION_STRATEGY_SELECTED_STEPS


@pytest.fixture
async def location(mesh, host):
    defined = code_location.snapshot(
        [code_location.asset("x"), code_location.asset("y")],
        [code_location.job("job", "x", "y"), code_location.job("other", "y")],
    )
    return await mesh.location(host, "a", defined)


async def launch(client, job_name="job", **fields) -> runs_pb2.Run:
    request = runs_pb2.LaunchRunRequest(location_name="a", job_name=job_name, **fields)
    return (await client.runs.LaunchRun(request)).run


async def ended(client, location, kind: str = "run_failed", **fields) -> runs_pb2.Run:
    """Return a run that the location ran."""
    run = await launch(client, **fields)
    plan = await location.next_plan()
    while plan.run_id != run.run_id:
        plan = await location.next_plan()
    started = {"run_started": events_pb2.RunStarted(build_id="b1", pid=1)}
    await location.append(code_location.numbered(run.run_id, [started, {kind: _body(kind)}]))
    location.held.pop(run.run_id, None)
    return (await client.runs.GetRun(runs_pb2.GetRunRequest(run_id=run.run_id))).run


def _body(kind: str):
    return {
        "run_failed": events_pb2.RunFailed(failure=values_pb2.Failure(type="E", message="no")),
        "run_succeeded": events_pb2.RunSucceeded(),
    }[kind]


async def found(client, **conditions) -> list[str]:
    request = runs_pb2.ListRunsRequest(filter=runs_pb2.RunFilter(**conditions))
    return [run.run_id for run in (await client.runs.ListRuns(request)).runs]


def tag(key: str, *values: str) -> runs_pb2.RunTagFilter:
    return runs_pb2.RunTagFilter(key=key, values=values)


async def test_conditions_choose_runs(client, location):
    first = await launch(client, tags={"team": "a", "k": "1"})
    second = await launch(client, "other", tags={"team": "b"})
    assert await found(client) == [second.run_id, first.run_id]
    assert await found(client, job_name="other") == [second.run_id]
    assert await found(client, location_name="b") == []
    assert await found(client, tags=[tag("team", "a", "b")]) == [second.run_id, first.run_id]
    assert await found(client, tags=[tag("team", "a"), tag("k", "1")]) == [first.run_id]
    assert await found(client, tags=[tag("team", "a"), tag("team", "b")]) == []
    assert await found(client, created_from=second.create_time) == [second.run_id]
    assert await found(client, created_before=second.create_time) == [first.run_id]
    assert await found(client, statuses=[STATUS.RUN_STATUS_CANCELED]) == []
    assert await found(client, sensor_name="s") == []


async def test_an_asset_finds_the_runs_that_the_log_tells_it_of(client, location):
    run = await launch(client)
    await location.next_plan()
    await launch(client)
    await location.append(code_location.succeeding(run.run_id, "x"))
    assert await found(client, asset_key=code_location.key("x")) == [run.run_id]
    assert await found(client, asset_key=code_location.key("y")) == []


async def test_what_is_wrong_with_a_filter_is_said(client, location):
    async def refusal(**fields):
        request = runs_pb2.ListRunsRequest(**fields)
        return await client.refused(client.runs.ListRuns(request))

    for fields, name in (
        ({"filter": runs_pb2.RunFilter(tags=[tag("k")])}, "filter.tags"),
        ({"filter": runs_pb2.RunFilter(tags=[tag("k")] * 21)}, "filter.tags"),
        ({"filter": runs_pb2.RunFilter(statuses=[99])}, "filter.statuses"),
        ({"filter": runs_pb2.RunFilter(job_name="\x00")}, "filter.job_name"),
        ({"filter": runs_pb2.RunFilter(job_name="j"), "job_name": "k"}, "job_name"),
        (
            {"filter": runs_pb2.RunFilter(created_from=timestamp_pb2.Timestamp(seconds=10**15))},
            "filter.created_from",
        ),
    ):
        error = await refusal(**fields)
        assert (error.reason, error.metadata["field"]) == ("INVALID_REQUEST", name)


async def test_runs_are_counted_by_location_and_status(client, location):
    await ended(client, location)
    await launch(client)
    await launch(client, "other")
    request = runs_pb2.CountRunsRequest(filter=runs_pb2.RunFilter(job_name="job"))
    counts = (await client.runs.CountRuns(request)).counts
    assert sum(each.count for each in counts) == 2
    assert {each.location_name for each in counts} == {"a"}
    assert [each.count for each in counts if each.status == STATUS.RUN_STATUS_FAILURE] == [1]


async def test_a_watch_of_a_run_shows_its_states_and_ends_with_it(client, location):
    run = await launch(client)
    call = client.runs.WatchRun(runs_pb2.WatchRunRequest(run_id=run.run_id))
    first = await asyncio.wait_for(call.read(), TIMEOUT_S)
    assert first.run.run_id == run.run_id
    # Events of a run are taken from whom it is bound to, and nobody has it before its plan.
    await location.next_plan()
    await location.append(code_location.succeeding(run.run_id))
    seen = [first]
    async with asyncio.timeout(TIMEOUT_S):
        while (answer := await call.read()) is not grpc.aio.EOF:
            seen.append(answer)
    assert seen[-1].run.status == STATUS.RUN_STATUS_SUCCESS
    statuses = [answer.run.status for answer in seen if answer.HasField("run")]
    assert statuses == sorted(set(statuses))
    # Who has seen the end is told nothing more.
    token = seen[-1].resume_token
    request = runs_pb2.WatchRunRequest(run_id=run.run_id, resume_token=token)
    assert await asyncio.wait_for(client.runs.WatchRun(request).read(), TIMEOUT_S) is grpc.aio.EOF
    error = await client.refused(
        client.runs.WatchRun(runs_pb2.WatchRunRequest(run_id="none")).read()
    )
    assert error.reason == "UNKNOWN_RUN"


async def test_output_is_sent_as_it_arrives(client, location):
    run = await launch(client)
    await location.next_plan()
    call = client.runs.WatchRunOutput(runs_pb2.WatchRunOutputRequest(run_id=run.run_id))

    async def write(step_key: str, offset: int, data: bytes) -> None:
        request = mesh_pb2.AppendOutputRequest(
            location_name="a",
            server_id=location.server_id,
            epoch=location.epoch,
            run_id=run.run_id,
            step_key=step_key,
            stream=mesh_pb2.OUTPUT_STREAM_STDOUT,
            offset=offset,
            data=data,
        )
        await location.mesh.AppendOutput(request)

    async def read():
        async with asyncio.timeout(TIMEOUT_S):
            while (answer := await call.read()) is not grpc.aio.EOF:
                if answer.pieces:
                    return answer
        return None

    await write("b", 0, b"one")
    first = await read()
    await write("a", 0, b"two")
    second = await read()
    await write("b", 3, b"three")
    third = await read()
    assert [p.data for answer in (first, second, third) for p in answer.pieces] == [
        b"one",
        b"two",
        b"three",
    ]
    resumed = client.runs.WatchRunOutput(
        runs_pb2.WatchRunOutputRequest(run_id=run.run_id, resume_token=first.resume_token)
    )
    pieces = []
    async with asyncio.timeout(TIMEOUT_S):
        while len(pieces) < 2:
            pieces += (await resumed.read()).pieces
    assert [piece.data for piece in pieces] == [b"two", b"three"]
    await location.append(code_location.succeeding(run.run_id))
    assert await read() is None


async def reexecute(client, run: runs_pb2.Run, **fields) -> runs_pb2.Run:
    request = runs_pb2.ReexecuteRunRequest(run_id=run.run_id, **fields)
    return (await client.runs.ReexecuteRun(request)).run


async def test_a_run_is_run_again_as_it_was(client, location):
    run = await ended(
        client,
        location,
        tags={"team": "a", "atoll/priority": "3"},
        asset_selection=[code_location.key("x")],
    )
    again = await reexecute(client, run, tags={"why": "late"}, request_id="r1")
    assert list(again.asset_selection) == list(run.asset_selection)
    assert (again.parent_run_id, again.root_run_id) == (run.run_id, run.run_id)
    assert {**run.tags, "why": "late"}.items() <= dict(again.tags).items()
    assert (await reexecute(client, run, tags={"why": "late"}, request_id="r1")).run_id == (
        again.run_id
    )
    assert await found(client, parent_run_id=run.run_id) == [again.run_id]
    error = await client.refused(reexecute(client, run, request_id="r1"))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_what_failed_runs_again_alone(client, location):
    run = await ended(client, location)
    again = await reexecute(client, run, strategy=FROM_FAILURE)
    assert again.tags["atoll/is_resume_retry"] == "true"
    succeeded = await ended(client, location, "run_succeeded")
    error = await client.refused(reexecute(client, succeeded, strategy=FROM_FAILURE))
    assert error.metadata["field"] == "parent_run_id"


async def test_what_cannot_be_run_again_is_refused(client, location):
    waiting = await launch(client)
    error = await client.refused(reexecute(client, waiting))
    assert error.reason == "RUN_NOT_ENDED"
    run = await ended(client, location)
    for fields in ({"strategy": SELECTED}, {"step_keys": ["x"]}, {"strategy": 77}):
        error = await client.refused(reexecute(client, run, **fields))
        assert error.reason == "INVALID_REQUEST"
    unknown = runs_pb2.ReexecuteRunRequest(run_id="none")
    assert (await client.refused(client.runs.ReexecuteRun(unknown))).reason == "UNKNOWN_RUN"


async def test_the_runs_of_a_filter_are_canceled_page_by_page(client, location):
    runs = [await launch(client, tags={"batch": "1"}) for _ in range(5)]
    other = await launch(client)
    token, canceled = "", []
    while True:
        request = runs_pb2.CancelRunsRequest(
            filter=runs_pb2.RunFilter(tags=[tag("batch", "1")]), page_size=2, page_token=token
        )
        answer = await client.runs.CancelRuns(request)
        canceled += [run.run_id for run in answer.runs]
        token = answer.next_page_token
        if not token:
            break
    assert sorted(canceled) == sorted(run.run_id for run in runs)
    found_now = (await client.runs.ListRuns(runs_pb2.ListRunsRequest())).runs
    still = {STATUS.RUN_STATUS_QUEUED, STATUS.RUN_STATUS_STARTING, STATUS.RUN_STATUS_STARTED}
    assert [run.run_id for run in found_now if run.status in still] == [other.run_id]
    error = await client.refused(client.runs.CancelRuns(runs_pb2.CancelRunsRequest()))
    assert error.metadata["field"] == "filter"


async def test_a_run_is_deleted_once_nothing_needs_it(client, location):
    run = await ended(client, location, "run_succeeded")
    request = runs_pb2.DeleteRunRequest(run_id=run.run_id)
    again = await reexecute(client, run)
    error = await client.refused(client.runs.DeleteRun(request))
    assert error.reason == "RUN_NEEDED"
    error = await client.refused(
        client.runs.DeleteRun(runs_pb2.DeleteRunRequest(run_id=again.run_id))
    )
    assert error.reason == "RUN_NOT_ENDED"
    await location.next_plan()
    await location.append(code_location.succeeding(again.run_id))
    await client.runs.DeleteRun(request)
    assert (await client.refused(client.runs.DeleteRun(request))).reason == "UNKNOWN_RUN"
