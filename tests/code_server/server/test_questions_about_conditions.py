"""Conditions of users' own are evaluated in processes that are killed at their deadline."""

import uuid

import pytest

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import static_partitions
from atoll.definitions.v1 import conditions_pb2
from atoll.location.v1 import location_pb2
from tests.code_server.server import locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CODE = """
    import time
    import atoll as dg

    letters = dg.StaticPartitionsDefinition(["x", "y", "z"])

    class Mine(dg.AutomationCondition):
        def evaluate(self, context):
            context.log.info("asked")
            print("thinking")
            return dg.AutomationResult(
                context, context.get_subset(["y", "z"]), cursor=f"{context.cursor}+"
            )

    class Raises(dg.AutomationCondition):
        def evaluate(self, context):
            raise ValueError("no such table")

    class Hangs(dg.AutomationCondition):
        def evaluate(self, context):
            time.sleep(60)

    @dg.asset(partitions_def=letters, automation_condition=Mine() | Raises() | Hangs())
    def a():
        return 1

    defs = dg.Definitions(
        assets=[a],
        sensors=[
            dg.AutomationConditionSensorDefinition("s", target="*", use_user_code_server=True)
        ],
    )
"""
LETTERS = static_partitions.StaticPartitionsDefinition(["x", "y", "z"])


@pytest.fixture
async def location(tmp_path):
    async with locations.serving_location(tmp_path, CODE) as location:
        yield location


def call(ordinal: int, name: str, *candidates: str) -> location_pb2.CustomConditionCall:
    entity = entity_messages.to_message(entities.asset(("a",)))
    value = LETTERS.subset_with_partition_keys(candidates)
    return location_pb2.CustomConditionCall(
        target=entity,
        owner=entity,
        ordinal=ordinal,
        name=name,
        entity=entity,
        candidates=entity_messages.value_to_message(value),
        partitions=partition_messages.to_message(LETTERS),
        cursor="1",
    )


async def ask(
    location, *calls: location_pb2.CustomConditionCall, timeout_s: float = 20
) -> location_pb2.EvaluateConditionsResponse:
    request = location_pb2.EvaluateConditionsRequest(question_id=str(uuid.uuid4()), calls=calls)
    request.timeout.FromMilliseconds(round(timeout_s * 1000))
    request.evaluation_time.FromJsonString("2026-03-04T05:06:00Z")
    return await location.stub.EvaluateConditions(request, timeout=60)


def keys(value: conditions_pb2.ConditionValue) -> list[str]:
    found = entity_messages.value_from_message(value, LETTERS)
    assert not isinstance(found, bool)
    return list(found.get_partition_keys())


async def test_each_condition_answers_for_itself(location):
    response = await ask(location, call(0, "Mine", "x", "y"), call(1, "Raises", "x"))
    mine, raises = response.answers
    assert (keys(mine.value), mine.cursor) == (["y"], "1+")
    assert "no such table" in raises.failure.message + raises.failure.cause.message
    assert response.build_id == "b1"
    lines = [line.message for line in response.log_lines]
    assert "asked" in lines
    assert "thinking" in lines


async def test_a_condition_that_never_returns_is_killed(location):
    response = await ask(location, call(2, "Hangs", "x"), timeout_s=0.5)
    assert response.failure.type == "EvaluationTimeout"
    assert "'Hangs'" in response.failure.message
    response = await ask(location, call(0, "Mine", "z"))
    assert keys(response.answers[0].value) == ["z"]


async def test_a_condition_that_is_not_there_is_told_so(location):
    (answer,) = (await ask(location, call(0, "Other", "x"))).answers
    assert "not in this build" in answer.failure.message
