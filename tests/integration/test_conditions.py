"""Conditions, what they came to and why can be asked for, page by page."""

import pytest

from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import composites, entities
from atoll.api.v1 import automation_pb2, conditions_pb2
from atoll.client import connection
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll.definitions.v1 import snapshot_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres

EAGER = condition_messages.to_message(composites.eager())


def sensor(name: str, *assets: str, running: bool = True) -> snapshot_pb2.SensorDefinition:
    status = snapshot_pb2.SENSOR_STATUS_RUNNING if running else snapshot_pb2.SENSOR_STATUS_STOPPED
    return snapshot_pb2.SensorDefinition(
        name=name,
        kind=snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION,
        default_status=status,
        automation_targets=[entity(each) for each in assets],
    )


def entity(name: str) -> definition_pb2.ConditionEntity:
    return entity_messages.to_message(entities.asset(name.split("/")))


@pytest.fixture
async def two_locations(mesh, host):
    """Define raw -> lake/clean in one location, report over it in the other, stopped."""
    asset = code_location.asset
    one = code_location.snapshot(
        [asset("raw"), asset("lake/clean", "raw", automation_condition=EAGER)],
        [code_location.job("__ASSET_JOB", "raw", "lake/clean", implicit=True)],
        [sensor("s", "lake/clean")],
    )
    two = code_location.snapshot(
        [asset("report", "lake/clean", automation_condition=EAGER)],
        [code_location.job("__ASSET_JOB", "report", implicit=True)],
        [sensor("s", "report", running=False)],
    )
    await mesh.location(host, "one", one)
    await mesh.location(host, "two", two)


@pytest.fixture
async def connected(host):
    async with connection.connect(host.address) as client:
        yield client


async def until(host, found):
    """Return what is found, looking again after every event of the host."""
    poke = host.parts.changes.events.subscribe()
    for _ in range(400):
        if result := await found():
            return result
        await poke.wait(0.05)
    raise AssertionError("never found")


async def test_what_has_a_condition_is_listed_in_pages(two_locations, connected):
    listed = [target async for target in connected.conditions.list()]
    assert [(target.location_name, "/".join(target.entity.asset.path)) for target in listed] == [
        ("one", "lake/clean"),
        ("two", "report"),
    ]
    assert [target.condition.label for target in listed] == ["eager", "eager"]
    assert [target.sensor_status for target in listed] == [
        snapshot_pb2.SENSOR_STATUS_RUNNING,
        snapshot_pb2.SENSOR_STATUS_STOPPED,
    ]
    (only,) = [target async for target in connected.conditions.list(location_name="two")]
    assert only.sensor_name == "s"
    page = await connected.conditions._caller.unary(
        connected.conditions._stub.ListConditions,
        conditions_pb2.ListConditionsRequest(page_size=1),
    )
    assert page.next_page_token


async def test_an_update_is_evaluated_run_and_explained(two_locations, mesh, host, connected):
    async def evaluated():
        target = await connected.conditions.get(entity("lake/clean"))
        return target if target.HasField("evaluation_time") else None

    await until(host, evaluated)
    event = code_location.succeeding("", "raw")[1]
    event.run_id, event.seq = "", 0
    await host.parts.store.events.append_host_events([event], "one")

    async def requested():
        listed = connected.conditions.evaluations(entity("lake/clean"), requested_only=True)
        return [each async for each in listed]

    (evaluation,) = await until(host, requested)
    assert evaluation.requested.count == 1
    assert not evaluation.HasField("explanation")
    run = await connected.runs.get(evaluation.run_ids[0])
    assert run.tags["atoll/automation_condition"] == "true"
    assert (run.sensor_name, run.tick_id) == ("s", evaluation.tick_id)
    why = await connected.conditions.evaluation(entity("lake/clean"), evaluation.evaluation_id)
    assert why.explanation.label == "eager"
    assert why.explanation.true_for.count == 1
    parts = [child.label or child.name for child in why.explanation.children]
    assert "in_latest_time_window" in parts
    ticks = [tick async for tick in connected.sensors.ticks("one", "s")]
    assert [list(tick.run_ids) for tick in ticks] == [list(evaluation.run_ids)]
    assert ticks[0].status == automation_pb2.TICK_STATUS_SUCCESS


async def test_what_is_not_there_is_told_so(two_locations, connected):
    with pytest.raises(connection.errors.NotFoundError, match=r"'raw' an automation condition"):
        await connected.conditions.get(entity("raw"))
    with pytest.raises(connection.errors.NotFoundError, match="no evaluation 7"):
        await connected.conditions.evaluation(entity("report"), 7)
    with pytest.raises(connection.errors.InvalidArgumentError, match="Give entity"):
        await connected.conditions.get(definition_pb2.ConditionEntity())
