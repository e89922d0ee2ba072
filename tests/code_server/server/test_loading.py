"""Loads: a bad one changes nothing but what is shown, a good one stops nothing that runs."""

import asyncio
import os
import signal

import grpc.aio
import pytest

from atoll._rpc import errors, reasons
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def definitions_of(location, build_id: str = "") -> snapshot_pb2.LocationSnapshot:
    request = location_pb2.StreamDefinitionsRequest(build_id=build_id)
    stream = location.stub.StreamDefinitions(request, timeout=5)
    chunks = [part.chunk async for part in stream]
    return snapshot_pb2.LocationSnapshot.FromString(b"".join(chunks))


async def test_a_build_is_described_and_its_definitions_stream(tmp_path):
    async with locations.serving_location(tmp_path, build_id="v1") as location:
        described = await location.describe()
        build = described.current_build
        assert (build.build_id, described.location_name) == ("v1", "here")
        assert build.start_method == location_pb2.START_METHOD_FORK
        assert build.start_method_reason
        assert build.definitions_size_bytes > 0
        snapshot = await definitions_of(location)
        assert "quick" in {sensor.name for sensor in snapshot.sensors}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 / 0", "division by zero"),
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("import os, sys\nprint('my last', file=sys.stderr)\nos._exit(3)", "exit code 3"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("def f(:", "invalid syntax"),
    ],
    ids=["raises", "import error", "exit", "crash", "syntax"],
)
async def test_code_that_does_not_load_is_shown_and_the_server_answers(tmp_path, code, expected):
    async with locations.serving_location(tmp_path, code) as location:
        described = await location.describe()
        assert not described.HasField("current_build")
        assert expected in described.load_failure.message
        if "my last" in code:
            assert "my last" in described.load_failure.last_output
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await location.start_run(locations.new_plan("numbers_job"))
        assert errors.from_call(caught.value).reason == reasons.NO_BUILD
        # Once it is right, a reload serves it.
        locations.write(tmp_path, locations.BASIC)
        assert not (await location.reload("fixed")).HasField("load_failure")
        assert (await location.describe()).current_build.build_id == "fixed"


async def test_a_load_that_takes_too_long_is_stopped(tmp_path):
    code = "import time\ntime.sleep(60)"
    async with locations.serving_location(tmp_path, code, load_timeout_s=0.5) as location:
        described = await location.describe()
        assert described.load_failure.type == "LoadTimeout"


async def test_a_failed_reload_keeps_the_last_good_build(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, host=host.address, build_id="good") as location,
    ):
        await host.registered()
        locations.write(tmp_path, "1 / 0")
        answer = await location.reload("bad")
        assert answer.current_build.build_id == "good"
        assert "division by zero" in answer.load_failure.message
        response = await location.evaluate("quick")
        assert response.build_id == "good"
        assert not response.HasField("failure")
        await host.until(lambda memory: bool(memory.updates))
        assert host.memory.updates[-1].current_build.build_id == "good"
        assert host.memory.updates[-1].HasField("load_failure")
        locations.write(tmp_path, locations.BASIC)
        await location.reload("better")
        await host.until(lambda m: m.updates[-1].current_build.build_id == "better")
        assert not host.memory.updates[-1].HasField("load_failure")


async def test_a_good_reload_leaves_a_run_alone_and_the_old_build_drains(tmp_path):
    async with (
        fake_host.running() as host,
        locations.serving_location(tmp_path, host=host.address, build_id="old") as location,
    ):
        plan = locations.new_plan("patient_job")
        assert (await location.start_run(plan)).build_id == "old"
        pid = await location.file("patient_began")
        old_process = location.server.builds.current.process
        assert (await location.reload("new")).current_build.build_id == "new"
        described = await location.describe()
        assert [build.build_id for build in described.draining_builds] == ["old"]
        assert (await location.evaluate("quick")).build_id == "new"
        assert not old_process.gone.is_set()
        location.touch("go")
        events = await host.ended(plan.run_id)
        assert fake_host.is_exact(events)
        assert fake_host.bodies(events)[-1] == "run_succeeded"
        [started] = [e.run_started for e in events if e.WhichOneof("body") == "run_started"]
        assert (started.build_id, str(started.pid)) == ("old", pid)
        # Nothing needs it any more.
        await asyncio.wait_for(old_process.gone.wait(), 10)
        assert not (await location.describe()).draining_builds
        # And a run of now is a run of the new build.
        other = locations.new_plan("numbers_job")
        assert (await location.start_run(other)).build_id == "new"
        events = await host.ended(other.run_id)
        assert {e.run_started.build_id for e in events if e.HasField("run_started")} == {"new"}


async def test_naming_the_current_build_changes_nothing(tmp_path):
    async with locations.serving_location(tmp_path, build_id="v1") as location:
        process = location.server.builds.current.process
        await location.reload("v1")
        assert location.server.builds.current.process is process


async def test_a_killed_definitions_process_comes_back_as_the_same_build(tmp_path):
    async with locations.serving_location(tmp_path, build_id="v1") as location:
        killed = location.server.builds.current.process
        os.kill(killed.pid, signal.SIGKILL)
        await asyncio.wait_for(killed.gone.wait(), 5)
        # Answered meanwhile, and evaluated as soon as it is back.
        assert (await location.describe()).current_build.build_id == "v1"
        response = await location.evaluate("quick")
        assert response.build_id == "v1"
        assert not response.HasField("failure")
        assert location.server.builds.current.process.pid != killed.pid


async def test_code_that_changed_under_a_killed_process_is_a_new_build(tmp_path):
    async with locations.serving_location(tmp_path, build_id="v1") as location:
        locations.write(tmp_path, locations.BASIC + "\n    @dg.asset\n    def more(): return 1\n")
        changed = asyncio.Event()
        location.server.builds.on_change(changed.set)
        os.kill(location.server.builds.current.process.pid, signal.SIGKILL)
        await asyncio.wait_for(changed.wait(), 20)
        assert location.server.builds.current.build_id != "v1"
        keys = {"/".join(a.key.path) for a in (await definitions_of(location)).assets}
        assert "more" in keys


async def test_a_changed_file_reloads_when_watched(tmp_path):
    async with locations.serving_location(tmp_path, locations.EMPTY, watch=True) as location:
        changed = asyncio.Event()
        location.server.builds.on_change(changed.set)
        [watcher] = [
            s
            for s in location.server._services._members
            if getattr(s, "name", "") == "file watcher"
        ]
        await asyncio.wait_for(watcher.started.wait(), 5)
        locations.write(tmp_path, locations.BASIC)
        await asyncio.wait_for(changed.wait(), 20)
        assert (await definitions_of(location)).sensors
