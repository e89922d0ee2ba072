"""Any conditions, whatever happens: compared with a reference that remembers nothing."""

import datetime as dt

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import states as state_messages
from atoll._conditions import agendas, composites, conditions, plans, ticking, views
from atoll.definitions.v1 import conditions_pb2
from tests.code_server.conditions import reference, trees, worlds

_PARTITIONED = {
    worlds.LETTERS: ["x", "y", "z"],
    worlds.DAYS: ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
    worlds.COLOURS: ["red", "green"],
}


def _partitions(entity):
    return _PARTITIONED.get(worlds.PARTITIONS.get(entity), [None])


PLACES = st.sampled_from(
    [(entity, key) for entity in worlds.EXECUTED for key in _partitions(entity)]
)
FACTS = st.sampled_from(["run", "backfill", "failed", "passed", "check_failed", "stale", "custom"])


class AnyConditionOverTime(RuleBasedStateMachine):
    """Evaluates everything, what changed, and by the reference; all three request the same."""

    @initialize(
        wanted=st.dictionaries(st.sampled_from(worlds.TARGETS), trees.ANY, min_size=1, max_size=5),
        downstream=st.booleans(),
    )
    def begin(self, wanted, downstream):
        """Begin with conditions."""
        if downstream:
            handled = composites.since_last_handled(conditions.AnyDownstream())
            wanted = {**wanted, worlds.ONE: handled}
        self.world = worlds.World()
        self.wanted = {
            target: condition_messages.from_message(condition_messages.to_message(condition))
            for target, condition in wanted.items()
        }
        assert self.wanted == wanted
        self.reference = reference.Reference()
        self.plan = plans.Plan(self.world.graph(self.wanted))
        self.whole = {}
        self.part = {}
        self.agenda = agendas.Agenda(self.plan, {})
        self.number = 0

    @rule(place=PLACES, run=st.sampled_from(["", "a", "b", "ab"]), seconds=st.integers(0, 7200))
    def update(self, place, run, seconds):
        """Let something be updated, by one of a few runs."""
        entity, key = place
        targets = {
            "": frozenset(),
            "a": frozenset({entity}),
            "b": frozenset(worlds.TARGETS[:4]),
            "ab": frozenset(worlds.TARGETS[4:]),
        }[run]
        run_id = f"{run}-{self.world.position}" if run else ""
        if run_id:
            tags = {"team": run} if run != "ab" else {}
            self.world.runs[run_id] = views.RunFacts(run_id, tags, targets)
        self.world.update(entity, key, run_id, new_data=run != "b", seconds=seconds)
        self.agenda.changed([entity])

    @rule(name=FACTS, place=PLACES)
    def turn(self, name, place):
        """Let a fact come true, or no longer be."""
        entity, key = place
        before = self.world.facts.get((name, entity), frozenset())
        self.world.facts[name, entity] = before ^ {key}
        self.agenda.changed([entity])

    @rule(minutes=st.sampled_from([0.5, 59, 30 * 60]))
    def wait(self, minutes):
        """Let time pass."""
        self.world.now += dt.timedelta(minutes=minutes)

    @rule(colour=st.sampled_from(["red", "green"]))
    def paint(self, colour):
        """Add or delete a dynamic partition."""
        if colour in self.world.colours:
            self.world.colours.remove(colour)
        else:
            self.world.colours.append(colour)
        self.agenda.changed(self.plan.with_dynamic_partitions("colours"))

    @rule(entity=st.sampled_from(worlds.EXECUTED), version=st.sampled_from(["1", "2"]))
    def deploy(self, entity, version):
        """Give an asset another code version: the graph is another one then."""
        self.world.code_versions[entity] = version
        self.plan = plans.Plan(self.world.graph(self.wanted))
        self.agenda = self.agenda.under(self.plan, self.part)

    @rule()
    def evaluate(self):
        """Evaluate."""
        self.number += 1
        self.world.now += dt.timedelta(seconds=30)
        view = worlds.WorldView(self.world)
        tick = ticking.Tick(self.number, self.world.now, self.world.position)
        order = sorted(worlds.TARGETS, key=self.plan.graph.rank)
        expected = self.reference.evaluate(
            reference.Moment(self.world.copy(), dict(self.wanted)), order
        )

        whole = ticking.evaluate(self.plan, view, self.whole, tick)
        assert not whole.failures
        assert not whole.wanted
        assert _keys(whole) == expected
        self.whole.update(whole.states)

        taken = self.agenda.take(self.world.now.timestamp())
        part = ticking.evaluate(self.plan, view, self.part, tick, taken)
        assert _keys(part) == expected
        self.part.update(self._stored(part))
        self.agenda.committed(taken, part)
        for target, state in self.part.items():
            assert state.requested == self.whole[target].requested

    @rule()
    def evaluate_twice(self):
        """Evaluate again before anything happens: what was true for once no longer is."""
        self.evaluate()
        self.evaluate()

    def _stored(self, outcome):
        """Return what is remembered as it comes back from where it is stored."""
        for target, told in outcome.explanations.items():
            explanation = told.explanation()
            message = state_messages.explanation_to_message(explanation)
            sent = conditions_pb2.ConditionExplanation.FromString(message.SerializeToString())
            found = state_messages.explanation_from_message(sent, target, self.plan.graph)
            assert found == explanation
        found = {}
        for target, state in outcome.states.items():
            message = state_messages.to_message(state, target)
            sent = conditions_pb2.ConditionState.FromString(message.SerializeToString())
            found[target] = state_messages.from_message(sent, target, self.plan.graph)
            assert found[target] == state
        return found


def _keys(outcome):
    return {
        entity: set(found.partition_keys()) for entity, found in outcome.requested.items() if found
    }


TestAnyConditionOverTime = pytest.mark.slow(AnyConditionOverTime.TestCase)
TestAnyConditionOverTime.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
