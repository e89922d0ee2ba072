"""Runs say what they are for, by fields and by tags alike."""

import datetime as dt
import uuid

import pytest

import atoll as dg


def test_a_run_has_an_id_of_its_own():
    first, second = dg.Run("load"), dg.Run("load")
    assert first.run_id != second.run_id
    assert uuid.UUID(first.run_id).version == 4
    assert str(uuid.UUID(first.run_id)) == first.run_id


def test_fields_are_read_from_tags_where_they_are_not_given():
    tags = {
        "atoll/partition": "p",
        "atoll/asset_partition_range_start": "a",
        "atoll/asset_partition_range_end": "b",
        "atoll/parent_run_id": "parent",
        "atoll/root_run_id": "root",
    }
    run = dg.Run("load", "r", tags=tags)
    assert (run.partition_key, run.partition_range_start, run.partition_range_end) == (
        "p",
        "a",
        "b",
    )
    assert (run.get_parent_run_id(), run.get_root_run_id()) == ("parent", "root")
    assert run.previous_run_id == "parent"
    assert run.is_partitioned
    assert dg.Run("load", "r", tags=tags, partition_key="own").partition_key == "own"
    assert not dg.Run("load").is_partitioned


@pytest.mark.parametrize(
    ("status", "cancelable", "failed_or_canceled", "finished"),
    [
        (dg.RunStatus.QUEUED, True, False, False),
        (dg.RunStatus.STARTED, True, False, False),
        (dg.RunStatus.CANCELING, False, False, False),
        (dg.RunStatus.FAILURE, False, True, True),
        (dg.RunStatus.CANCELED, False, True, True),
        (dg.RunStatus.SUCCESS, False, False, True),
    ],
)
def test_what_a_status_means(status, cancelable, failed_or_canceled, finished):
    run = dg.Run("load").with_status(status)
    assert run.is_cancelable is cancelable
    assert run.is_failure_or_canceled is failed_or_canceled
    assert run.is_finished is finished


def test_selections_of_assets_and_checks_together():
    key = dg.AssetKey("a")
    assert dg.Run("load").entity_selection is None
    assert dg.Run("load", asset_selection=frozenset([key])).entity_selection == {key}
    assert dg.Run("load").with_tags({"a": "b"}).tags == {"a": "b"}
    assert dg.Run("load", tags={"atoll/is_resume_retry": "true"}).is_resume_retry


def test_filters_are_checked():
    with pytest.raises(dg.InvalidInvocationError):
        dg.RunsFilter(run_ids=[])
    with pytest.raises(dg.UnsupportedParameterError):
        dg.RunsFilter(snapshot_id="x")
    with pytest.raises(ValueError, match="FINE"):
        dg.RunsFilter(statuses=["FINE"])
    naive = dg.RunsFilter(created_after=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - on purpose
    assert naive.created_after == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_filters_over_events_are_checked():
    with pytest.raises(dg.InvalidInvocationError, match="STEP_START"):
        dg.RunStatusChangeRecordsFilter(dg.EventType.STEP_START)
    with pytest.raises(dg.InvalidInvocationError, match="asset_key"):
        dg.EventRecordsFilter(dg.EventType.ASSET_MATERIALIZATION, asset_partitions=["p"])
