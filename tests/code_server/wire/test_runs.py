"""Plans and requests for runs mean the same on both sides."""

import pytest

from atoll._definitions import errors, keys, run_requests, runs
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
