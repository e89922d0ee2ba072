"""G8: two hosts on one Postgres share the work; killing either loses and doubles nothing."""

import asyncio
import pathlib
import uuid

import psycopg
import pytest

from atoll.client import connection, runs
from tests.chaos import storm, verification
from tests.e2e import several_hosts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

IN_FLIGHT = 3
WORKED = 6
LOCATIONS = pathlib.Path(__file__).with_name("locations")


async def test_killing_either_host_loses_and_doubles_nothing(tmp_path: pathlib.Path) -> None:
    with several_hosts.Mesh(tmp_path) as running:
        running.add("source", storm.LOCATIONS / "source.py")
        running.add("sink", LOCATIONS / "sink.py")
        async with running.one_address():
            running.start()
            await running.serving("source", "sink")
            load = [asyncio.create_task(keep_launching(running)) for _ in range(IN_FLIGHT)]
            try:
                for victim in several_hosts.HOSTS:
                    await until_worked(running)
                    running.kill(victim)
                    # All that has to be done by one host only is done by the other now.
                    await until_worked(running)
                    running.start_host(victim)
                    await running.answers(victim)
                await until_worked(running)
            finally:
                for task in load:
                    task.cancel()
                ends = await asyncio.gather(*load, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
            await running.until(lambda _: all_well(running))
        found = findings(running)
        begun_twice = handed_over_twice(running)
    assert found.materializations == found.sensor_runs
    # Neither a code server nor a worker has died: no run has a reason to fail.
    assert set(found.runs_by_status) == {"SUCCESS"}
    assert begun_twice == []


async def keep_launching(running: several_hosts.Mesh) -> None:
    """Launch one run after the other, through whatever host answers."""
    while True:
        # The request id makes it one run, however often it is sent and to whom.
        launch = runs.Launch("make_numbers", "source", request_id=str(uuid.uuid4()))

        async def ended(client: connection.Client, launch: runs.Launch = launch) -> bool:
            run_id = (await client.runs.launch(launch)).run_id
            return (await client.runs.get(run_id)).status in runs.FINAL_STATUSES

        await running.until(ended)


async def until_worked(running: several_hosts.Mesh) -> None:
    """Wait until some more materializations have led to a run."""
    before = findings(running).sensor_runs

    async def worked(_: connection.Client) -> bool:
        return findings(running).sensor_runs >= before + WORKED

    await running.until(worked)


async def all_well(running: several_hosts.Mesh) -> bool:
    return not findings(running).violations


def findings(running: several_hosts.Mesh) -> verification.Findings:
    assert running.postgres is not None
    expected = verification.Expected(watched_asset="numbers", sensor_name="on_numbers")
    return verification.examine(running.postgres.url, expected)


def handed_over_twice(running: several_hosts.Mesh) -> list[str]:
    """Return the runs whose user code may have begun more than once."""
    assert running.postgres is not None
    with psycopg.connect(running.postgres.url) as database:
        return [row[0] for row in database.execute("SELECT run_id FROM runs WHERE attempt > 1")]
