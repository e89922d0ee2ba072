"""`atoll conditions` against a scripted host: what has a condition, and why or why not."""

import json

import pytest

from atoll._cli import conditions
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import (
    conditions_pb2 as definition_pb2,
)
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2, values_pb2

RUN_ID = "4cb1e2a0-0000-4000-8000-000000000000"


def asset(name: str) -> definition_pb2.ConditionEntity:
    return definition_pb2.ConditionEntity(asset=values_pb2.AssetKey(path=name.split("/")))


def check(name: str, check_name: str) -> definition_pb2.ConditionEntity:
    key = values_pb2.AssetCheckKey(asset_key=asset(name).asset, name=check_name)
    return definition_pb2.ConditionEntity(check=key)


def job(location: str, name: str) -> definition_pb2.ConditionEntity:
    return definition_pb2.ConditionEntity(
        job=definition_pb2.ConditionJob(location_name=location, job_name=name)
    )


def target(
    entity: definition_pb2.ConditionEntity, location: str = "sales", **fields
) -> conditions_pb2.ConditionTarget:
    return conditions_pb2.ConditionTarget(
        entity=entity,
        location_name=location,
        sensor_name="s",
        sensor_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
        condition=definition_pb2.AutomationCondition(label="eager"),
        **fields,
    )


def days(count: int, first: str = "", last: str = "") -> conditions_pb2.ConditionPartitions:
    ranges = [partitions_pb2.PartitionKeyRange(start=first, end=last)] if first else []
    return conditions_pb2.ConditionPartitions(partitioned=True, count=count, ranges=ranges)


def evaluation(number: int, **fields) -> conditions_pb2.ConditionEvaluation:
    made = conditions_pb2.ConditionEvaluation(entity=asset("a/b"), evaluation_id=number, **fields)
    made.evaluation_time.FromJsonString("2026-01-02T03:04:05Z")
    return made


@pytest.fixture
def explained() -> conditions_pb2.ConditionEvaluation:
    since = conditions_pb2.ConditionNode(
        name="SINCE", candidates=days(2, "1", "2"), true_for=days(1, "2", "2")
    )
    since.trigger.time.FromJsonString("2026-01-02T03:04:05Z")
    updated = conditions_pb2.ConditionNode(
        entity=asset("raw"), name="newly_updated", candidates=days(2, "1", "2"), left_out_count=3
    )
    since.children.append(updated)
    root = conditions_pb2.ConditionNode(
        label="eager", name="AND", candidates=days(2, "1", "2"), true_for=days(1, "2", "2")
    )
    root.children.append(since)
    return evaluation(7, requested=days(1, "2", "2"), run_ids=[RUN_ID], explanation=root)


def test_what_is_wrong_with_a_condition_is_shown(host, say):
    problem = "The condition asks for asset 'x', which no location defines."
    host.conditions = [target(asset("a/b"), problems=[problem])]
    assert "which no location" in say(conditions.conditions, "list").output
    assert problem in say(conditions.conditions, "show", "a/b").output


def test_what_has_a_condition_is_listed(host, say):
    failed = target(check("a", "fits"), failure=values_pb2.Failure(type="E", message="no"))
    held = target(asset("late"))
    held.held.waits.add(entity=asset("raw"))
    newest = evaluation(1, requested=conditions_pb2.ConditionPartitions(count=1))
    host.conditions = [target(asset("a/b"), latest_evaluation=newest), failed, held]
    lines = say(conditions.conditions, "list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["TARGET", "a/b", "a:fits", "late"]
    assert lines[1].endswith("requested")
    assert lines[2].endswith("E: no")
    assert lines[3].endswith("waits for raw")
    document = json.loads(say(conditions.conditions, "list", "--json").output)
    assert document["targets"][0]["entity"] == {"asset": "a/b"}


def test_nothing_with_a_condition_is_told(say):
    told = say(conditions.conditions, "list").output
    assert told == "Nothing has an automation condition.\n"


def test_one_is_shown_by_the_name_of_an_asset_a_check_or_a_job(host, say):
    host.conditions = [target(asset("a/b")), target(check("a", "fits")), target(job("x", "j"))]
    assert "eager" in say(conditions.conditions, "show", "a/b").output
    assert "a:fits" in say(conditions.conditions, "show", "a", "--check", "fits").output
    host.conditions[2].location_name = "x"
    assert "job j" in say(conditions.conditions, "show", "j", "--job").output
    assert say(conditions.conditions, "show", "k", "--job").exit_code == 1
    assert say(conditions.conditions, "show", "nothing").exit_code == 1


def test_a_job_that_several_locations_have_needs_its_location(host, say):
    host.conditions = [target(job("x", "j"), "x"), target(job("y", "j"), "y")]
    result = say(conditions.conditions, "show", "j", "--job")
    assert result.exit_code != 0
    assert "x, y" in result.output
    named = say(conditions.conditions, "show", "j", "--job", "--location", "y")
    assert named.exit_code == 0


def test_evaluations_are_listed(host, say):
    host.evaluations = [
        evaluation(9, held=conditions_pb2.ConditionPartitions(count=1)),
        evaluation(7, requested=days(1, "2", "2"), run_ids=[RUN_ID]),
        evaluation(5, dropped=days(2, "1", "2")),
    ]
    lines = say(conditions.conditions, "evaluations", "a/b").output.splitlines()
    assert [line.split()[0] for line in lines] == ["EVALUATION", "9", "7", "5"]
    assert "1 partition: 2" in lines[2]
    assert "dropped: 2 partitions: 1...2" in lines[3]
    requested = say(conditions.conditions, "evaluations", "a/b", "--requested").output
    assert len(requested.splitlines()) == 2
    none = say(conditions.conditions, "evaluations", "other").output
    assert none == "There are no evaluations of other yet.\n"


def test_an_evaluation_is_explained_as_a_tree(host, say, explained):
    host.evaluations = [explained]
    output = say(conditions.conditions, "explain", "a/b").output
    head, tree = output.split("\n\n")
    assert "4cb1e2a0" in head
    assert tree.splitlines() == [
        "yes eager (1 of 2: 2)",
        "yes   SINCE (1 of 2: 2) [since 03:04:05.000]",
        "no      raw: newly_updated (0 of 2)",
        "          and 3 more",
    ]
    document = json.loads(say(conditions.conditions, "explain", "a/b", "--json").output)
    assert document["explanation"]["children"][0]["children"][0]["entity"] == {"asset": "raw"}
