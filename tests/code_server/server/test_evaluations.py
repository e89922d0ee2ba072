"""Ticks: evaluated in processes that are killed at their deadline, while everything else goes
on."""

import asyncio
import os

import grpc.aio
import pytest

from atoll._rpc import errors, reasons
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
async def location(tmp_path):
    async with locations.serving_location(tmp_path) as location:
        yield location


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until_dead(pid: int) -> None:
    while lives(pid):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_sensor_decides_in_another_process_that_stays(location):
    first = await location.evaluate("quick")
    second = await location.evaluate("quick")
    assert first.build_id == "b1"
    assert not first.HasField("failure")
    [request] = first.run_requests
    assert int(request.run_key) not in {os.getpid(), location.server.builds.current.process.pid}
    # The same evaluator: it is warm.
    assert second.run_requests[0].run_key == request.run_key


async def test_what_user_code_raises_is_an_answer(location):
    response = await location.evaluate("raising")
    assert "ValueError" in str(response.failure)
    assert "a bad day" in str(response.failure)


async def test_a_sensor_that_never_returns_is_killed_and_nobody_waits(location):
    hanging = asyncio.create_task(location.evaluate("hanging", timeout_s=1.5))
    pid = int(await location.file("hanging_began"))
    # Meanwhile everything answers.
    assert (await location.describe()).current_build.build_id == "b1"
    assert not (await location.evaluate("quick")).HasField("failure")
    assert not hanging.done()
    response = await hanging
    assert response.failure.type == "EvaluationTimeout"
    assert "1.5 s" in response.failure.message
    await asyncio.wait_for(until_dead(pid), 5)
    assert not (await location.evaluate("quick")).HasField("failure")


async def test_a_sensor_that_ends_its_process_is_an_answer_too(location):
    response = await location.evaluate("dying")
    assert response.failure.type == "EvaluatorDied"
    assert "exit code 9" in response.failure.message
    assert not (await location.evaluate("quick")).HasField("failure")


async def test_an_unknown_sensor_is_refused(location):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.evaluate("nothing")
    error = errors.from_call(caught.value)
    assert type(error) is errors.NotFoundError
    assert error.reason == reasons.UNKNOWN_SENSOR
    assert error.metadata["sensor_name"] == "nothing"


async def test_a_schedule_decides_in_the_same_processes(location):
    response = await location.evaluate_schedule("quick_schedule", "2026-01-02T06:00:00Z")
    assert response.build_id == "b1"
    [request] = response.run_requests
    assert request.run_key == "2026-01-02T06:00:00+00:00"


async def test_a_schedule_that_never_returns_is_killed(location):
    response = await location.evaluate_schedule(
        "slow_schedule", "2026-01-02T06:00:00Z", timeout_s=0.5
    )
    assert response.failure.type == "EvaluationTimeout"
    assert "The schedule 'slow_schedule' took longer than 0.5 s" in response.failure.message
    assert response.build_id == "b1"


async def test_an_unknown_schedule_is_refused(location):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.evaluate_schedule("quick", "2026-01-02T06:00:00Z")
    assert errors.from_call(caught.value).reason == reasons.UNKNOWN_SCHEDULE


async def test_a_timeout_must_be_positive(location):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.evaluate("quick", timeout_s=-1)
    assert errors.from_call(caught.value).reason == reasons.INVALID_REQUEST


async def test_evaluations_wait_in_a_bounded_line(tmp_path):
    async with locations.serving_location(
        tmp_path, evaluators_max=1, evaluations_waiting_max=1
    ) as location:
        hanging = asyncio.create_task(location.evaluate("hanging", timeout_s=1.5))
        await location.file("hanging_began")
        waiting = asyncio.create_task(location.evaluate("quick"))
        while not location.server.builds.current.pool._waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await location.evaluate("quick")
        assert errors.from_call(caught.value).reason == reasons.BUSY
        assert (await hanging).failure.type == "EvaluationTimeout"
        assert not (await waiting).HasField("failure")


async def test_an_evaluator_is_replaced_after_its_ticks(tmp_path):
    async with locations.serving_location(tmp_path, evaluator_ticks_max=2) as location:
        pids = [(await location.evaluate("quick")).run_requests[0].run_key for _ in range(5)]
    assert pids[0] == pids[1]
    assert pids[2] == pids[3]
    assert len(set(pids)) == 3


async def test_an_idle_evaluator_ends(tmp_path):
    async with locations.serving_location(tmp_path, evaluator_idle_s=0.1) as location:
        pid = int((await location.evaluate("quick")).run_requests[0].run_key)
        await asyncio.wait_for(until_dead(pid), 10)
        assert not (await location.evaluate("quick")).HasField("failure")


async def test_a_caller_that_goes_away_leaves_nothing_running(location):
    call = asyncio.create_task(location.evaluate("hanging", timeout_s=60))
    pid = int(await location.file("hanging_began"))
    call.cancel()
    await asyncio.wait_for(until_dead(pid), 10)


ASKING = """
    import atoll as dg

    @dg.asset
    def own():
        return 1

    job = dg.define_asset_job("job", selection=[own])

    @dg.sensor(job=job)
    def asking(context):
        event = context.instance.get_latest_materialization_event(dg.AssetKey(["far", "away"]))
        return dg.SkipReason(f"found {event.run_id}")
"""


async def test_user_code_asks_the_instance_through_the_host(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, ASKING, host.address) as location,
    ):
        response = await location.evaluate("asking")
        assert response.skip_reason == "found there"
        host.instance_error = errors.NotFoundError("no such thing", reason="UNKNOWN_ASSET")
        response = await location.evaluate("asking")
        assert "no such thing" in str(response.failure)


TELLING = """
    import atoll as dg

    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="days"))
    def own():
        return 1

    job = dg.define_asset_job("job", selection=[own])

    @dg.sensor(job=job)
    def telling(context):
        instance = dg.Instance.get()
        instance.report_runless_asset_event(dg.AssetObservation("own"))
        instance.add_dynamic_partitions("days", ["b", "a"])
        found = instance.get_dynamic_partitions("days")
        asked = [dg.RunRequest(partition_key="c")]
        changes = [dg.AddDynamicPartitionsRequest("days", ["c"])]
        return dg.SensorResult(
            asked, cursor=str(found), dynamic_partitions_requests=changes
        )
"""


async def test_user_code_tells_the_instance_through_the_host(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, TELLING, host.address) as location,
    ):
        response = await location.evaluate("telling")
        assert response.cursor == "['b', 'a']"
        (change,) = response.dynamic_partitions_requests
        assert (change.partitions_def_name, list(change.partition_keys)) == ("days", ["c"])
        assert [request.partition_key for request in response.run_requests] == ["c"]
        # The answer to the first was lost, so it came again: signed by the code server, and known
        # to be the same by its id.
        first, again = host.reports
        assert (first.location_name, first.server_id) == (again.location_name, again.server_id)
        assert first.server_id
        assert first.event == again.event
        assert first.request_id
        assert first.request_id == again.request_id
