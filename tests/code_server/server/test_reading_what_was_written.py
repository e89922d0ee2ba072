"""What user code of a run asks the instance counts what the same run wrote before."""

import asyncio

import pytest

from atoll._location import relay
from atoll._server import instance_relay
from atoll.mesh.v1 import mesh_pb2
from atoll.process.v1 import process_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CODE = """
    import pathlib
    import atoll as dg

    HERE = pathlib.Path.cwd()

    @dg.op
    def makes(context):
        context.log_event(dg.AssetMaterialization("one"))

    @dg.op(ins={"after": dg.In(dg.Nothing)})
    def asks(context):
        context.log_event(dg.AssetMaterialization("two"))
        (HERE / "asking").write_text("now")
        page = context.instance.get_records_for_run(
            context.run_id, of_type=dg.EventType.ASSET_MATERIALIZATION
        )
        keys = [record.asset_key.to_user_string() for record in page.records]
        context.log.info(f"found {sorted(keys)}")

    @dg.job
    def in_process():
        asks(makes())

    @dg.job(executor_def=dg.multiprocess_executor)
    def in_processes():
        asks(makes())

    @dg.sensor(job=in_process)
    def asking(context):
        found = context.instance.get_latest_materialization_event(dg.AssetKey("other"))
        return dg.SkipReason(f"found {found.run_id}")
"""
KEPT_FOR_S = 20


@pytest.fixture
async def host():
    async with fake_host.running() as host:
        yield host


@pytest.fixture
async def location(host, tmp_path):
    async with locations.serving_location(tmp_path, CODE, host=host.address) as location:
        await host.registered()
        yield location


async def begin(host, location, job_name: str) -> str:
    """Start a run while the host acknowledges nothing; return its id once it asks."""
    host.acknowledge.clear()
    plan = locations.new_plan(job_name)
    await location.start_run(plan)
    await location.file("asking")
    return plan.run_id


@pytest.mark.parametrize("job_name", ["in_process", "in_processes"])
async def test_an_answer_waits_for_the_events_before_its_question(host, location, job_name):
    run_id = await begin(host, location, job_name)
    # Asks behind the run, by way of the same relay; what writes no events has none to wait for.
    evaluated = await location.evaluate("asking")
    assert evaluated.skip_reason == "found there"
    assert not host.memory.events
    host.acknowledge.set()
    told = [event.message for event in await host.ended(run_id)]
    assert "found ['one', 'two']" in told


async def test_a_run_asks_again_until_its_events_are_stored(host, location, monkeypatch):
    refused = asyncio.Event()
    monkeypatch.setattr(instance_relay, "_AWAY_MAX_S", 0.01)
    send = instance_relay.hub.Connection.send

    async def noted(connection, message):
        if message.instance_answer.HasField("error"):
            refused.set()
        await send(connection, message)

    monkeypatch.setattr(instance_relay.hub.Connection, "send", noted)
    run_id = await begin(host, location, "in_process")
    await asyncio.wait_for(refused.wait(), KEPT_FOR_S)
    host.acknowledge.set()
    events = await host.ended(run_id)
    assert "found ['one', 'two']" in [event.message for event in events]


async def test_a_refusal_says_what_was_waited_for(host, location, monkeypatch):
    monkeypatch.setattr(instance_relay, "_AWAY_MAX_S", 0.01)
    run_id = await begin(host, location, "in_process")
    state = location.folder / "state"
    nonce = (state / "runs" / run_id / "nonce").read_text()
    role = process_pb2.PROCESS_ROLE_RUN_WORKER
    introduction = relay.Introduction(location.server._state.socket_path, role, nonce, run_id)
    query = process_pb2.InstanceQuery(get_run=mesh_pb2.GetRunRequest(run_id="x"), written_seq=3)
    link = relay.ServerLink(introduction)
    answer = await asyncio.to_thread(link.ask, query, KEPT_FOR_S)
    link.close()
    assert answer.error.reason == "HOST_UNAVAILABLE"
    assert "it has confirmed 0 of 3" in answer.error.message
    assert host.address in answer.error.message
    host.acknowledge.set()
    await host.ended(run_id)
