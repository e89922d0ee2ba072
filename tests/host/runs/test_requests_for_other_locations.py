"""What a sensor may ask of other locations: what the policy says, and what those define."""

import pydantic
import pytest

from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.policy import deciding, policy_settings
from atoll_host.runs import other_locations, requests
from atoll_storage import records

DAYS = partitions_pb2.PartitionsDefinition(
    static=partitions_pb2.StaticPartitions(partition_keys=["mon", "tue"])
)


def place(name: str, *jobs: snapshot_pb2.JobDefinition) -> requests.Place:
    encoded = snapshot_pb2.LocationSnapshot(jobs=jobs).SerializeToString()
    return requests.Place(name, definitions.decode(name, encoded), lambda _: "")


EAST = place("east", snapshot_pb2.JobDefinition(name="load"))
WEST = place(
    "west",
    snapshot_pb2.JobDefinition(name="load"),
    snapshot_pb2.JobDefinition(name="nightly", partitions=DAYS),
)


def policy(*rules: dict) -> policy_settings.PolicySettings:
    return policy_settings.PolicySettings.model_validate({"run_requests": list(rules)})


ALL = policy({"from": "east", "to": "west", "jobs": ["*"]})


def ask(
    job_name: str = "",
    *,
    targets: tuple[str, ...] = ("load", "west/load", "west/nightly", "gone/job"),
    allowed: policy_settings.PolicySettings = ALL,
    **fields,
) -> records.NewRun:
    sensor = snapshot_pb2.SensorDefinition(name="s", job_names=targets)
    origin = requests.SensorOrigin(sensor, "tick", "build of east")
    return other_locations.for_sensor(
        EAST,
        requests.RequestedRun(job_name=job_name, **fields),
        origin,
        "run",
        other_locations.Others(deciding.of(allowed, {}), {"west": WEST}),
    )


def test_the_run_belongs_to_the_location_of_the_job() -> None:
    run = ask("west/nightly", partition_key="tue", run_key="k")
    assert (run.location_name, run.job_name, run.partition_key) == ("west", "nightly", "tue")
    assert (run.sensor_name, run.tick_id, run.run_key) == ("s", "tick", "k")
    assert run.requested_build_id == ""
    assert run.tags["atoll/sensor_name"] == "s"


def test_a_job_of_its_own_location_needs_no_permission() -> None:
    for name, targets in (("load", ("load",)), ("", ("load",)), ("east/load", ("east/load",))):
        run = ask(name, targets=targets, allowed=policy())
        assert (run.location_name, run.requested_build_id) == ("east", "build of east")


def test_the_only_target_need_not_be_named() -> None:
    assert ask(targets=("west/load",)).location_name == "west"


@pytest.mark.parametrize(
    "rule",
    [
        {"from": "north", "to": "west", "jobs": ["*"]},
        {"from": "east", "to": "north", "jobs": ["*"]},
        {"from": "east", "to": "west", "jobs": ["load", "report*"]},
    ],
)
def test_what_no_rule_allows_is_refused_and_told_how_to_allow(rule) -> None:
    with pytest.raises(errors.PolicyForbids) as raised:
        ask("west/nightly", allowed=policy(rule))
    assert 'from = "east", to = "west", what = ["launch"], jobs = ["nightly"]' in str(raised.value)


def test_rules_may_hold_a_star() -> None:
    assert ask("west/nightly", allowed=policy({"from": "*", "to": "w*", "jobs": ["*ly"]}))


def test_what_the_other_location_defines_counts() -> None:
    with pytest.raises(errors.UnknownLocation, match="'gone'"):
        ask("gone/job", allowed=policy({"from": "*", "to": "*", "jobs": ["*"]}))
    with pytest.raises(errors.UnknownJob, match="'west' has no job 'nope'"):
        ask("west/nope", targets=("west/nope",))
    with pytest.raises(errors.InvalidRequest, match="'wed'"):
        ask("west/nightly", partition_key="wed")


def test_the_sensor_has_to_name_the_job_among_its_targets() -> None:
    with pytest.raises(errors.UnknownJob, match="Add 'west/load' to the sensor's targets"):
        ask("west/load", targets=("load",))


@pytest.mark.parametrize(
    "rule",
    [
        {"from": "a", "to": "b"},
        {"from": "a", "to": "b", "jobs": []},
        {"from": "", "to": "b", "jobs": ["x"]},
        {"from": "a", "to": "b", "jobs": ["x"], "job": "y"},
    ],
)
def test_a_rule_is_checked(rule) -> None:
    with pytest.raises(pydantic.ValidationError):
        policy(rule)
