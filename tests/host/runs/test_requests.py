"""What may be launched, and what a refused request is told."""

import json
from collections.abc import Mapping, Sequence

import pytest

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.runs import requests

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "ops": {
            "type": "object",
            "properties": {
                "load": {
                    "type": "object",
                    "properties": {"config": {"$ref": "#/$defs/Load"}},
                    "required": ["config"],
                },
                "report": {"type": "object"},
            },
            "required": ["load"],
            "additionalProperties": False,
        },
    },
    "required": ["ops"],
    "$defs": {
        "Load": {
            "type": "object",
            "properties": {"limit": {"type": "integer"}, "name": {"pattern": "^(a+)+$"}},
            "required": ["limit"],
            "additionalProperties": False,
        }
    },
}


def asset(name: str, *, executable: bool = True) -> snapshot_pb2.AssetDefinition:
    return snapshot_pb2.AssetDefinition(
        key=values_pb2.AssetKey(path=[name]), executable=executable, op_name=name
    )


def keys(*names: str) -> list[values_pb2.AssetKey]:
    return [values_pb2.AssetKey(path=[name]) for name in names]


def json_data(value: object) -> values_pb2.UserData:
    return values_pb2.UserData(content_type="application/json", data=json.dumps(value).encode())


def job(name: str, assets: Sequence[str] = (), **more: object) -> snapshot_pb2.JobDefinition:
    return snapshot_pb2.JobDefinition(name=name, asset_keys=keys(*assets), **more)


def place(
    *jobs: snapshot_pb2.JobDefinition,
    owners: Mapping[tuple[str, ...], str] | None = None,
    name: str = "east",
) -> requests.Place:
    snapshot = snapshot_pb2.LocationSnapshot(
        assets=[asset("load"), asset("report"), asset("upstream", executable=False)],
        jobs=[*jobs, job("__ASSET_JOB", ["load", "report"], implicit=True)],
    )
    defined = definitions.decode("digest", snapshot.SerializeToString())
    return requests.Place(name, defined, lambda path: (owners or {}).get(path, ""))


def schema_job() -> snapshot_pb2.JobDefinition:
    return job("nightly", ["load", "report"], config_schema=json_data(SCHEMA))


def config(limit: object) -> values_pb2.UserData:
    return json_data({"ops": {"load": {"config": {"limit": limit}}}})


def sensor(*job_names: str, assets: Sequence[str] = ()) -> snapshot_pb2.SensorDefinition:
    return snapshot_pb2.SensorDefinition(
        name="watch", job_names=job_names, asset_selection=keys(*assets)
    )


def origin(definition: snapshot_pb2.SensorDefinition) -> requests.SensorOrigin:
    return requests.SensorOrigin(definition, "tick-1", "build-1")


def test_a_launch_becomes_a_run_of_the_job() -> None:
    message = runs_pb2.LaunchRunRequest(
        request_id="r", job_name="nightly", run_config=config(3), tags={"team": "x"}
    )
    run = requests.launch(place(schema_job()), requests.of_launch(message), "run-1")
    assert (run.run_id, run.location_name, run.job_name) == ("run-1", "east", "nightly")
    assert run.request_id == "r"
    assert run.tags == {"team": "x"}
    assert json.loads(run.run_config or b"") == {"ops": {"load": {"config": {"limit": 3}}}}


def test_an_unknown_job_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.UnknownJob, match=r"'east' has no job 'nihgtly'.*'nightly'"):
        requests.launch(place(job("nightly")), requests.RequestedRun(job_name="nihgtly"), "r")


def test_a_job_of_another_location_is_refused_by_policy() -> None:
    with pytest.raises(errors.PolicyForbids, match=r"'west/nightly'.*not allowed by the host's"):
        requests.launch(place(), requests.RequestedRun(job_name="west/nightly"), "r")


def test_a_bare_selection_runs_in_the_implicit_job() -> None:
    requested = requests.RequestedRun(asset_selection=(("report",), ("report",)))
    run = requests.launch(place(), requested, "r")
    assert run.job_name == "__ASSET_JOB"
    assert run.asset_selection == (("report",),)


def test_neither_job_nor_assets_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="neither a job nor assets"):
        requests.launch(place(), requests.RequestedRun(), "r")


@pytest.mark.parametrize("name", ["upstream", "nowhere"])
def test_assets_that_the_location_cannot_materialize_are_refused(name: str) -> None:
    with pytest.raises(errors.UnknownAsset, match=f"'east' cannot materialize asset '{name}'"):
        requests.launch(place(), requests.RequestedRun(asset_selection=((name,),)), "r")


def test_assets_outside_the_job_are_refused() -> None:
    requested = requests.RequestedRun(job_name="loads", asset_selection=(("report",),))
    with pytest.raises(errors.UnknownAsset, match="Job 'loads' cannot materialize"):
        requests.launch(place(job("loads", ["load"])), requested, "r")


def test_assets_that_another_location_owns_are_refused() -> None:
    where = place(job("nightly", ["load"]), owners={("load",): "west"})
    with pytest.raises(errors.PolicyForbids, match="'load' is materialized by location 'west'"):
        requests.launch(where, requests.RequestedRun(job_name="nightly"), "r")


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        (config("many"), "ops.load.config.limit", "'many' is not of type 'integer'"),
        (json_data({"ops": {"load": {"config": {}}}}), "ops.load.config", "'limit' is a required"),
        (json_data({"ops": {"laod": {}}}), "ops", "'laod' was unexpected|'load' is a required"),
        (json_data({}), "", "'ops' is a required property"),
        (json_data([1]), "", r"is \[1\]. Give a JSON object"),
        (values_pb2.UserData(content_type="application/json", data=b"{"), "", "is no JSON"),
        (values_pb2.UserData(content_type="application/json", data=b'{"a": NaN}'), "", "NaN"),
        (values_pb2.UserData(content_type="application/json", data=b"[" * 99999), "", "no JSON"),
        (values_pb2.UserData(content_type="text/yaml", data=b"{}"), "", "content type 'text/yaml'"),
    ],
)
def test_config_that_does_not_fit_is_refused_with_place_and_value(
    given: values_pb2.UserData, path: str, words: str
) -> None:
    requested = requests.RequestedRun(job_name="nightly", run_config=given)
    with pytest.raises(errors.InvalidRunConfig, match=words) as caught:
        requests.launch(place(schema_job()), requested, "r")
    assert caught.value.path == path
    assert caught.value.job_name == "nightly"


def test_config_that_a_job_needs_and_nobody_gives_is_refused() -> None:
    with pytest.raises(errors.InvalidRunConfig, match="'ops' is a required property"):
        requests.launch(place(schema_job()), requests.RequestedRun(job_name="nightly"), "r")


def test_the_default_config_of_a_job_counts_where_none_is_given() -> None:
    with_default = schema_job()
    with_default.default_config.CopyFrom(config(1))
    run = requests.launch(place(with_default), requests.RequestedRun(job_name="nightly"), "r")
    assert run.run_config is None


def test_config_of_ops_that_do_not_run_may_be_missing() -> None:
    requested = requests.RequestedRun(job_name="nightly", asset_selection=(("report",),))
    assert requests.launch(place(schema_job()), requested, "r").run_config is None
    with pytest.raises(errors.InvalidRunConfig):
        requests.launch(
            place(schema_job()),
            requests.RequestedRun(job_name="nightly", asset_selection=(("load",),)),
            "r",
        )


def test_a_pattern_of_a_location_cannot_keep_the_host_busy() -> None:
    given = json_data({"ops": {"load": {"config": {"limit": 1, "name": "a" * 60 + "!"}}}})
    requested = requests.RequestedRun(job_name="nightly", run_config=given)
    assert requests.launch(place(schema_job()), requested, "r").run_config is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"type": 7},
        [],
    ],
)
def test_an_unusable_schema_is_said_to_be_the_fault_of_the_location(schema: object) -> None:
    bad = job("nightly", ["load"], config_schema=json_data(schema))
    requested = requests.RequestedRun(job_name="nightly", run_config=json_data({}))
    with pytest.raises(errors.InvalidRunConfig, match="its location published is unusable"):
        requests.launch(place(bad), requested, "r")


def test_tags_of_job_request_and_system_are_merged_in_this_order() -> None:
    where = place(job("nightly", run_tags={"a": "job", "b": "job", "atoll/tick": "job"}))
    message = location_pb2.RunRequest(run_key="k", tags={"b": "request", "c": "request"})
    run = requests.for_sensor(
        where, requests.of_run_request(message), origin(sensor("nightly")), "r"
    )
    assert run.tags == {
        "a": "job",
        "b": "request",
        "c": "request",
        "atoll/sensor_name": "watch",
        "atoll/tick": "tick-1",
        "atoll/run_key": "k",
    }
    assert (run.sensor_name, run.tick_id, run.run_key) == ("watch", "tick-1", "k")
    assert run.requested_build_id == "build-1"


@pytest.mark.parametrize("run_tags", [{"b": "run"}, {}])
def test_run_tags_of_a_job_replace_its_tags(run_tags: Mapping[str, str]) -> None:
    where = place(job("nightly", tags={"a": "job"}, run_tags=run_tags))
    run = requests.launch(where, requests.RequestedRun(job_name="nightly"), "r")
    assert run.tags == run_tags


@pytest.mark.parametrize(
    "tags", [{"": "x"}, {"k" * 300: "x"}, {"k": "a\x00b"}, {"k": "v" * 70_000}]
)
def test_tags_that_cannot_be_kept_are_refused(tags: Mapping[str, str]) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        requests.launch(
            place(job("nightly")), requests.RequestedRun(job_name="nightly", tags=tags), "r"
        )
    assert caught.value.field == "tags"


def test_a_sensor_with_one_job_need_not_name_it() -> None:
    run = requests.for_sensor(
        place(job("nightly")), requests.RequestedRun(), origin(sensor("nightly")), "r"
    )
    assert run.job_name == "nightly"


def test_a_sensor_with_several_jobs_must_name_one() -> None:
    where = place(job("nightly"), job("hourly"))
    with pytest.raises(errors.InvalidRequest, match="targets several: 'nightly', 'hourly'"):
        requests.for_sensor(
            where, requests.RequestedRun(), origin(sensor("nightly", "hourly")), "r"
        )


def test_a_sensor_may_only_ask_for_its_targets() -> None:
    where = place(job("nightly"), job("hourly"))
    with pytest.raises(errors.UnknownJob, match="'hourly' is no target of sensor 'watch'"):
        requests.for_sensor(
            where, requests.RequestedRun(job_name="hourly"), origin(sensor("nightly")), "r"
        )


def test_a_sensor_that_targets_assets_asks_for_all_of_them_or_some() -> None:
    targets = origin(sensor(assets=["load", "report"]))
    run = requests.for_sensor(place(), requests.RequestedRun(), targets, "r")
    assert (run.job_name, run.asset_selection) == ("__ASSET_JOB", (("load",), ("report",)))
    some = requests.RequestedRun(asset_selection=(("report",),))
    assert requests.for_sensor(place(), some, targets, "r").asset_selection == (("report",),)
    with pytest.raises(errors.UnknownAsset, match="no target of sensor"):
        requests.for_sensor(place(), some, origin(sensor(assets=["load"])), "r")


def test_a_sensor_without_targets_can_ask_for_nothing() -> None:
    with pytest.raises(errors.InvalidRequest, match="targets neither jobs nor assets"):
        requests.for_sensor(place(), requests.RequestedRun(), origin(sensor()), "r")


def test_a_launch_without_a_location_finds_the_one_that_can() -> None:
    known = {
        "east": place(job("nightly"), job("shared")).definitions,
        "west": place(job("shared")).definitions,
    }
    owners = {("load",): "east", ("sales",): "west"}

    def find(requested: requests.RequestedRun) -> str:
        return requests.find_location(requested, known, lambda path: owners.get(path, ""))

    assert find(requests.RequestedRun(job_name="nightly")) == "east"
    assert find(requests.RequestedRun(asset_selection=(("sales",),))) == "west"
    with pytest.raises(errors.InvalidRequest, match="'east', 'west' each have a job 'shared'"):
        find(requests.RequestedRun(job_name="shared"))
    with pytest.raises(errors.UnknownJob, match="No location has a job 'none'"):
        find(requests.RequestedRun(job_name="none"))
    with pytest.raises(errors.UnknownAsset, match="No location can materialize asset 'report'"):
        find(requests.RequestedRun(asset_selection=(("report",),)))
    with pytest.raises(errors.InvalidRequest, match="never spans locations"):
        find(requests.RequestedRun(asset_selection=(("load",), ("sales",))))
    with pytest.raises(errors.InvalidRequest, match="neither a job nor assets"):
        find(requests.RequestedRun())
