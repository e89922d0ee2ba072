"""What people and programs report counts like what runs make: for sensors, partitions, checks."""

import asyncio
import datetime as dt
import json

import click.testing
import pytest

import atoll as dg
from atoll._cli import report as report_command
from atoll._rpc import reasons
from atoll._wire import snapshot as snapshots
from atoll.api.v1 import assets_pb2, checks_pb2, reports_pb2, reports_pb2_grpc, runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import records
from tests.integration import code_location

pytestmark = pytest.mark.postgres

DAYS = dg.DailyPartitionsDefinition("2026-01-01")


def defined() -> snapshot_pb2.LocationSnapshot:
    @dg.asset
    def sales() -> int:
        return 1

    @dg.asset(partitions_def=DAYS)
    def daily() -> int:
        return 1

    @dg.asset_check(asset=sales, blocking=True)
    def fresh() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    files = dg.AssetSpec("files", partitions_def=dg.DynamicPartitionsDefinition(name="files"))
    job = dg.define_asset_job("load", selection=[sales])

    @dg.asset_sensor(
        asset_key=dg.AssetKey(["lake", "raw"]),
        job=job,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def on_raw() -> dg.RunRequest:
        return dg.RunRequest()

    return snapshots.to_message(
        dg.Definitions(
            assets=[sales, daily, dg.AssetSpec(["lake", "raw"]), files],
            asset_checks=[fresh],
            jobs=[job],
            sensors=[on_raw],
        )
    )


@pytest.fixture
async def location(mesh, host):
    return await mesh.location(host, "town", defined())


@pytest.fixture
def stub(client, location):
    return reports_pb2_grpc.ReportsServiceStub(client.channel)


def materialized(name: str, **fields) -> reports_pb2.ReportMaterializationRequest:
    return reports_pb2.ReportMaterializationRequest(asset_key=code_location.key(name), **fields)


async def listed(client, name: str) -> list[events_pb2.StoredEvent]:
    request = assets_pb2.ListMaterializationsRequest(asset_key=code_location.key(name))
    return list((await client.assets.ListMaterializations(request)).materializations)


async def test_a_report_is_an_event_like_others(client, stub):
    answer = await stub.ReportMaterialization(
        materialized(
            "lake/raw",
            description="new files",
            metadata={"rows": values_pb2.MetadataValue(int=42)},
            tags={"team": "lake"},
            data_version="v7",
            code_version="c1",
        )
    )
    (stored,) = await listed(client, "lake/raw")
    assert (stored.id, stored.location_name) == (answer.event_id, "town")
    told = stored.event.asset_materialization
    assert (told.description, told.metadata["rows"].int) == ("new files", 42)
    assert dict(told.tags) == {
        "team": "lake",
        "atoll/data_version": "v7",
        "atoll/data_version_is_user_provided": "true",
        "atoll/code_version": "c1",
    }
    assert stored.event.HasField("timestamp")
    asset = await client.assets.GetAsset(
        assets_pb2.GetAssetRequest(asset_key=code_location.key("lake/raw"))
    )
    assert asset.asset.latest_materialization.id == stored.id


async def test_a_sensor_sees_a_report(client, stub, location):
    await stub.ReportMaterialization(materialized("lake/raw"))
    plan = await asyncio.wait_for(location.plans.get(), 10)
    assert plan.job_name == "load"
    runs = await client.runs.ListRuns(runs_pb2.ListRunsRequest())
    assert [run.sensor_name for run in runs.runs] == ["on_raw"]


async def test_repeating_a_report_stores_nothing(client, stub):
    request = materialized("lake/raw", request_id="r1")
    first = await stub.ReportMaterialization(request)
    assert await stub.ReportMaterialization(request) == first
    assert len(await listed(client, "lake/raw")) == 1


async def test_the_time_is_that_of_the_report(client, stub):
    request = materialized("lake/raw")
    request.event_time.FromDatetime(dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    await stub.ReportMaterialization(request)
    (stored,) = await listed(client, "lake/raw")
    assert stored.event.timestamp == request.event_time


async def test_what_nobody_defines_has_to_be_meant_so(client, stub):
    error = await client.refused(stub.ReportMaterialization(materialized("lake/rwa")))
    assert error.reason == reasons.UNKNOWN_ASSET
    await stub.ReportMaterialization(materialized("lake/rwa", allow_undefined=True, partition="p"))
    (stored,) = await listed(client, "lake/rwa")
    assert stored.location_name == ""


WRONG = [
    (materialized(""), "asset_key"),
    (materialized("lake/raw", partition="x"), "partition"),
    (materialized("daily"), "partition"),
    (materialized("daily", partition="2025-12-31"), "partition_key"),
    (materialized("files", partition="a"), "partition_key"),
    (materialized("lake/raw", tags={"atoll/data_version": "x"}), "tags"),
    (materialized("lake/raw", event_time={"seconds": 4_102_444_800}), "event_time"),
    (materialized("lake/raw", request_id="r" * 300), "request_id"),
    (
        materialized("lake/raw", metadata={"m": values_pb2.MetadataValue(text="x" * 1_100_000)}),
        "metadata",
    ),
]


async def test_a_wrong_report_is_refused_whole(client, stub, host):
    before = await host.parts.store.events.head()
    for request, field in WRONG:
        error = await client.refused(stub.ReportMaterialization(request))
        assert (error.reason, error.metadata["field"]) == (reasons.INVALID_REQUEST, field)
    assert await host.parts.store.events.head() == before


async def test_dynamic_partitions_are_those_that_were_added(host, client, stub):
    await host.parts.store.partitions.change(
        _adding("files", "a"),
    )
    await stub.ReportMaterialization(materialized("files", partition="a"))
    (stored,) = await listed(client, "files")
    assert stored.event.asset_materialization.partition == "a"


def _adding(name: str, key: str):
    return records.DynamicPartitionsChange(name, records.DynamicPartitionsChangeKind.ADD, (key,))


async def states(client) -> dict[str, int]:
    request = assets_pb2.GetAssetPartitionsRequest(asset_key=code_location.key("daily"))
    answer = await client.assets.GetAssetPartitions(request)
    return {
        assets_pb2.PartitionState.Name(each.state).removeprefix("PARTITION_STATE_"): each.count
        for each in answer.states
        if each.state != assets_pb2.PARTITION_STATE_MISSING
    }


async def test_partitions_are_in_progress_then_failed_then_made(client, stub):
    key, day = code_location.key("daily"), "2026-01-05"
    nothing = {"IN_PROGRESS": 0, "FAILED": 0, "MATERIALIZED": 0}
    assert await states(client) == nothing
    begun = reports_pb2.ReportMaterializationStartedRequest(asset_key=key, partition=day)
    await stub.ReportMaterializationStarted(begun)
    assert await states(client) == {**nothing, "IN_PROGRESS": 1}
    broken = reports_pb2.ReportMaterializationFailureRequest(
        asset_key=key, partition=day, reason="no room"
    )
    await stub.ReportMaterializationFailure(broken)
    assert await states(client) == {**nothing, "FAILED": 1}
    await stub.ReportMaterializationStarted(begun)
    assert await states(client) == {**nothing, "IN_PROGRESS": 1}
    await stub.ReportMaterialization(materialized("daily", partition=day))
    assert await states(client) == {**nothing, "MATERIALIZED": 1}


async def test_an_evaluation_is_about_the_newest_materialization(client, stub):
    made = await stub.ReportMaterialization(materialized("sales"))
    check_key = values_pb2.AssetCheckKey(asset_key=code_location.key("sales"), name="fresh")
    await stub.ReportCheckEvaluation(
        reports_pb2.ReportCheckEvaluationRequest(check_key=check_key, passed=False)
    )
    answer = await client.checks.GetAssetCheck(checks_pb2.GetAssetCheckRequest(key=check_key))
    told = answer.check.latest_evaluation.event.asset_check_evaluation
    assert not told.passed
    assert told.blocking
    assert told.severity == events_pb2.ASSET_CHECK_SEVERITY_ERROR
    assert told.checked_materialization.event_id == made.event_id


async def test_a_check_that_nobody_defines_has_to_be_meant_so(client, stub):
    check_key = values_pb2.AssetCheckKey(asset_key=code_location.key("sales"), name="other")
    request = reports_pb2.ReportCheckEvaluationRequest(check_key=check_key, passed=True)
    error = await client.refused(stub.ReportCheckEvaluation(request))
    assert error.reason == reasons.UNKNOWN_CHECK
    request.allow_undefined = True
    assert (await stub.ReportCheckEvaluation(request)).event_id


async def test_observations_are_listed_by_partition_and_time(client, stub):
    for day in (1, 2, 3):
        request = reports_pb2.ReportObservationRequest(
            asset_key=code_location.key("daily"), partition=f"2026-01-0{day}"
        )
        request.event_time.FromDatetime(dt.datetime(2026, 2, day, tzinfo=dt.UTC))
        await stub.ReportObservation(request)

    async def seen(**fields) -> list[str]:
        request = assets_pb2.ListObservationsRequest(asset_key=code_location.key("daily"), **fields)
        answer = await client.assets.ListObservations(request)
        return [each.event.asset_observation.partition for each in answer.observations]

    assert await seen() == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert await seen(partitions=["2026-01-02"]) == ["2026-01-02"]
    noon = int(dt.datetime(2026, 2, 1, 12, tzinfo=dt.UTC).timestamp())
    assert await seen(before_time={"seconds": noon}) == ["2026-01-01"]
    assert await seen(after_time={"seconds": noon}) == ["2026-01-03", "2026-01-02"]
    first = await client.assets.ListObservations(
        assets_pb2.ListObservationsRequest(asset_key=code_location.key("daily"), page_size=2)
    )
    assert await seen(page_size=2, page_token=first.next_page_token) == ["2026-01-01"]


async def run(host, *arguments: str) -> click.testing.Result:
    return await asyncio.to_thread(
        click.testing.CliRunner().invoke,
        report_command.report,
        list(arguments),
        env={"ATOLL_HOST": host.address},
    )


async def test_the_command_reports_everything(host, client, stub):
    made = await run(
        host,
        *("materialization", "lake/raw", "--metadata", "rows=42", "--metadata", "name:text=7"),
        *("--data-version", "v1", "--tag", "team=lake", "--json"),
    )
    assert made.exit_code == 0, made.output
    (stored,) = await listed(client, "lake/raw")
    assert json.loads(made.output) == {"event_id": stored.id}
    metadata = stored.event.asset_materialization.metadata
    assert (metadata["rows"].int, metadata["name"].text) == (42, "7")
    for arguments in (
        ("observation", "lake/raw", "--metadata", "size=1.5"),
        ("check", "sales", "fresh", "--passed", "--description", "good"),
        ("started", "daily", "--partition", "2026-01-01"),
        ("failure", "daily", "--partition", "2026-01-01", "--reason", "no room"),
    ):
        told = await run(host, *arguments)
        assert told.exit_code == 0, told.output
        assert told.output.startswith("Reported ")
    refused = await run(host, "materialization", "nobody/knows")
    assert refused.exit_code == 1
    assert "No location defines" in refused.output
    wrong = await run(host, "materialization", "lake/raw", "--metadata", "rows:int=many")
    assert wrong.exit_code == 2
