"""Runs are for partitions that there are; others are refused with those that come close."""

import pytest

import atoll as dg
from atoll._partition_messages import definitions as messages
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.runs import partitions, requests
from atoll_storage import records

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
REGIONS = dg.StaticPartitionsDefinition(["eu", "us"])
CUSTOMERS = dg.DynamicPartitionsDefinition(name="customers")
BY_BOTH = dg.MultiPartitionsDefinition({"day": DAYS, "region": REGIONS})
BY_CUSTOMER = dg.MultiPartitionsDefinition({"customer": CUSTOMERS, "region": REGIONS})
ASSETS = {
    "daily": DAYS,
    "daily_too": dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01"),
    "regional": REGIONS,
    "both": BY_BOTH,
    "custom": CUSTOMERS,
    "custom_region": BY_CUSTOMER,
    "whole": None,
}
KNOWN = partitions.DynamicKeys({"customers": ["ann", "bob"]}, {"customers": ["ann", "bob", "eve"]})


def place(dynamic=KNOWN):
    assets = [
        snapshot_pb2.AssetDefinition(
            key=values_pb2.AssetKey(path=[name]),
            op_name=name,
            executable=True,
            partitions=None if one is None else messages.to_message(one),
        )
        for name, one in ASSETS.items()
    ]
    keys = [asset.key for asset in assets]
    jobs = [
        snapshot_pb2.JobDefinition(name="__ASSET_JOB", implicit=True, asset_keys=keys),
        snapshot_pb2.JobDefinition(
            name="ops", graph_name="ops", partitions=messages.to_message(DAYS)
        ),
        snapshot_pb2.JobDefinition(name="plain", graph_name="plain"),
    ]
    snapshot = snapshot_pb2.LocationSnapshot(assets=assets, jobs=jobs)
    defined = definitions.decode("digest", snapshot.SerializeToString())
    return requests.Place("east", defined, lambda _: "", dynamic=dynamic)


def launch(*assets, key="", start="", end="", job="", at=None):
    requested = requests.RequestedRun(
        job_name=job,
        asset_selection=tuple((name,) for name in assets),
        partition_key=key,
        target=records.RunTarget(partition_range_start=start, partition_range_end=end),
    )
    return requests.launch(at or place(), requested, "run-1")


def refused(*assets, **given):
    with pytest.raises(errors.InvalidRequest) as raised:
        launch(*assets, **given)
    return raised.value


def test_a_partition_becomes_a_tag():
    assert launch("daily", key="2026-01-05").tags == {"atoll/partition": "2026-01-05"}
    assert launch(job="ops", key="2026-01-05").tags == {"atoll/partition": "2026-01-05"}


def test_two_dimensions_become_tags_of_their_own():
    run = launch("both", key="2026-01-05|eu")
    assert run.tags["atoll/partition/day"] == "2026-01-05"
    assert run.tags["atoll/partition/region"] == "eu"
    assert run.tags["atoll/partition"] == "2026-01-05|eu"


def test_a_partition_that_there_is_not_is_told_with_those_there_are():
    error = refused("daily", key="2026-01-32")
    assert error.field == "partition_key"
    assert "Asset 'daily'" in str(error)
    assert "'2026-01-32'" in str(error)
    assert "31, from '2026-01-01' to '2026-01-31'" in str(error)
    assert "Did you mean '2026-01-3" in str(error)


def test_a_partition_of_a_job_is_checked_against_the_job():
    assert "Job 'ops'" in str(refused(job="ops", key="2026-03-01"))
    assert "has no partitions" in str(refused(job="plain", key="2026-01-01"))


def test_each_selected_asset_must_have_the_partition():
    launch("daily", "daily_too", "whole", key="2026-01-05")
    assert "'2026-01-05'" in str(refused("daily", "regional", key="2026-01-05"))


def test_what_has_no_partitions_takes_none():
    error = refused("whole", key="2026-01-05")
    assert "Leave the partition out" in str(error)


def test_a_partitioned_asset_may_be_launched_without_a_partition():
    assert launch("daily").tags == {}


def test_a_wrong_dimension_is_named():
    assert "dimension 'region'" in str(refused("both", key="2026-01-05|asia"))
    assert "Write it as day|region" in str(refused("both", key="2026-01-05"))


def test_keys_of_dynamic_partitions_come_from_storage():
    launch("custom", key="ann")
    error = refused("custom", key="eva")
    assert "Did you mean 'eve'" in str(error)
    assert "atoll partitions add customers eva" in str(error)
    assert "no partitions yet" in str(refused("custom", key="ann", at=place(partitions.NO_DYNAMIC)))
    launch("custom_region", key="bob|us")
    assert "dimension 'customer'" in str(refused("custom_region", key="eva|us"))


def test_keys_that_the_same_evaluation_adds_count():
    added = records.DynamicPartitionsChange(
        "customers", records.DynamicPartitionsChangeKind.ADD, ("new",)
    )
    deleted = records.DynamicPartitionsChange(
        "customers", records.DynamicPartitionsChangeKind.DELETE, ("ann",)
    )
    sensor = snapshot_pb2.SensorDefinition(
        name="watch", asset_selection=[values_pb2.AssetKey(path=["custom"])]
    )
    origin = requests.SensorOrigin(sensor, "tick", "build", [added, deleted])

    def ask(key):
        requested = requests.RequestedRun(partition_key=key)
        return requests.for_sensor(place(), requested, origin, "run-1")

    assert ask("new").tags["atoll/partition"] == "new"
    with pytest.raises(errors.InvalidRequest, match="'ann'"):
        ask("ann")


def test_both_ends_of_a_range_are_checked():
    run = launch("daily", start="2026-01-02", end="2026-01-04")
    assert run.tags["atoll/asset_partition_range_start"] == "2026-01-02"
    assert refused("daily", start="2026-01-02", end="2026-03-04").field == "partition_range_end"
    assert refused("daily", start="2025-01-02", end="2026-01-04").field == "partition_range_start"
    assert "ends before it begins" in str(refused("daily", start="2026-01-04", end="2026-01-02"))
    assert "ends before it begins" in str(refused("custom", start="bob", end="ann"))


def test_a_definition_is_read_once_however_many_assets_have_it():
    known = place().definitions.partitions
    assert known.of_asset(("daily",)) is known.of_asset(("daily_too",))
    assert known.dynamic_names == {"customers"}


def test_a_million_partitions_are_no_problem():
    many = dg.HourlyPartitionsDefinition("1900-01-01-00:00", end_date="2026-01-01-00:00")
    asked = partitions.Wanted("2025-12-31-23:00", "", "")
    assert partitions.check("X", [many], asked, KNOWN)
    with pytest.raises(errors.InvalidRequest, match=r"There is no partition '2027'.*1104\d\d\d"):
        partitions.check("X", [many], partitions.Wanted("2027", "", ""), KNOWN)
