"""Runs: accepted once, watched, canceled, brought to an end however their worker dies."""

import asyncio
import contextlib
import os
import signal

import grpc.aio
import pytest

from atoll._location import run_directory
from atoll._rpc import errors, reasons
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
async def host():
    async with fake_host.running() as host:
        yield host


@pytest.fixture
async def location(host, tmp_path):
    async with locations.serving_location(tmp_path, host=host.address) as location:
        yield location


async def gone(location, run_id: str) -> None:
    """Wait until nothing is left of a run."""
    path = location.folder / "state/runs" / run_id
    while location.server.runs.held() or path.exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_run_happens_and_everything_of_it_arrives(host, location):
    plan = locations.new_plan("numbers_job")
    assert (await location.start_run(plan)).build_id == "b1"
    events = await host.ended(plan.run_id)
    assert fake_host.is_exact(events)
    bodies = fake_host.bodies(events)
    assert bodies[0] == "run_started"
    assert bodies[-1] == "run_succeeded"
    await asyncio.wait_for(gone(location, plan.run_id), 10)
    key = (plan.run_id, "numbers", mesh_pb2.OUTPUT_STREAM_STDOUT)
    assert b"counting" in host.memory.output[key]
    assert host.memory.repeats == 0


async def test_a_repeated_start_changes_nothing_not_even_after_the_end(host, location):
    plan = locations.new_plan("numbers_job")
    first = await location.start_run(plan)
    assert await location.start_run(plan) == first
    await host.ended(plan.run_id)
    await asyncio.wait_for(gone(location, plan.run_id), 10)
    assert await location.start_run(plan) == first
    listed = await location.stub.ListRuns(location_pb2.ListRunsRequest(), timeout=5)
    assert not listed.runs
    assert len((await location.file("numbers_ran")).splitlines()) == 1


async def test_fifty_runs_at_once_all_succeed(host, location):
    plans = [locations.new_plan("numbers_job") for _ in range(50)]
    await asyncio.gather(*(location.start_run(plan) for plan in plans))
    for plan in plans:
        events = await host.ended(plan.run_id, 40)
        assert fake_host.is_exact(events)
        assert fake_host.bodies(events)[-1] == "run_succeeded"


@pytest.mark.parametrize(
    ("plan", "kind", "reason"),
    [
        (locations.new_plan("nothing"), errors.NotFoundError, reasons.UNKNOWN_JOB),
        (
            location_pb2.RunPlan(run_id="../x", job_name="numbers_job", attempt=1),
            errors.InvalidArgumentError,
            reasons.INVALID_REQUEST,
        ),
        (
            locations.new_plan("numbers_job", attempt=0),
            errors.InvalidArgumentError,
            reasons.INVALID_REQUEST,
        ),
    ],
    ids=["unknown job", "run id", "attempt"],
)
async def test_a_bad_plan_is_refused_and_leaves_nothing(location, plan, kind, reason):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.start_run(plan)
    error = errors.from_call(caught.value)
    assert type(error) is kind
    assert error.reason == reason
    assert not list((location.folder / "state/runs").iterdir())


async def test_a_killed_worker_fails_its_run_at_once(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    os.kill(int(await location.file("patient_began")), signal.SIGKILL)
    events = await host.ended(plan.run_id, 5)
    assert fake_host.is_exact(events)
    assert fake_host.bodies(events)[-2:] == ["step_failed", "run_failed"]
    assert "SIGKILL" in events[-1].run_failed.failure.message


async def test_a_worker_that_ends_itself_says_its_last_words(host, location):
    plan = locations.new_plan("exits_job")
    await location.start_run(plan)
    events = await host.ended(plan.run_id)
    failure = events[-1].run_failed.failure
    assert "exit code 7" in failure.message
    assert "last words" in failure.last_output


async def test_a_run_is_canceled(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    await location.file("patient_began")
    assert await location.cancel(plan.run_id)
    assert await location.cancel(plan.run_id)
    events = await host.ended(plan.run_id)
    assert fake_host.is_exact(events)
    assert fake_host.bodies(events)[-1] == "run_canceled"
    assert not await location.cancel("unknown")


async def test_a_run_that_does_not_stop_is_killed_after_the_grace_period(host, location):
    plan = locations.new_plan("stubborn_job")
    await location.start_run(plan)
    await location.file("stubborn_began")
    await location.cancel(plan.run_id, grace_s=0.3)
    events = await host.ended(plan.run_id, 10)
    assert fake_host.bodies(events)[-1] == "run_canceled"


async def test_a_newer_attempt_of_a_run_that_is_there_starts_no_second_worker(host, location):
    # The host gave up on the first hand-over, which arrived all the same.
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    pid = await location.file("patient_began")
    newer = location_pb2.RunPlan()
    newer.CopyFrom(plan)
    newer.attempt = 2
    await location.start_run(newer)
    location.touch("go")
    events = await host.ended(plan.run_id)
    assert fake_host.is_exact(events)
    assert str(events[0].run_started.pid) == pid
    assert fake_host.bodies(events)[-1] == "run_succeeded"
    newer.attempt = 3
    await location.start_run(newer)
    assert fake_host.is_exact(await host.ended(plan.run_id))


async def test_another_plan_under_the_id_of_a_run_is_refused(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    other = location_pb2.RunPlan()
    other.CopyFrom(plan)
    other.tags["changed"] = "yes"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.start_run(other)
    assert errors.from_call(caught.value).reason == reasons.STALE_ATTEMPT
    location.touch("go")
    await host.ended(plan.run_id)


async def test_a_fenced_run_is_killed_and_put_aside(host, location):
    plan = locations.new_plan("patient_job")
    host.memory.fenced[plan.run_id] = "bound to another server"
    await location.start_run(plan)
    await asyncio.wait_for(gone(location, plan.run_id), 20)
    assert [p.name.endswith(plan.run_id) for p in (location.folder / "state/fenced").iterdir()]


async def test_a_killed_definitions_process_does_not_disturb_a_run(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    pid = await location.file("patient_began")
    os.kill(location.server.builds.current.process.pid, signal.SIGKILL)
    assert not (await location.evaluate("quick")).HasField("failure")
    location.touch("go")
    events = await host.ended(plan.run_id)
    assert fake_host.bodies(events)[-1] == "run_succeeded"
    assert str(events[0].run_started.pid) == pid


async def test_a_worker_killed_after_its_definitions_process_is_noticed_too(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    pid = int(await location.file("patient_began"))
    process = location.server.builds.current.process
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(process.gone.wait(), 5)
    os.kill(pid, signal.SIGKILL)
    events = await host.ended(plan.run_id, 5)
    assert fake_host.bodies(events)[-1] == "run_failed"


async def test_draining_refuses_new_runs_and_ends_after_the_last(host, location):
    plan = locations.new_plan("patient_job")
    await location.start_run(plan)
    await location.file("patient_began")
    answer = await location.stub.Drain(location_pb2.DrainRequest(), timeout=5)
    assert answer.live_run_count == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await location.start_run(locations.new_plan("numbers_job"))
    assert errors.from_call(caught.value).reason == reasons.DRAINING
    # The answer to a repeat of what was accepted stays the same.
    assert (await location.start_run(plan)).build_id == "b1"
    assert (await location.describe()).draining
    await host.until(lambda memory: bool(memory.updates) and memory.updates[-1].draining)
    assert not location.server.drain.over.is_set()
    location.touch("go")
    await asyncio.wait_for(location.server.drain.over.wait(), 20)
    assert fake_host.bodies(host.memory.events[plan.run_id])[-1] == "run_succeeded"


async def test_superseded_drains(host, location):
    await host.registered()
    host.supersede("here", "another")
    await asyncio.wait_for(location.server.drain.over.wait(), 10)
    assert (await location.describe()).draining


async def test_runs_go_on_while_the_host_is_away_and_arrive_later(tmp_path):
    memory = fake_host.Memory()
    async with contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(fake_host.running(memory))
        address = host.address
        location = await stack.enter_async_context(
            locations.serving_location(tmp_path, host=address)
        )
        await host.registered()
        plan = locations.new_plan("patient_job")
        await location.start_run(plan)
        await host.saw(plan.run_id, "run_started")
        await host.stop()
        location.touch("go")
        directory = tmp_path / "state/runs" / plan.run_id
        while (  # noqa: ASYNC110
            run_directory.RunDirectory(directory).worker_state() is run_directory.WorkerState.ALIVE
        ):
            await asyncio.sleep(0.01)
        again = await stack.enter_async_context(fake_host.running(memory, address))
        events = await again.ended(plan.run_id)
        assert fake_host.is_exact(events)
        assert fake_host.bodies(events)[-1] == "run_succeeded"
        held = [run.run_id for run in memory.registrations[-1].held_runs]
        assert held == [plan.run_id]


async def test_a_disk_that_fails_at_the_end_of_a_run_delays_its_end_only(host, location, caplog):
    ended_runs = location.folder / "state/ended_runs"
    ended_runs.unlink()
    ended_runs.mkdir()  # so that it cannot be written
    plan = locations.new_plan("numbers_job")
    await location.start_run(plan)
    await host.ended(plan.run_id)

    async def failed() -> None:
        while str(ended_runs) not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(failed(), 10)
    ended_runs.rmdir()
    await asyncio.wait_for(gone(location, plan.run_id), 10)


async def test_a_run_that_waits_for_code_that_does_not_load_can_be_canceled(host, location):
    await host.registered()
    process = location.server.builds.current.process
    locations.write(location.folder, "raise RuntimeError('broken')")
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(process.gone.wait(), 5)
    plan = locations.new_plan("numbers_job")
    await location.start_run(plan)
    assert await location.cancel(plan.run_id)
    events = await host.ended(plan.run_id, 10)
    assert fake_host.bodies(events) == ["run_canceled"]
