"""Checks, ops and steps of a run are there, and in the right location, or the launch says so."""

import json

import pytest

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import nodes_pb2, snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.runs import requests, selections
from atoll_storage import records

RAW, REPORT = ("raw",), ("report",)


def key(path):
    return values_pb2.AssetKey(path=path)


def check_key(path, name):
    return values_pb2.AssetCheckKey(asset_key=key(path), name=name)


def check(path, name, *, executable=True):
    return snapshot_pb2.AssetCheckDefinition(
        key=check_key(path, name), executable=executable, op_name=f"{path[0]}_{name}"
    )


def node(name, definition=""):
    return nodes_pb2.Node(name=name, definition_name=definition or name)


def json_data(value):
    return values_pb2.UserData(content_type="application/json", data=json.dumps(value).encode())


SCHEMA = {
    "type": "object",
    "properties": {
        "ops": {
            "type": "object",
            "properties": {
                "load": {"required": ["config"]},
                "inner": {
                    "properties": {"ops": {"properties": {"clean": {"required": ["config"]}}}},
                    "required": ["ops"],
                },
            },
            "required": ["inner", "load"],
        },
        "resources": {"properties": {"db": {"required": ["config"]}}, "required": ["db"]},
    },
    "required": ["ops", "resources"],
}


@pytest.fixture
def place():
    snapshot = snapshot_pb2.LocationSnapshot(
        assets=[
            snapshot_pb2.AssetDefinition(key=key(RAW)),
            snapshot_pb2.AssetDefinition(key=key(REPORT), executable=True, op_name="report"),
        ],
        checks=[
            check(RAW, "sound"),
            check(RAW, "theirs"),
            check(REPORT, "fresh"),
            check(REPORT, "told", executable=False),
        ],
        jobs=[
            snapshot_pb2.JobDefinition(
                name="__ASSET_JOB",
                implicit=True,
                asset_keys=[key(REPORT)],
                check_keys=[check_key(RAW, "sound"), check_key(REPORT, "fresh")],
            ),
            snapshot_pb2.JobDefinition(
                name="reports",
                asset_keys=[key(REPORT)],
                check_keys=[check_key(REPORT, "fresh")],
            ),
            snapshot_pb2.JobDefinition(name="etl", graph_name="etl"),
            snapshot_pb2.JobDefinition(
                name="configured", graph_name="etl", config_schema=json_data(SCHEMA)
            ),
        ],
        graphs=[
            nodes_pb2.GraphDefinition(name="etl", nodes=[node("load"), node("inner", "cleaning")]),
            nodes_pb2.GraphDefinition(name="cleaning", nodes=[node("clean"), node("store")]),
        ],
        ops=[nodes_pb2.OpDefinition(name=name) for name in ("clean", "load", "store")],
    )
    defined = definitions.decode("digest", snapshot.SerializeToString())
    owners = {(RAW, "sound"): "east", (REPORT, "fresh"): "east", (RAW, "theirs"): "west"}
    return requests.Place(
        "east", defined, {RAW: "west", REPORT: "east"}.get, lambda one: owners.get(one, "")
    )


def launch(place, job="", **target):
    requested = requests.RequestedRun(job_name=job, target=records.RunTarget(**target))
    return requests.launch(place, requested, "run-1")


def test_checks_alone_run_in_the_implicit_job(place):
    run = launch(place, asset_check_selection=((RAW, "sound"),))
    assert run.job_name == "__ASSET_JOB"
    assert run.target.asset_check_selection == ((RAW, "sound"),)


def test_checks_lead_to_the_location_that_evaluates_them(place):
    message = runs_pb2.LaunchRunRequest(asset_check_selection=[check_key(RAW, "sound")])
    found = requests.find_location(
        requests.of_launch(message),
        {"east": place.definitions},
        place.owner_of,
        place.check_owner_of,
    )
    assert found == "east"


def test_a_check_of_another_location_is_launched_there(place):
    with pytest.raises(errors.PolicyForbids, match=r"'raw:theirs' is evaluated by location 'west'"):
        launch(place, asset_check_selection=((RAW, "theirs"),))


def test_a_check_that_there_is_not_is_refused_with_those_there_are(place):
    with pytest.raises(errors.UnknownCheck, match=r"'raw:nonsense'; it has 'raw:sound', "):
        launch(place, asset_check_selection=((RAW, "nonsense"),))
    with pytest.raises(errors.UnknownCheck, match="'report:told'"):
        launch(place, asset_check_selection=((REPORT, "told"),))


def test_a_job_evaluates_its_own_checks_only(place):
    launch(place, "reports", asset_check_selection=((REPORT, "fresh"),))
    with pytest.raises(errors.UnknownCheck, match=r"Job 'reports' does not hold check 'raw:sound'"):
        launch(place, "reports", asset_check_selection=((RAW, "sound"),))


def test_a_sensor_asks_for_checks(place):
    sensor = snapshot_pb2.SensorDefinition(name="watch", job_names=["reports"])
    message = location_pb2.RunRequest(asset_check_keys=[check_key(REPORT, "fresh")])
    origin = requests.SensorOrigin(sensor, "tick", "build")
    run = requests.for_sensor(place, requests.of_run_request(message), origin, "run-1")
    assert run.target.asset_check_selection == ((REPORT, "fresh"),)


def test_a_sensor_asks_for_checks_without_a_job(place):
    sensor = snapshot_pb2.SensorDefinition(name="watch")
    origin = requests.SensorOrigin(sensor, "tick", "build")
    for job_name in ("", "__ASSET_JOB"):
        message = location_pb2.RunRequest(
            job_name=job_name, asset_check_keys=[check_key(RAW, "sound")]
        )
        run = requests.for_sensor(place, requests.of_run_request(message), origin, "run-1")
        assert (run.job_name, run.asset_selection) == ("__ASSET_JOB", ())
        assert run.target.asset_check_selection == ((RAW, "sound"),)


def test_ops_are_selected_by_name_and_neighbourhood(place):
    for clause in ("load", "*load", "inner.clean++", "inner", "*"):
        assert launch(place, "etl", op_selection=(clause,)).target.op_selection == (clause,)
    with pytest.raises(errors.InvalidRequest, match=r"no op 'lod'; it has 'inner', .*'load'"):
        launch(place, "etl", op_selection=("lod",))
    with pytest.raises(errors.InvalidRequest, match="cannot be read") as raised:
        launch(place, "etl", op_selection=("a b",))
    assert raised.value.field == "op_selection"


def test_steps_are_those_of_the_graphs_in_graphs(place):
    known = selections.steps_of(place.definitions, place.definitions.jobs["etl"])
    assert list(known) == ["load", "inner.clean", "inner.store"]
    launch(place, "etl", step_keys=("inner.clean[3]",), parent_run_id="run-0")
    with pytest.raises(errors.InvalidRequest, match=r"no step 'clean'; it has 'inner.clean'"):
        launch(place, "etl", step_keys=("clean",), parent_run_id="run-0")
    with pytest.raises(errors.InvalidRequest, match="Give parent_run_id"):
        launch(place, "etl", step_keys=("load",))


def test_a_job_is_shown_with_what_it_is_made_of(place):
    graphs, ops = selections.made_of(place.definitions, place.definitions.jobs["etl"])
    assert [one.name for one in graphs] == ["cleaning", "etl"]
    assert [one.name for one in ops] == ["clean", "load", "store"]


def configured(place, config, **target):
    requested = requests.RequestedRun(
        job_name="configured", run_config=json_data(config), target=records.RunTarget(**target)
    )
    return requests.launch(place, requested, "run-1")


def test_config_of_nested_ops_and_of_resources_is_demanded_for_the_whole_job(place):
    whole = {
        "ops": {"load": {"config": 1}, "inner": {"ops": {"clean": {"config": 2}}}},
        "resources": {"db": {"config": 3}},
    }
    configured(place, whole)
    for left_out in ("ops", "resources"):
        with pytest.raises(errors.InvalidRunConfig, match=f"'{left_out}' is a required"):
            configured(place, {name: each for name, each in whole.items() if name != left_out})


def test_a_selection_of_ops_demands_nothing_of_the_rest(place):
    configured(place, {"ops": {"load": {"config": 1}}}, op_selection=("load",))
    wrong = {"ops": {"inner": {"ops": {"clean": {}}}}}
    with pytest.raises(errors.InvalidRunConfig, match=r"ops.inner.ops.clean"):
        configured(place, wrong, op_selection=("load",))
