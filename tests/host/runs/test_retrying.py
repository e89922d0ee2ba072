"""Runs that failed are run again as often as they should be, by whichever host."""

import dataclasses
from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import values_pb2
from atoll_host.runs import retrying, run_settings
from atoll_storage import database as databases
from atoll_storage import records
from tests.host.runs import simulated
from tests.host.runs.test_waiting import RUN

STATUS = records.RunStatus
EVERY = frozenset(STATUS)
SETTINGS = run_settings.RunSettings()
FAILED = dataclasses.replace(
    RUN,
    status=STATUS.FAILURE,
    failure=values_pb2.Failure(type=retrying.STEPS_FAILED, message="x"),
    asset_selection=(("a",),),
    target=records.RunTarget(op_selection=("x",)),
    pools=("p",),
)


def with_tags(**tags: str) -> records.RunRecord:
    return dataclasses.replace(FAILED, tags={f"atoll/{key}": value for key, value in tags.items()})


@pytest.mark.parametrize(
    ("tags", "settings", "again"),
    [
        ({}, {}, False),
        ({}, {"max_retries": 1}, True),
        ({"max_retries": "0"}, {"max_retries": 1}, False),
        ({"max_retries": "2"}, {}, True),
        ({"max_retries": "2", "retry_number": "1"}, {}, True),
        ({"max_retries": "2", "retry_number": "2"}, {}, False),
        ({"max_retries": "many"}, {}, False),
        ({"max_retries": "1"}, {"retry_on_asset_or_op_failure": False}, False),
        ({"max_retries": "1", "retry_on_asset_or_op_failure": "false"}, {}, False),
        (
            {"max_retries": "1", "retry_on_asset_or_op_failure": "true"},
            {"retry_on_asset_or_op_failure": False},
            True,
        ),
    ],
)
def test_tags_win_over_settings(tags, settings, again) -> None:
    chosen = run_settings.RunSettings(**settings)
    assert (retrying.decide(with_tags(**tags), chosen, "new") is not None) is again


def test_a_run_whose_process_died_is_run_again_though_steps_are_not() -> None:
    run = dataclasses.replace(
        with_tags(max_retries="1", retry_on_asset_or_op_failure="false"),
        failure=values_pb2.Failure(type="atoll.RunWorkerDied", message="x"),
    )
    assert retrying.decide(run, SETTINGS, "new") is not None


def test_the_new_run_is_like_the_old_one_and_says_where_it_comes_from() -> None:
    new = retrying.decide(with_tags(max_retries="3", other="kept"), SETTINGS, "new")
    assert new is not None
    assert (new.run_id, new.job_name, new.location_name) == ("new", "job", "east")
    assert (new.asset_selection, new.pools) == ((("a",),), ("p",))
    assert new.target == records.RunTarget(op_selection=("x",), parent_run_id="r", root_run_id="r")
    assert new.tags == {
        "atoll/max_retries": "3",
        "atoll/other": "kept",
        "atoll/retry_number": "1",
        "atoll/parent_run_id": "r",
        "atoll/root_run_id": "r",
        "atoll/is_resume_retry": "true",
    }
    everything = retrying.decide(
        with_tags(max_retries="3", retry_strategy="ALL_STEPS", is_resume_retry="true"),
        SETTINGS,
        "new",
    )
    assert everything is not None
    assert "atoll/is_resume_retry" not in everything.tags


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


async def fail(mesh: simulated.Mesh, run_id: str) -> None:
    failure = values_pb2.Failure(type="x", message="it broke")
    assert await mesh.store.runs.fail(run_id, failure, expected=EVERY)


async def everything(mesh: simulated.Mesh) -> list[records.RunRecord]:
    return (await mesh.store.runs.list(records.RunQuery(), limit=100))[::-1]


@pytest.mark.postgres
async def test_two_hosts_make_one_retry_each_time_until_there_are_enough(
    mesh: simulated.Mesh,
) -> None:
    settings = run_settings.RunSettings(max_retries=2)
    hosts = [retrying.Retrier(mesh.store.retries, mesh.changes, settings) for _ in range(2)]
    (first,) = await mesh.queue("east")
    async with simulated.running(*hosts):
        for number in range(3):
            newest = (await everything(mesh))[-1].run_id
            await fail(mesh, newest)

            async def decided(count: int = number) -> bool:
                found = await everything(mesh)
                return len(found) == min(count + 2, 3) and not await mesh.store.retries.undecided(9)

            await mesh.eventually(decided, "the failure is decided about")
    runs = await everything(mesh)
    assert [run.tags.get("atoll/retry_number", "") for run in runs] == ["", "1", "2"]
    assert [run.target.root_run_id for run in runs] == ["", first, first]
    assert [run.target.parent_run_id for run in runs] == ["", first, runs[1].run_id]
    assert [run.tags.get("atoll/did_retry") for run in runs] == ["true", "true", None]
    assert runs[0].tags["atoll/auto_retry_run_id"] == runs[1].run_id


@pytest.mark.postgres
async def test_what_failed_while_no_host_ran_is_decided_about(mesh: simulated.Mesh) -> None:
    settings = run_settings.RunSettings(max_retries=1)
    (first, canceled) = await mesh.queue("east", 2)
    await fail(mesh, first)
    await mesh.store.runs.request_cancel(canceled, "")
    async with simulated.running(retrying.Retrier(mesh.store.retries, mesh.changes, settings)):

        async def retried() -> bool:
            return len(await everything(mesh)) == 3

        await mesh.eventually(retried, "the run that failed is run again")
    assert (await everything(mesh))[-1].target.parent_run_id == first
