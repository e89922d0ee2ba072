"""Conditions that users write: asked in their location, and waited for by everybody else."""

import datetime as dt

import pytest

import atoll as dg
from atoll import errors
from atoll._conditions import conditions, entities, graph, operands, plans, ticking, views
from atoll._execution import custom_conditions
from tests.code_server.conditions import worlds

C = dg.AutomationCondition
LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])
NOON = dt.datetime(2024, 1, 3, 12, tzinfo=dt.UTC)


class EverySecondTime(dg.AutomationCondition):
    """True at every second evaluation, of some partitions."""

    def __init__(self, *partitions):
        self.partitions = set(partitions)

    def evaluate(self, context):
        asked = int(context.cursor or 0) + 1
        assert context.evaluation_time >= NOON
        chosen = context.candidate_subset if asked % 2 == 0 else context.get_empty_subset()
        if self.partitions:
            chosen = chosen.compute_intersection_with_partition_keys(self.partitions)
        return dg.AutomationResult(context, chosen, cursor=str(asked))


def _evaluate(defs, cursor=None):
    return dg.evaluate_automation_conditions(
        defs, dg.Instance.ephemeral(), evaluation_time=NOON, cursor=cursor
    )


def test_a_condition_is_asked_for_its_candidates_and_remembers_by_its_cursor():
    @dg.asset(
        partitions_def=LETTERS, automation_condition=C.missing() & EverySecondTime("a", "b", "z")
    )
    def lettered(): ...

    cursor = None
    requested = []
    for _ in range(4):
        result = _evaluate([lettered], cursor)
        cursor = result.cursor
        requested.append(sorted(result.get_requested_partitions("lettered")))
    assert requested == [[], ["a", "b"], [], ["a", "b"]]


def test_what_a_condition_raises_names_the_condition_and_the_asset():
    class Broken(dg.AutomationCondition):
        def evaluate(self, context):
            raise KeyError("no such thing")

    @dg.asset(automation_condition=Broken())
    def broken(): ...

    with pytest.raises(errors.UserCodeExecutionError, match=r"'Broken'.*'broken'.*KeyError"):
        _evaluate([broken])


def test_an_answer_about_something_else_is_refused():
    class Confused(dg.AutomationCondition):
        def evaluate(self, context):
            return True

    @dg.asset(automation_condition=Confused())
    def confused(): ...

    with pytest.raises(errors.InvariantViolationError, match="AutomationResult"):
        _evaluate([confused])


def test_one_condition_that_fails_keeps_no_other_target_from_being_evaluated():
    class Broken(worlds.WorldView):
        def custom(self, call):
            raise errors.UserCodeExecutionError(f"{call.target} is broken")

    world = worlds.World()
    wanted = {worlds.ONE: operands.Custom(own_name="Own"), worlds.LAST: operands.Missing()}
    plan = plans.Plan(world.graph(wanted))
    outcome = ticking.evaluate(plan, Broken(world), {}, ticking.Tick(1, world.now, 0))
    assert outcome.failures == {worlds.ONE: "one is broken"}
    assert list(outcome.states) == [worlds.LAST]
    assert list(outcome.requested) == [worlds.LAST]


def test_a_condition_whose_location_has_to_be_asked_is_wanted_first():
    answers = {}

    class Asking(worlds.WorldView):
        def custom(self, call):
            return answers.get((call.target, call.owner, call.ordinal, call.name))

    world = worlds.World()
    own = conditions.Not(operand=operands.Custom(own_name="Own"))
    wanted = {worlds.ONE: conditions.And(operands=(operands.Missing(), own))}
    plan = plans.Plan(world.graph(wanted))
    view = Asking(world)
    tick = ticking.Tick(1, world.now, 0)
    outcome = ticking.evaluate(plan, view, {}, tick)
    (call,) = outcome.wanted
    assert call.target == call.owner == worlds.ONE
    assert call.candidates.size == 1
    assert call.cursor is None
    answers[call.target, call.owner, call.ordinal, call.name] = views.CustomAnswer(
        value=False, cursor="7"
    )
    outcome = ticking.evaluate(plan, view, {}, tick)
    assert not outcome.wanted
    assert list(outcome.requested) == [worlds.ONE]
    answers.clear()
    again = ticking.evaluate(plan, view, outcome.states, ticking.Tick(2, world.now, 0))
    assert [one.cursor for one in again.wanted] == ["7"]


def test_a_location_finds_its_condition_by_place_and_name():
    first, second = EverySecondTime("a"), EverySecondTime("b")

    @dg.asset(automation_condition=C.missing() & first & ~second)
    def lettered(): ...

    @dg.asset
    def plain(): ...

    third = EverySecondTime("c")
    sensor = dg.AutomationConditionSensorDefinition(
        "s", target=[plain], default_condition=third, use_user_code_server=True
    )
    defs = dg.Definitions(assets=[lettered, plain], sensors=[sensor])
    owner = entities.asset(["lettered"])
    assert custom_conditions.find(defs, owner, 0, "EverySecondTime") is first
    assert custom_conditions.find(defs, owner, 1, "EverySecondTime") is second
    found = custom_conditions.find(defs, entities.asset(["plain"]), 0, "EverySecondTime")
    assert found is third
    for ordinal, name in ((2, "EverySecondTime"), (0, "Other")):
        with pytest.raises(errors.InvariantViolationError, match="not in this build"):
            custom_conditions.find(defs, owner, ordinal, name)


def test_an_asset_that_nobody_has_is_told():
    wanted = conditions.AssetMatches(operand=operands.Missing(), path=("nowhere",))
    one = entities.asset(["one"])
    plan = plans.Plan(graph.Graph([graph.Node(one, condition=wanted)]))
    assert plan.unknown == {one: frozenset({entities.asset(["nowhere"])})}
