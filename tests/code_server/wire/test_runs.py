"""Plans and requests for runs mean the same on both sides."""

import datetime as dt

import pytest

from atoll import errors
from atoll._definitions import keys, run_requests, runs
from atoll._instance import instance as instances
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import static_partitions
from atoll._wire import keys as keys_wire
from atoll._wire import runs as wire
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2

CONFIG = {"ops": {"a": {"config": {"n": 1, "text": "ž", "none": None, "list": [1.5, True]}}}}


@pytest.mark.parametrize(
    "request_",
    [
        run_requests.RunRequest(),
        run_requests.RunRequest(
            run_key="k",
            run_config=CONFIG,
            tags={"a": "b"},
            job_name="job",
            asset_selection=[keys.AssetKey(["b", "c"]), keys.AssetKey("a")],
            partition_key="2024",
            asset_check_keys=[keys.AssetCheckKey(keys.AssetKey("a"), "b")],
        ),
    ],
)
def test_a_run_request_comes_back_as_it_was(request_):
    message = location_pb2.RunRequest.FromString(
        wire.request_to_message(request_).SerializeToString()
    )
    assert wire.request_from_message(message) == request_


def test_a_request_without_config_leaves_it_to_the_job():
    assert not wire.request_to_message(run_requests.RunRequest()).HasField("run_config")


def test_config_that_json_cannot_say_is_refused_with_what_to_do():
    with pytest.raises(errors.InvalidConfigError, match=r"cannot be sent.*Give strings"):
        wire.config_to_message({"ops": {"x": object()}})


@pytest.mark.parametrize("data", [b"{", b"[1]", b"\xff"])
def test_config_that_is_no_object_is_refused(data):
    with pytest.raises(errors.InvalidConfigError, match="JSON"):
        wire.config_from_message(values_pb2.UserData(content_type="application/json", data=data))


def test_a_plan_tells_what_is_known_of_assets():
    days = static_partitions.StaticPartitionsDefinition(["a", "b"])
    plan = location_pb2.RunPlan()
    own = plan.known_assets.add(event_id=7, run_id="r", tags={"atoll/data_version": "v"})
    own.asset_key.path.append("own")
    own.timestamp.FromSeconds(5)
    foreign = plan.known_assets.add()
    foreign.asset_key.path.append("foreign")
    foreign.definition.io_manager_key = "lake"
    foreign.definition.partitions.CopyFrom(partition_messages.to_message(days))
    with instances.Instance.ephemeral() as instance:
        specs, told = wire.known_assets(plan, instance)
    newest = told.newest[keys.AssetKey("own")]
    assert (newest.storage_id, newest.run_id, newest.timestamp) == (7, "r", 5.0)
    assert newest.tags == {"atoll/data_version": "v"}
    assert told.newest[keys.AssetKey("foreign")] is None
    (spec,) = specs.values()
    assert spec.key == keys.AssetKey("foreign")
    assert spec.partitions_def == days
    assert spec.metadata["atoll/io_manager_key"].value == "lake"


def test_the_plan_of_an_older_host_tells_nothing():
    with instances.Instance.ephemeral() as instance:
        specs, told = wire.known_assets(location_pb2.RunPlan(), instance)
    assert (specs, told.newest) == ({}, {})


def test_a_plan_becomes_a_run():
    plan = location_pb2.RunPlan(
        run_id="r",
        job_name="job",
        run_config=wire.config_to_message(CONFIG),
        tags={"a": "b"},
        asset_selection=[values_pb2.AssetKey(path=["x", "y"])],
        partition_key="2024",
    )
    run = wire.from_plan(plan, location_name="here")
    assert run == runs.Run(
        job_name="job",
        run_id="r",
        run_config=CONFIG,
        asset_selection=frozenset({keys.AssetKey(["x", "y"])}),
        status=runs.RunStatus.STARTED,
        tags={"a": "b", "atoll/partition": "2024"},
        location_name="here",
    )


def test_a_plan_that_selects_nothing_means_all_of_the_job():
    assert wire.from_plan(location_pb2.RunPlan(run_id="r")).asset_selection is None


def test_a_run_of_the_instance_has_its_status():
    message = mesh_pb2.InstanceRun(run_id="r", job_name="j", status="CANCELED", tags={"a": "b"})
    run = wire.from_instance_run(message)
    assert (run.status, run.tags, run.run_config) == (runs.RunStatus.CANCELED, {"a": "b"}, {})
    message.status = "OF_A_LATER_RELEASE"
    assert wire.from_instance_run(message).status is runs.RunStatus.NOT_STARTED


def test_a_plan_says_what_of_the_job_is_to_run():
    check = values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=["x"]), name="fresh")
    plan = location_pb2.RunPlan(
        run_id="r",
        partition_range_start="a",
        partition_range_end="c",
        op_selection=["one", "*two"],
        asset_check_selection=[check],
        step_keys=["one"],
        parent_run_id="parent",
        root_run_id="root",
    )
    run = wire.from_plan(plan)
    assert run.partition_key is None
    assert (run.partition_range_start, run.partition_range_end) == ("a", "c")
    assert (run.op_selection, run.step_keys_to_execute) == (("one", "*two"), ("one",))
    assert run.asset_check_selection == {keys.AssetCheckKey("x", "fresh")}
    assert (run.parent_run_id, run.root_run_id) == ("parent", "root")
    assert keys_wire.to_check_message(keys.AssetCheckKey("x", "fresh")) == check


def test_a_run_of_the_instance_has_its_times():
    message = mesh_pb2.InstanceRun(run_id="r", job_name="j", status="STARTED", record_id=7)
    message.create_time.FromSeconds(10)
    message.start_time.FromSeconds(20)
    message.update_time.FromSeconds(30)
    record = wire.to_run_record(message)
    assert (record.storage_id, record.run.run_id) == (7, "r")
    assert record.create_timestamp == dt.datetime.fromtimestamp(10, dt.UTC)
    assert record.update_timestamp == dt.datetime.fromtimestamp(30, dt.UTC)
    assert (record.start_time, record.end_time) == (20.0, None)
