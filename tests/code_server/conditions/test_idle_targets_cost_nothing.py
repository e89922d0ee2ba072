"""Ten thousand assets with conditions: only what may come to something else is looked at."""

import datetime as dt
import math

import pytest

from atoll._conditions import (
    agendas,
    composites,
    conditions,
    entities,
    graph,
    operands,
    plans,
    ticking,
)
from tests.code_server.conditions import worlds

CHAIN = 10
MANY = 10_000
SOME = 500


def _plan(condition=None, many=MANY):
    names = [entities.asset([f"asset_{number:05}"]) for number in range(many)]
    nodes = [
        graph.Node(
            name,
            condition=condition or composites.eager() if number % CHAIN else None,
            upstream={names[number - 1]: None} if number % CHAIN else {},
        )
        for number, name in enumerate(names)
    ]
    return names, plans.Plan(graph.Graph(nodes))


class Host:
    """Evaluates what the agenda says, and counts it."""

    def __init__(self, plan):
        self.plan = plan
        self.world = worlds.World()
        self.states = {}
        self.agenda = agendas.Agenda(plan, {})
        self.number = 0

    def tick(self):
        """Evaluate, and return how many targets were, and what is requested."""
        self.number += 1
        self.world.now += dt.timedelta(seconds=1)
        taken = self.agenda.take(self.world.now.timestamp())
        tick = ticking.Tick(self.number, self.world.now, self.world.position)
        view = worlds.WorldView(self.world)
        outcome = ticking.evaluate(self.plan, view, self.states, tick, taken)
        self.states.update(outcome.states)
        self.agenda.committed(taken, outcome)
        return len(outcome.states), sorted(outcome.requested)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_nothing_happens_to_is_not_evaluated():
    names, plan = _plan()
    host = Host(plan)
    targets = MANY - MANY // CHAIN
    assert host.tick() == (targets, [])
    # The first evaluation is like no other, so another one follows it.
    assert host.agenda.is_settling
    assert host.tick() == (targets, [])
    assert host.tick() == (0, [])
    assert not host.agenda.is_settling
    assert not host.agenda.is_affected

    host.world.update(names[0], None)
    host.agenda.changed([names[0]])
    assert host.agenda.is_affected
    evaluated, requested = host.tick()
    assert requested == names[1:CHAIN]
    assert evaluated == CHAIN - 1
    while host.agenda.is_settling:
        evaluated, requested = host.tick()
        assert evaluated <= CHAIN - 1
        assert requested == []
    assert host.number < 10


@pytest.mark.slow
def test_time_alone_makes_only_those_due_that_look_at_it():
    _, plan = _plan(many=SOME)
    host = Host(plan)
    host.tick()
    assert host.agenda.next_boundary == math.inf

    _, plan = _plan(composites.on_cron("30 6 * * *", "Europe/Berlin"), many=SOME)
    host = Host(plan)
    host.tick()
    due = dt.datetime(2024, 1, 4, 5, 30, tzinfo=dt.UTC)
    assert host.agenda.next_boundary == due.timestamp()
    while host.agenda.is_settling:
        host.tick()
    assert host.tick() == (0, [])
    host.world.now = due
    assert host.tick()[0] == SOME - SOME // CHAIN


def test_another_graph_makes_only_those_affected_that_it_changes():
    condition = operands.CodeVersionChanged()
    world = worlds.World()
    wanted = {worlds.ONE: condition, worlds.LAST: condition}
    host = Host(plans.Plan(world.graph(wanted)))
    host.world = world
    while host.agenda.is_affected or host.agenda.is_settling:
        host.tick()
    world.code_versions[worlds.ONE] = "2"
    host.plan = plans.Plan(world.graph(wanted))
    host.agenda = host.agenda.under(host.plan, host.states)
    assert host.tick() == (1, [worlds.ONE])


def test_targets_that_are_gone_or_come_back_are_no_trouble():
    world = worlds.World()
    host = Host(plans.Plan(world.graph({worlds.ONE: composites.eager()})))
    host.tick()
    without = plans.Plan(world.graph({}))
    host.agenda = host.agenda.under(without, host.states)
    host.plan = without
    assert host.tick() == (0, [])
    again = plans.Plan(world.graph({worlds.ONE: composites.eager()}))
    host.agenda = host.agenda.under(again, host.states)
    host.plan = again
    assert host.tick() == (1, [])


def test_what_is_made_together_is_evaluated_together():
    world = worlds.World()
    wanted = {
        worlds.LEFT: operands.RunInProgress(),
        worlds.RIGHT: operands.ExecutionFailed(),
        worlds.LAST: conditions.AnyDeps(operand=operands.NewlyRequested()),
    }
    host = Host(plans.Plan(world.graph(wanted)))
    host.world = world
    while host.agenda.is_affected or host.agenda.is_settling:
        host.tick()
    world.facts["run", worlds.LEFT] = frozenset({None})
    host.agenda.changed([worlds.LEFT])
    assert host.tick()[1] == [worlds.LEFT, worlds.RIGHT]
    assert host.states[worlds.RIGHT].requested is True
    world.facts["run", worlds.LEFT] = frozenset()
    host.agenda.changed([worlds.LEFT])
    assert host.tick()[1] == [worlds.LAST]
    assert host.states[worlds.RIGHT].requested is False


def test_new_partitions_of_dependencies_make_a_target_due():
    world = worlds.World()
    wanted = {worlds.LAST: conditions.AnyDeps(operand=operands.Missing())}
    host = Host(plans.Plan(world.graph(wanted)))
    host.world = world
    for entity in (worlds.LEFT, worlds.BY_LETTER, worlds.BY_DAY_TOO):
        for key in world.keys_of(entity):
            world.update(entity, key)
    while host.agenda.is_affected or host.agenda.is_settling:
        assert host.tick()[1] == []
    midnight = dt.datetime(2024, 1, 4, tzinfo=dt.UTC)
    assert host.agenda.next_boundary == midnight.timestamp()
    world.now = midnight
    assert host.tick()[1] == [worlds.LAST]
