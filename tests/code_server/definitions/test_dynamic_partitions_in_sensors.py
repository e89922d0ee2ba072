"""Sensors ask for changes of dynamic partitions, and for runs of partitions that they add."""

import pytest

import atoll as dg


def test_requests_are_data():
    request = dg.AddDynamicPartitionsRequest("days", ["a", "b"])
    assert (request.partitions_def_name, list(request.partition_keys)) == ("days", ["a", "b"])
    assert request == dg.AddDynamicPartitionsRequest(
        partitions_def_name="days", partition_keys=["a", "b"]
    )
    assert request != dg.DeleteDynamicPartitionsRequest("days", ["a", "b"])


@pytest.mark.parametrize(
    ("name", "keys"), [("", ["a"]), (None, ["a"]), ("d", "abc"), ("d", [1]), ("d", [""])]
)
def test_requests_that_cannot_be_are_refused(name, keys):
    for kind in (dg.AddDynamicPartitionsRequest, dg.DeleteDynamicPartitionsRequest):
        with pytest.raises(dg.InvalidInvocationError):
            kind(name, keys)


def test_a_result_carries_changes_and_runs_for_what_they_add():
    changes = [
        dg.AddDynamicPartitionsRequest("days", ["new"]),
        dg.DeleteDynamicPartitionsRequest("days", ["old"]),
    ]

    @dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="days"))
    def daily(): ...

    load = dg.define_asset_job("load", [daily])
    defs = dg.Definitions(assets=[daily], jobs=[load])

    @dg.sensor(job_name="load")
    def watch(context):
        return dg.SensorResult(
            [dg.RunRequest(partition_key="new")], dynamic_partitions_requests=changes
        )

    result = watch.evaluate_tick(dg.build_sensor_context(definitions=defs))
    assert list(result.dynamic_partitions_requests) == changes
    assert [request.partition_key for request in result.run_requests] == ["new"]


def test_changes_may_come_with_a_reason_to_skip():
    result = dg.SensorResult(
        skip_reason="nothing", dynamic_partitions_requests=[dg.AddDynamicPartitionsRequest("d", [])]
    )
    assert result.skip_reason == dg.SkipReason("nothing")
    assert len(result.dynamic_partitions_requests) == 1


def test_something_else_is_no_change():
    with pytest.raises(dg.InvariantViolationError, match="'days'"):
        dg.SensorResult(dynamic_partitions_requests=["days"])
