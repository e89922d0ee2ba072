from collections import Counter

import pytest

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import runs_pb2
from atoll.client import connection, documents, runs
from tests.e2e import releases

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240), releases.in_every_combination]


async def launch(client: connection.Client, count: int) -> str:
    config = {"ops": {"numbers": {"config": {"count": count}}}}
    run = await client.runs.launch(runs.Launch("make_numbers", "up", run_config=config))
    return run.run_id


async def triggered_by(client: connection.Client, upstream: set[str]) -> list[runs_pb2.Run]:
    return [
        run
        async for run in client.runs.list(location_name="down")
        if run.tags["upstream_run"] in upstream
    ]


async def test_each_materialization_is_answered_by_exactly_one_run(two_locations):
    async with two_locations.client() as client:
        upstream = {await launch(client, count): count for count in (1, 10, 100, 2, 20)}

    async def answered(client: connection.Client) -> list[runs_pb2.Run]:
        found = await triggered_by(client, set(upstream))
        ended = [run for run in found if run.status in runs.FINAL_STATUSES]
        return ended if len(ended) >= len(upstream) else []

    answers = await two_locations.until(answered)
    assert Counter(run.tags["upstream_run"] for run in answers) == Counter(list(upstream))
    assert {run.status for run in answers} == {runs_pb2.RUN_STATUS_SUCCESS}
    assert {run.sensor_name for run in answers} == {"numbers_changed"}
    assert {(run.requested_build_id, run.build_id) for run in answers} == {("down-1", "down-1")}

    async with two_locations.client() as client:
        ticks = [tick async for tick in client.sensors.ticks("down", "numbers_changed")]
        events = [stored async for stored in client.events.list()]
    made = {
        stored.id: stored.event.run_id
        for stored in events
        if stored.event.WhichOneof("body") == "asset_materialization"
        and stored.event.run_id in upstream
    }
    # One materialization a run, one tick a materialization, in the order of the log.
    assert Counter(made.values()) == Counter(list(upstream))
    decided = [tick.event_id for tick in reversed(ticks) if tick.event_id in made]
    assert decided == sorted(made)
    runs_of_ticks = {run_id for tick in ticks for run_id in tick.run_ids if tick.event_id in made}
    assert runs_of_ticks == {run.run_id for run in answers}


async def test_the_value_crosses_between_the_locations(two_locations):
    async with two_locations.client() as client:
        upstream = await launch(client, 11)

        async def answered(client: connection.Client) -> list[runs_pb2.Run]:
            found = await triggered_by(client, {upstream})
            return [run for run in found if run.status in runs.FINAL_STATUSES]

        (answer,) = await two_locations.until(answered)
        kinds = ["asset_materialization", "loaded_input"]
        query = api_pb2.EventFilter(run_id=answer.run_id, kinds=kinds)
        events = [stored.event async for stored in client.events.list(query)]
    bodies = {event.WhichOneof("body"): event for event in events}
    loaded = bodies["loaded_input"].loaded_input.asset_key
    assert documents.format_asset_key(loaded) == "numbers"
    metadata = documents.metadata(bodies["asset_materialization"].asset_materialization.metadata)
    assert metadata["total"] == sum(range(11))


async def test_the_events_of_a_run_are_numbered_without_gaps(two_locations):
    async with two_locations.client() as client:
        upstream = await launch(client, 3)
        await client.runs.wait(upstream, timeout_s=20)
        query = api_pb2.EventFilter(run_id=upstream)
        events = [stored.event async for stored in client.events.list(query)]
    produced = [event.seq for event in events if event.seq]
    assert produced == list(range(1, len(produced) + 1))
    kinds = [event.WhichOneof("body") for event in events]
    assert kinds[0] == "run_enqueued"
    assert kinds[-1] == "run_succeeded"
    assert kinds.count("asset_materialization") == 1


async def test_the_graph_spans_the_locations(two_locations):
    async with two_locations.client() as client:
        asset = await client.assets.get(documents.parse_asset_key("numbers"))
    assert asset.owner_location_name == "up"
    assert sorted(asset.location_names) == ["down", "up"]
    assert [documents.format_asset_key(key) for key in asset.downstream_keys] == ["total"]
