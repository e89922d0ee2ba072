"""Launches are checked, idempotent, and say what is wrong with them."""

import json
import uuid

import pytest

import atoll as dg
from atoll._partition_messages import definitions as messages
from atoll.api.v1 import locations_pb2, runs_pb2
from atoll.definitions.v1 import values_pb2
from atoll_storage import records
from tests.integration import code_location

pytestmark = pytest.mark.postgres

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "ops": {
                "type": "object",
                "properties": {
                    "x": {
                        "type": "object",
                        "properties": {"config": {"properties": {"limit": {"type": "integer"}}}},
                    }
                },
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    }
).encode()


DAYS = messages.to_message(dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01"))
CUSTOMERS = messages.to_message(dg.DynamicPartitionsDefinition(name="customers"))
LETTERS = messages.to_message(dg.StaticPartitionsDefinition(list("abc")))
FRESH = values_pb2.AssetCheckKey(asset_key=code_location.key("x"), name="fresh")


@pytest.fixture
async def locations(mesh, host):
    a = code_location.snapshot(
        [
            code_location.asset("x"),
            code_location.asset("ext", executable=False),
            code_location.asset("daily", partitions=DAYS),
            code_location.asset("customer", partitions=CUSTOMERS),
        ],
        [
            code_location.job("only_a", "x", schema=SCHEMA, run_tags={"team": "one"}),
            code_location.job("both", "x"),
            code_location.job("parted", "x", partitions=LETTERS, check_keys=[FRESH]),
        ],
        checks=[code_location.check("x", "fresh")],
    )
    b = code_location.snapshot([code_location.asset("y", "x")], [code_location.job("both", "y")])
    return await mesh.location(host, "a", a), await mesh.location(host, "b", b)


def config(value) -> values_pb2.UserData:
    return values_pb2.UserData(content_type="application/json", data=json.dumps(value).encode())


async def launch(client, **request):
    return (await client.runs.LaunchRun(runs_pb2.LaunchRunRequest(**request))).run


async def refusal(client, **request):
    error = await client.refused(client.runs.LaunchRun(runs_pb2.LaunchRunRequest(**request)))
    listed = await client.runs.ListRuns(runs_pb2.ListRunsRequest())
    assert not listed.runs
    return error


async def test_a_job_is_found_without_its_location_where_only_one_has_it(client, locations):
    run = await launch(client, job_name="only_a", tags={"k": "v"})
    assert run.location_name == "a"
    assert dict(run.tags) == {"team": "one", "k": "v"}
    plan = await locations[0].next_plan()
    assert (plan.run_id, plan.job_name, plan.attempt) == (run.run_id, "only_a", 1)


async def test_assets_alone_mean_the_implicit_job_of_their_owner(client, locations):
    run = await launch(client, asset_selection=[code_location.key("y")])
    assert run.location_name == "b"
    assert run.job_name == "__ASSET_JOB"
    plan = await locations[1].next_plan()
    assert [list(each.path) for each in plan.asset_selection] == [["y"]]


async def test_an_ambiguous_job_names_the_locations(client, locations):
    error = await refusal(client, job_name="both")
    assert error.reason == "INVALID_REQUEST"
    assert "'a', 'b'" in error.message


async def test_an_unknown_job_is_refused(client, locations):
    error = await refusal(client, job_name="nonsense")
    assert error.reason == "UNKNOWN_JOB"
    assert "nonsense" in error.message
    error = await refusal(client, location_name="a", job_name="nonsense")
    assert "only_a" in error.message


async def test_an_unknown_location_is_refused(client, locations):
    error = await refusal(client, location_name="nowhere", job_name="both")
    assert error.reason == "UNKNOWN_LOCATION"
    assert "nowhere" in error.message


async def test_a_launch_of_nothing_is_refused(client, locations):
    assert "neither a job nor assets" in (await refusal(client)).message
    assert "neither a job nor assets" in (await refusal(client, location_name="a")).message


async def test_an_asset_of_another_location_says_whose_it_is(client, locations):
    error = await refusal(client, location_name="a", asset_selection=[code_location.key("y")])
    assert error.reason == "UNKNOWN_ASSET"
    assert "location 'b' does" in error.message


async def test_an_asset_of_nobody_and_an_external_one_are_refused(client, locations):
    error = await refusal(client, asset_selection=[code_location.key("nonsense")])
    assert error.reason == "UNKNOWN_ASSET"
    assert "'nonsense'" in error.message
    error = await refusal(client, location_name="a", asset_selection=[code_location.key("ext")])
    assert "'ext'" in error.message


async def test_run_config_that_does_not_fit_names_the_path_and_the_value(client, locations):
    wrong = {"ops": {"x": {"config": {"limit": "many"}}}}
    error = await refusal(client, job_name="only_a", run_config=config(wrong))
    assert error.reason == "INVALID_RUN_CONFIG"
    assert "ops.x.config.limit" in error.message
    assert "'many'" in error.message
    assert error.metadata["path"] == "ops.x.config.limit"


async def test_run_config_that_is_no_json_is_refused(client, locations):
    broken = values_pb2.UserData(content_type="application/json", data=b"{")
    assert (await refusal(client, job_name="only_a", run_config=broken)).reason == (
        "INVALID_RUN_CONFIG"
    )


async def test_fitting_run_config_reaches_the_location(client, locations):
    fitting = {"ops": {"x": {"config": {"limit": 3}}}}
    await launch(client, job_name="only_a", run_config=config(fitting))
    plan = await locations[0].next_plan()
    assert json.loads(plan.run_config.data) == fitting


async def test_repeating_a_request_returns_the_first_run(client, locations):
    request_id = str(uuid.uuid4())
    first = await launch(client, request_id=request_id, job_name="only_a")
    again = await launch(client, request_id=request_id, job_name="only_a")
    assert again.run_id == first.run_id
    listed = await client.runs.ListRuns(runs_pb2.ListRunsRequest())
    assert len(listed.runs) == 1


async def test_a_request_id_that_comes_back_with_another_run_is_refused(client, locations):
    request_id = str(uuid.uuid4())
    first = await launch(client, request_id=request_id, job_name="only_a")
    other = runs_pb2.LaunchRunRequest(request_id=request_id, location_name="b", job_name="both")
    error = await client.refused(client.runs.LaunchRun(other))
    assert error.reason == "REQUEST_ID_REUSED"
    assert first.run_id in error.message
    assert "its location" in error.message


async def test_a_run_of_a_location_that_is_away_waits_and_says_why(
    client, locations, host, until_view
):
    await locations[0].leave()
    await until_view(host, lambda registry: "a" not in registry.reachable())
    run = await launch(client, job_name="only_a")
    shown = (await client.runs.GetRun(runs_pb2.GetRunRequest(run_id=run.run_id))).run
    assert shown.status == runs_pb2.RUN_STATUS_QUEUED
    assert "'a' is away" in shown.waiting_reason
    await locations[0].join()
    assert (await locations[0].next_plan()).run_id == run.run_id


async def test_a_queued_run_is_canceled_at_once(client, locations, host, until_view):
    await locations[0].leave()
    await until_view(host, lambda registry: "a" not in registry.reachable())
    run = await launch(client, job_name="only_a")
    for _ in range(2):
        canceled = await client.runs.CancelRun(runs_pb2.CancelRunRequest(run_id=run.run_id))
        assert canceled.run.status == runs_pb2.RUN_STATUS_CANCELED


async def test_cancelling_a_started_run_reaches_its_location(client, locations):
    watch = await client.watch().begun()
    run = await launch(client, job_name="only_a")
    await locations[0].next_plan()
    events = code_location.succeeding(run.run_id)
    await locations[0].append(events[:1])
    await client.runs.CancelRun(runs_pb2.CancelRunRequest(run_id=run.run_id, reason="enough"))
    canceling = await watch.until("run_canceling", run.run_id)
    assert canceling.event.run_canceling.reason == "enough"


@pytest.mark.parametrize("method", ["GetRun", "CancelRun"])
async def test_an_unknown_run_is_said(client, method):
    request = getattr(runs_pb2, f"{method}Request")(run_id="nonsense")
    error = await client.refused(getattr(client.runs, method)(request))
    assert error.reason == "UNKNOWN_RUN"
    assert "nonsense" in error.message


async def test_runs_come_in_pages_newest_first(client, locations):
    ids = [(await launch(client, job_name="only_a")).run_id for _ in range(7)]
    found, token, pages = [], "", 0
    while True:
        request = runs_pb2.ListRunsRequest(page_size=3, page_token=token, location_name="a")
        page = await client.runs.ListRuns(request)
        found += [run.run_id for run in page.runs]
        pages += 1
        token = page.next_page_token
        if not token:
            break
    assert found == ids[::-1]
    assert pages == 3
    wrong = runs_pb2.ListRunsRequest(page_token="nonsense")
    assert (await client.refused(client.runs.ListRuns(wrong))).reason == "INVALID_PAGE_TOKEN"


async def test_fifty_runs_at_once_all_succeed(client, locations):
    watch = await client.watch().begun()
    locations[0].runs_at_once = True
    ids = {(await launch(client, job_name="only_a")).run_id for _ in range(50)}
    while ids:
        ids.discard((await watch.until("run_succeeded")).event.run_id)


async def test_what_a_run_is_to_run_reaches_its_location(client, locations):
    a, _ = locations
    first = await launch(client, job_name="parted", partition_key="b")
    run = await launch(
        client,
        job_name="parted",
        partition_range_start="a",
        partition_range_end="c",
        op_selection=["x"],
        asset_check_selection=[FRESH],
        step_keys=["x"],
        parent_run_id=first.run_id,
    )
    assert first.partition_key == first.tags["atoll/partition"] == "b"
    assert (run.parent_run_id, run.root_run_id) == (first.run_id, first.run_id)
    assert run.tags["atoll/asset_partition_range_start"] == "a"
    assert run.tags["atoll/root_run_id"] == first.run_id
    plans = {plan.run_id: plan for plan in [await a.next_plan(), await a.next_plan()]}
    plan = plans[run.run_id]
    assert (plan.partition_range_start, plan.partition_range_end) == ("a", "c")
    assert (list(plan.op_selection), list(plan.step_keys)) == (["x"], ["x"])
    assert list(plan.asset_check_selection) == [FRESH]
    assert (plan.parent_run_id, plan.root_run_id) == (first.run_id, first.run_id)
    grandchild = await launch(client, job_name="parted", parent_run_id=run.run_id)
    assert grandchild.root_run_id == first.run_id


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"partition_range_start": "a"}, "INVALID_REQUEST"),
        (
            {"partition_key": "p", "partition_range_start": "a", "partition_range_end": "b"},
            "INVALID_REQUEST",
        ),
        ({"op_selection": ["\0"]}, "INVALID_REQUEST"),
        ({"parent_run_id": "nothing"}, "UNKNOWN_RUN"),
    ],
)
async def test_a_run_that_makes_no_sense_is_refused(client, locations, wrong, reason):
    assert (await refusal(client, job_name="only_a", **wrong)).reason == reason


async def test_a_request_id_comes_back_with_the_same_partition_only(client, locations):
    request = {"job_name": "parted", "request_id": str(uuid.uuid4()), "partition_key": "a"}
    first = await launch(client, **request)
    assert (await launch(client, **request)).run_id == first.run_id
    other = runs_pb2.LaunchRunRequest(**{**request, "partition_key": "b"})
    error = await client.refused(client.runs.LaunchRun(other))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_a_partition_that_there_is_not_is_refused_with_those_there_are(client, locations):
    chosen = {"asset_selection": [code_location.key("daily")]}
    error = await refusal(client, partition_key="2026-02-30", **chosen)
    assert (error.reason, error.metadata["field"]) == ("INVALID_REQUEST", "partition_key")
    assert "from '2026-01-01' to '2026-01-31'" in error.message
    run = await launch(client, partition_key="2026-01-30", **chosen)
    assert run.tags["atoll/partition"] == "2026-01-30"


async def test_keys_of_dynamic_partitions_are_looked_up(host, client, locations):
    chosen = {"asset_selection": [code_location.key("customer")], "partition_key": "ann"}
    assert "no partitions yet" in (await refusal(client, **chosen)).message
    added = records.DynamicPartitionsChange(
        "customers", records.DynamicPartitionsChangeKind.ADD, ("bob", "ann")
    )
    await host.parts.store.partitions.change(added)
    error = await refusal(client, **{**chosen, "partition_key": "anne"})
    assert "Did you mean 'ann'" in error.message
    assert (await launch(client, **chosen)).partition_key == "ann"


async def test_a_check_is_launched_where_it_is_evaluated(client, locations):
    run = await launch(client, asset_check_selection=[FRESH])
    assert (run.location_name, run.job_name) == ("a", "__ASSET_JOB")
    wrong = values_pb2.AssetCheckKey(asset_key=code_location.key("x"), name="stale")
    call = client.runs.LaunchRun(runs_pb2.LaunchRunRequest(asset_check_selection=[wrong]))
    assert (await client.refused(call)).reason == "UNKNOWN_CHECK"


async def test_the_plan_tells_the_newest_materializations(client, locations):
    a, b = locations
    made = await launch(client, job_name="only_a")
    plan = await a.next_plan()
    assert [(list(one.asset_key.path), one.event_id) for one in plan.known_assets] == [(["x"], 0)]
    watch = await client.watch(from_beginning=True).begun()
    await a.append(code_location.succeeding(made.run_id, "x"))
    stored = await watch.until("asset_materialization")
    await launch(client, asset_selection=[code_location.key("y")])
    known = {one.asset_key.path[0]: one for one in (await b.next_plan()).known_assets}
    assert (known["x"].event_id, known["x"].run_id) == (stored.id, made.run_id)
    assert known["x"].HasField("definition")
    assert known["y"].event_id == 0
    assert not known["y"].HasField("definition")


async def test_only_a_run_that_ended_badly_is_gone_on_from(client, locations):
    parent = await launch(client, job_name="only_a")
    request = runs_pb2.LaunchRunRequest(
        job_name="only_a", parent_run_id=parent.run_id, tags={"atoll/is_resume_retry": "true"}
    )
    error = await client.refused(client.runs.LaunchRun(request))
    assert "so nothing of it ended badly" in error.message


async def test_a_job_is_shown_with_its_location(client, locations):
    found = await client.locations.GetJob(locations_pb2.GetJobRequest(job_name="only_a"))
    assert (found.location_name, found.job.name) == ("a", "only_a")
    both = client.locations.GetJob(locations_pb2.GetJobRequest(job_name="both"))
    assert "'a', 'b'" in (await client.refused(both)).message
    wrong = locations_pb2.GetJobRequest(job_name="only_a", location_name="b")
    error = await client.refused(client.locations.GetJob(wrong))
    assert error.reason == "UNKNOWN_JOB"
