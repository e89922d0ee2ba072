"""G5: a failed reload leaves the last good definitions serving, a good one leaves running work
alone; each tick and run tells the build that decided it and the one that ran it.
"""

import json
import os
import pathlib
import signal
from collections.abc import Iterator

import pytest

from atoll.api.v1 import automation_pb2, runs_pb2
from atoll.client import connection, documents
from atoll.events.v1 import events_pb2 as stored_pb2
from tests.e2e import mesh
from tests.isolation import gates, served

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

BROKEN = "raise RuntimeError('only half of it was deployed')"
# What a location is called is the name of its assets, too, since each has one owner in the mesh.
SOURCE = f"""
import pathlib
import atoll as dg
{gates.WAIT}
VERSION = "@version@"

@dg.asset(name="quick_@name@")
def quick(context):
    context.add_output_metadata({{"version": VERSION}})

@dg.asset(name="patient_@name@")
def patient(context):
    context.log.info("at the gate")
    wait_at("run-gate")
    context.add_output_metadata({{"version": VERSION}})

quick_job = dg.define_asset_job("quick_job", [quick])
patient_job = dg.define_asset_job("patient_job", [patient])

@dg.sensor(
    job=quick_job,
    minimum_interval_seconds=0.2,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def looks():
    return dg.SkipReason(f"looked with {{VERSION}}")

@dg.sensor(job=quick_job, minimum_interval_seconds=0.2)
def asks_late():
    (pathlib.Path(__file__).parent / "tick-began").touch()
    wait_at("tick-gate")
    return dg.RunRequest(tags={{"asked_by": VERSION}})

defs = dg.Definitions([quick, patient], jobs=[quick_job, patient_job], sensors=[looks, asks_late])
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mesh.Mesh]:
    """A mesh to which each test adds a location of its own."""
    with mesh.Mesh(tmp_path_factory.mktemp("reloads")) as running:
        running.start()
        yield running


def reload(location: served.Location, build_id: str) -> dict[str, object]:
    """Reload as a person would; return the answer."""
    done = location.mesh.cli("locations", "reload", location.name, "--build-id", build_id, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == (1 if "load_failure" in answer else 0)
    return answer


async def until_build(location: served.Location, *, other_than: str = "") -> str:
    """Wait until the host shows a build, or another one, and return its id."""

    async def build(client: connection.Client) -> str:
        async for each in client.locations.list():
            if each.name == location.name and each.build.build_id != other_than:
                return each.build.build_id
        return ""

    return await location.mesh.until(build)


async def until_one_definitions_process(location: served.Location) -> None:
    async def one(_: connection.Client) -> bool:
        return len(location.mesh.definitions_processes(location.name)) == 1

    await location.mesh.until(one)


async def next_tick(location: served.Location, sensor: str) -> automation_pb2.Tick:
    """Return a tick that ended after all that have ended by now."""
    ticks = location.client.sensors.ticks(location.name, sensor)
    known = {tick.tick_id async for tick in ticks}

    async def fresh(client: connection.Client) -> automation_pb2.Tick | None:
        async for tick in client.sensors.ticks(location.name, sensor, limit=1):
            return None if tick.tick_id in known else tick
        return None

    tick = await location.mesh.until(fresh)
    assert tick is not None
    return tick


async def first_tick(location: served.Location, sensor: str) -> automation_pb2.Tick:
    """Return the oldest tick of a sensor, as soon as there is one."""

    async def oldest(client: connection.Client) -> automation_pb2.Tick | None:
        ticks = [tick async for tick in client.sensors.ticks(location.name, sensor)]
        return ticks[-1] if ticks else None

    tick = await location.mesh.until(oldest)
    assert tick is not None
    return tick


async def version_of(location: served.Location, run_id: str) -> str:
    """Return which version of the code made the asset of a run."""
    (event,) = await location.events(run_id, ["asset_materialization"])
    return documents.metadata(event.asset_materialization.metadata)["version"]


async def test_a_failed_reload_keeps_the_last_good_definitions_serving(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    async with served.location(host, tmp_path, SOURCE, "--build-id", "one") as location:
        await host.serving(location.name)
        location.deploy("two", BROKEN)
        answer = reload(location, "two")
        assert answer["current_build"]["build_id"] == "one"
        assert "only half of it was deployed" in answer["load_failure"]["message"]

        shown = await location.shown()
        assert shown.state == stored_pb2.LOCATION_STATE_SERVING
        assert shown.build.build_id == "one"
        assert "only half of it was deployed" in shown.load_failure.message
        for _ in range(2):  # the first may have begun before the reload
            tick = await next_tick(location, "looks")
        assert (tick.build_id, tick.skip_reason) == ("one", "looked with one")
        run = await location.run("quick_job")
        assert (run.status, run.build_id) == (runs_pb2.RUN_STATUS_SUCCESS, "one")
        assert await version_of(location, run.run_id) == "one"

        location.deploy("two")
        assert "load_failure" not in reload(location, "two")
        assert await until_build(location, other_than="one") == "two"
        assert not (await location.shown()).HasField("load_failure")
        for _ in range(2):
            tick = await next_tick(location, "looks")
        assert (tick.build_id, tick.skip_reason) == ("two", "looked with two")
        run = await location.run("quick_job")
        assert (run.status, run.build_id) == (runs_pb2.RUN_STATUS_SUCCESS, "two")
        assert await version_of(location, run.run_id) == "two"


async def test_a_good_reload_neither_stops_nor_changes_a_run(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    with gates.gate(tmp_path, "run-gate") as gate:
        async with served.location(host, tmp_path, SOURCE, "--build-id", "one") as location:
            await host.serving(location.name)
            running = await location.begin("patient_job")
            (worker,) = host.run_workers(location.name)
            location.deploy("two")
            assert reload(location, "two")["current_build"]["build_id"] == "two"

            # What begins now is the new build's, while the old one is still at work.
            run = await location.run("quick_job")
            assert (run.build_id, await version_of(location, run.run_id)) == ("two", "two")
            assert worker in host.run_workers(location.name)
            assert len(host.definitions_processes(location.name)) == 2

            gate.open()
            run = await location.ended(running)
            assert (run.status, run.build_id) == (runs_pb2.RUN_STATUS_SUCCESS, "one")
            assert await version_of(location, running) == "one"
            await until_one_definitions_process(location)


async def test_a_tick_during_a_reload_is_the_old_builds_and_its_run_the_new_builds(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    with gates.gate(tmp_path, "tick-gate") as gate:
        async with served.location(host, tmp_path, SOURCE, "--build-id", "one") as location:
            await host.serving(location.name)
            await location.client.sensors.start(location.name, "asks_late")

            async def tick_began(_: connection.Client) -> bool:
                return (tmp_path / "tick-began").exists()

            await host.until(tick_began)
            location.deploy("two")
            assert reload(location, "two")["current_build"]["build_id"] == "two"
            gate.open()
            tick = await first_tick(location, "asks_late")
            assert tick.build_id == "one"
            (run_id,) = tick.run_ids
            run = await location.ended(run_id)
            assert run.status == runs_pb2.RUN_STATUS_SUCCESS
            assert (run.requested_build_id, run.build_id) == ("one", "two")
            assert run.tags["asked_by"] == "one"
            assert await version_of(location, run_id) == "two"


async def test_another_code_server_takes_over_and_the_first_ends_after_its_runs(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    with gates.gate(tmp_path, "run-gate") as gate:
        async with served.location(host, tmp_path, SOURCE, "--build-id", "one") as location:
            await host.serving(location.name)
            running = await location.begin("patient_job")
            location.deploy("two")
            next_one = f"{location.name}_next"
            options = ("--name", location.name, "--build-id", "two")
            host.add(next_one, tmp_path / "definitions.py", options=options)
            host.start_location(next_one)
            try:
                assert await until_build(location, other_than="one") == "two"
                run = await location.run("quick_job")
                assert (run.build_id, await version_of(location, run.run_id)) == ("two", "two")
                assert host.is_running(location.name)

                gate.open()
                run = await location.ended(running)
                assert (run.status, run.build_id) == (runs_pb2.RUN_STATUS_SUCCESS, "one")
                assert mesh.gone(host.pid(location.name))
                assert (await location.run("quick_job")).build_id == "two"
            finally:
                host.terminate(next_one)


async def test_the_hangup_signal_loads_the_code_anew(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    async with served.location(host, tmp_path, SOURCE, "--build-id", "one") as location:
        await host.serving(location.name)
        location.deploy("two")
        os.kill(host.pid(location.name), signal.SIGHUP)
        build_id = await until_build(location, other_than="one")
        assert build_id.startswith("gen-")
        run = await location.run("quick_job")
        assert (run.build_id, await version_of(location, run.run_id)) == (build_id, "two")


async def test_a_watched_location_serves_as_soon_as_its_code_is_corrected(
    host: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    async with served.location(host, tmp_path, SOURCE, "--watch", first=BROKEN) as location:

        async def failed(client: connection.Client) -> bool:
            found = {each.name: each async for each in client.locations.list()}
            return (
                location.name in found
                and found[location.name].state == stored_pb2.LOCATION_STATE_FAILED
                and "only half of it" in found[location.name].load_failure.message
            )

        await host.until(failed)
        location.deploy("corrected")
        first = await until_build(location)
        shown = await location.shown()
        assert (shown.state, shown.HasField("load_failure")) == (
            stored_pb2.LOCATION_STATE_SERVING,
            False,
        )
        location.deploy("changed")
        second = await until_build(location, other_than=first)
        run = await location.run("quick_job")
        assert (run.build_id, await version_of(location, run.run_id)) == (second, "changed")
