"""Partitions by state, staleness across locations, partition keys, jobs, builds and limits."""

import asyncio
import json

import click.testing
import pytest

import atoll as dg
from atoll._cli import assets as assets_command
from atoll._cli import jobs as jobs_command
from atoll._cli import limits as limits_command
from atoll._cli import locations as locations_command
from atoll._cli import partitions as partitions_command
from atoll._rpc import reasons
from atoll._wire import snapshot as snapshots
from atoll.api.v1 import (
    assets_pb2,
    builds_pb2,
    builds_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    partitions_pb2,
    partitions_pb2_grpc,
    runs_pb2,
    server_pb2,
    server_pb2_grpc,
)
from atoll.events.v1 import events_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
PLACES = dg.MultiPartitionsDefinition(
    {"day": DAYS, "place": dg.StaticPartitionsDefinition(["north", "south"])}
)


@dg.asset(code_version="1")
def raw() -> int:
    return 1


@dg.asset(deps=["raw"], code_version="1")
def report() -> int:
    return 1


@dg.asset(partitions_def=DAYS)
def daily() -> int:
    return 1


@dg.asset(partitions_def=PLACES)
def placed() -> int:
    return 1


class Limits(dg.Config):
    rows: int = 10


@dg.op
def count(config: Limits) -> int:
    return config.rows


@dg.job(description="Counts.\nSlowly.")
def counting() -> None:
    count()


def lake(**changes) -> object:
    made = {
        "assets": [raw, daily, placed],
        "jobs": [counting, dg.define_asset_job("days", selection=[daily])],
    }
    return snapshots.to_message(dg.Definitions(**{**made, **changes}))


@pytest.fixture
async def locations(mesh, host):
    one = await mesh.location(host, "lake", lake())
    town = snapshots.to_message(dg.Definitions(assets=[report, dg.AssetSpec("raw")]))
    return one, await mesh.location(host, "town", town)


@pytest.fixture
def stub(client, locations):
    return client.assets


async def materialize(host, name: str, partition: str = "", **tags: str) -> int:
    event = events_pb2.Event()
    body = event.asset_materialization
    body.asset_key.CopyFrom(code_location.key(name))
    body.partition = partition
    body.tags.update({f"atoll/{key.replace('__', '/')}": value for key, value in tags.items()})
    return await host.parts.store.events.report(event, "lake")


async def counts(stub, name: str) -> tuple[int, dict[str, int]]:
    request = assets_pb2.GetAssetPartitionsRequest(asset_key=code_location.key(name))
    answer = await stub.GetAssetPartitions(request)
    prefix = "PARTITION_STATE_"
    told = {
        assets_pb2.PartitionState.Name(each.state).removeprefix(prefix): each.count
        for each in answer.states
    }
    return answer.total_count, told


async def test_time_windows_are_told_as_ranges(host, stub):
    for day in (2, 3, 4, 8):
        await materialize(host, "daily", f"2026-01-{day:02}")
    await materialize(host, "daily", "2031-01-01")
    total, told = await counts(stub, "daily")
    assert (total, told["MATERIALIZED"], told["MISSING"]) == (10, 4, 6)
    request = assets_pb2.GetAssetPartitionsRequest(asset_key=code_location.key("daily"))
    answer = await stub.GetAssetPartitions(request)
    (made,) = (
        each for each in answer.states if each.state == assets_pb2.PARTITION_STATE_MATERIALIZED
    )
    windows = [
        (window.start.ToJsonString()[:10], window.end.ToJsonString()[:10])
        for window in made.subset.time_windows.windows
    ]
    assert windows == [("2026-01-02", "2026-01-05"), ("2026-01-08", "2026-01-09")]


async def test_two_dimensions_are_told_as_rectangles(host, stub):
    for day in ("2026-01-01", "2026-01-02"):
        await materialize(host, "placed", f"{day}|south")
    total, told = await counts(stub, "placed")
    assert (total, told["MATERIALIZED"]) == (20, 2)
    listed = await stub.ListAssetPartitions(
        assets_pb2.ListAssetPartitionsRequest(
            asset_key=code_location.key("placed"), states=[assets_pb2.PARTITION_STATE_MATERIALIZED]
        )
    )
    keys = [each.partition_key for each in listed.partitions]
    assert keys == ["2026-01-01|south", "2026-01-02|south"]


async def test_partitions_of_a_queued_run_are_in_progress(client, host, stub, locations):
    await client.runs.LaunchRun(
        runs_pb2.LaunchRunRequest(location_name="lake", job_name="days", partition_key="2026-01-03")
    )
    _, told = await counts(stub, "daily")
    assert told == {"IN_PROGRESS": 1, "FAILED": 0, "MATERIALIZED": 0, "MISSING": 9}


async def test_partitions_page_in_their_order_both_ways(host, stub):
    await materialize(host, "daily", "2026-01-02")

    async def listed(**fields) -> list[str]:
        found, token = [], ""
        while True:
            request = assets_pb2.ListAssetPartitionsRequest(
                asset_key=code_location.key("daily"), page_size=4, page_token=token, **fields
            )
            answer = await stub.ListAssetPartitions(request)
            found += [each.partition_key for each in answer.partitions]
            token = answer.next_page_token
            if not token:
                return found

    everything = [f"2026-01-{day:02}" for day in range(1, 11)]
    assert await listed() == everything
    assert await listed(descending=True) == everything[::-1]
    missing = [assets_pb2.PARTITION_STATE_MISSING]
    assert await listed(states=missing) == [each for each in everything if each[-1] != "2"]


async def test_an_asset_without_partitions_says_so(client, stub):
    error = await client.refused(counts(stub, "raw"))
    assert error.reason == reasons.INVALID_REQUEST
    assert "no partitions" in error.message


async def stale(stub, **fields) -> dict[str, str]:
    answer = await stub.ListStaleness(assets_pb2.ListStalenessRequest(**fields))
    return {
        "/".join(each.asset_key.path): assets_pb2.StaleStatus.Name(each.status).removeprefix(
            "STALE_STATUS_"
        )
        for each in answer.assets
    }


async def test_staleness_crosses_locations(host, stub):
    chosen = {"selection": "key:raw or key:report"}
    assert await stale(stub, **chosen) == {"raw": "MISSING", "report": "MISSING"}
    await materialize(host, "raw", code_version="1", data_version="d1")
    await materialize(
        host, "report", code_version="1", data_version="r1", input_data_version__raw="d1"
    )
    assert await stale(stub, **chosen) == {"raw": "FRESH", "report": "FRESH"}
    await materialize(host, "raw", code_version="0", data_version="d2")
    assert await stale(stub, **chosen) == {"raw": "STALE", "report": "STALE"}
    only = {"statuses": [assets_pb2.STALE_STATUS_STALE], "location_name": "town"}
    assert await stale(stub, **only) == {"raw": "STALE", "report": "STALE"}
    asked = assets_pb2.GetStalenessRequest(asset_key=code_location.key("report"))
    told = (await stub.GetStaleness(asked)).asset
    assert [cause.reason for cause in told.causes] == ["'raw' has a new data version"]
    assert (told.owner_location_name, told.data_version) == ("town", "r1")


async def test_staleness_of_a_partition_looks_at_that_partition(mesh, host, stub):
    assets = [
        code_location.asset("source", executable=False),
        code_location.asset("made", "source"),
    ]
    day_of = lake().assets[0].partitions
    for asset in assets:
        asset.partitions.CopyFrom(day_of)
    await mesh.location(host, "days", code_location.snapshot(assets))

    async def told(partition: str) -> assets_pb2.AssetStaleness:
        asked = assets_pb2.GetStalenessRequest(
            asset_key=code_location.key("made"), partition=partition
        )
        return (await stub.GetStaleness(asked)).asset

    event = events_pb2.Event()
    event.asset_observation.asset_key.path.append("source")
    event.asset_observation.partition = "2026-01-01"
    seen = await host.parts.store.events.report(event, "days")
    versions = {"code_version": "1", "input_data_version__source": str(seen)}
    await materialize(host, "made", "2026-01-01", **versions)
    assert (await told("2026-01-01")).status == assets_pb2.STALE_STATUS_FRESH
    assert (await told("2026-01-02")).status == assets_pb2.STALE_STATUS_MISSING
    await host.parts.store.events.report(event, "days")
    again = await told("2026-01-01")
    assert [cause.reason for cause in again.causes] == ["'source' has a new data version"]


async def test_assets_tell_how_fresh_they_are(stub):
    answer = await stub.GetAsset(assets_pb2.GetAssetRequest(asset_key=code_location.key("raw")))
    assert answer.asset.freshness_state == events_pb2.FRESHNESS_STATE_NOT_APPLICABLE


@pytest.fixture
def partitions(client, locations):
    return partitions_pb2_grpc.PartitionsServiceStub(client.channel)


def keys_request(**fields) -> partitions_pb2.ListPartitionKeysRequest:
    return partitions_pb2.ListPartitionKeysRequest(**fields)


async def test_keys_of_assets_and_jobs_are_computed(partitions):
    first = await partitions.ListPartitionKeys(keys_request(job_name="days", page_size=3))
    assert (first.total_count, first.location_name) == (10, "lake")
    assert [each.partition_key for each in first.partitions][-1] == "2026-01-03"
    window = first.partitions[0].time_window
    assert window.end.seconds - window.start.seconds == 86_400
    ranged = await partitions.ListPartitionKeys(
        keys_request(
            asset_key=code_location.key("placed"),
            range_start="2026-01-09|south",
            range_end="2026-01-10|north",
            descending=True,
        )
    )
    found = [dict(each.dimension_keys) for each in ranged.partitions]
    assert found == [
        {"day": "2026-01-10", "place": "north"},
        {"day": "2026-01-09", "place": "south"},
    ]


async def test_a_key_is_told_or_refused(client, partitions):
    asked = partitions_pb2.GetPartitionKeyRequest(
        asset_key=code_location.key("daily"), partition_key="2026-01-10"
    )
    answer = await partitions.GetPartitionKey(asked)
    assert answer.partition.time_window.start.ToJsonString() == "2026-01-10T00:00:00Z"
    asked.partition_key = "2026-01-11"
    error = await client.refused(partitions.GetPartitionKey(asked))
    assert "2026-01-11" in error.message
    for wrong in (
        keys_request(),
        keys_request(job_name="days", asset_key=code_location.key("daily")),
        keys_request(job_name="counting"),
        keys_request(job_name="days", range_start="nothing"),
    ):
        error = await client.refused(partitions.ListPartitionKeys(wrong))
        assert error.reason == reasons.INVALID_REQUEST


async def test_jobs_are_listed_with_their_configuration(client, locations):
    jobs = jobs_pb2_grpc.JobsServiceStub(client.channel)
    plain = await jobs.ListJobs(jobs_pb2.ListJobsRequest())
    found = [(job.location_name, job.definition.name) for job in plain.jobs]
    assert found == [("lake", "counting"), ("lake", "days")]
    assert list(plain.jobs[0].op_names) == ["count"]
    assert not plain.jobs[0].definition.HasField("config_schema")
    first = await jobs.ListJobs(jobs_pb2.ListJobsRequest(with_config=True, page_size=1))
    assert "rows" in first.jobs[0].definition.config_schema.data.decode()
    rest = await jobs.ListJobs(
        jobs_pb2.ListJobsRequest(with_config=True, page_size=1, page_token=first.next_page_token)
    )
    assert [job.definition.name for job in rest.jobs] == ["days"]
    assert not rest.next_page_token
    town = await jobs.ListJobs(jobs_pb2.ListJobsRequest(location_name="town", with_implicit=True))
    assert [job.definition.implicit for job in town.jobs] == [True]


async def test_loads_are_remembered_and_compared(client, host, locations, until_view):
    builds = builds_pb2_grpc.BuildsServiceStub(client.channel)
    one, _ = locations
    one.load(lake(jobs=[], assets=[raw.with_attributes(group_names_by_key={raw.key: "g"})]), "b2")
    await one.tell()
    await until_view(host, lambda registry: registry.location("lake").build.build_id == "b2")
    loads = (await builds.ListLoads(builds_pb2.ListLoadsRequest(location_name="lake"))).loads
    assert [load.build.build_id for load in loads] == ["b2", "b1"]
    answer = await builds.GetBuildChanges(builds_pb2.GetBuildChangesRequest(location_name="lake"))
    told = {
        (
            builds_pb2.DefinitionKind.Name(change.definition_kind),
            change.name,
        ): builds_pb2.ChangeKind.Name(change.change_kind)
        for change in answer.changes
    }
    assert told["DEFINITION_KIND_ASSET", "daily"] == "CHANGE_KIND_REMOVED"
    assert told["DEFINITION_KIND_JOB", "counting"] == "CHANGE_KIND_REMOVED"
    (changed,) = (change for change in answer.changes if change.name == "raw")
    assert list(changed.field_names) == ["group_name"]
    error = await client.refused(
        builds.GetBuildChanges(
            builds_pb2.GetBuildChangesRequest(location_name="lake", from_build_id="nothing")
        )
    )
    assert error.reason == reasons.UNKNOWN_BUILD


async def test_limits_are_told(client, host):
    limits = await server_pb2_grpc.ServerServiceStub(client.channel).GetLimits(
        server_pb2.GetLimitsRequest()
    )
    assert (limits.page_size_max, limits.graph_page_size_max) == (1000, 10_000)
    assert limits.version == host.version
    assert {"graph", "reports"} <= set(limits.features)


async def run(host, command, *arguments: str) -> str:
    runner = click.testing.CliRunner()
    environment = {"ATOLL_HOST": host.address, "TZ": "UTC"}
    result = await asyncio.to_thread(runner.invoke, command, list(arguments), env=environment)
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_commands_show_all_of_it(host, stub):
    await materialize(host, "daily", "2026-01-02")
    await materialize(host, "raw", code_version="0")
    show = assets_command.assets
    graph = json.loads(await run(host, show, "graph", "group:default", "--json"))
    assert {node["asset_key"] for node in graph["nodes"]} == {"raw", "daily", "placed", "report"}
    assert "report" in await run(host, show, "lineage", "raw", "--direction", "down")
    assert "MATERIALIZED" in await run(host, show, "partitions", "daily")
    found = json.loads(
        await run(host, show, "partitions", "daily", "--state", "materialized", "--json")
    )
    assert [each["partition_key"] for each in found["partitions"]] == ["2026-01-02"]
    assert "the code version is '1' and was '0'" in await run(host, show, "staleness", "key:raw")
    assert "2026-01-02" in await run(host, show, "materializations", "daily")
    assert "no such observations" in await run(host, show, "observations", "daily")
    assert "counting" in await run(host, jobs_command.jobs, "list")
    schema = json.loads(await run(host, jobs_command.jobs, "show", "counting", "--config-schema"))
    assert "ops" in schema["properties"]
    assert "b1" in await run(host, locations_command.locations, "builds", "lake")
    keys = await run(host, partitions_command.partitions, "keys", "--job", "days", "--limit", "2")
    assert "2026-01-02" in keys
    assert "16,777,216 bytes" in await run(host, limits_command.limits)
