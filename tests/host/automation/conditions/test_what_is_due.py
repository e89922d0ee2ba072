"""A target is evaluated for what its condition looks at, at its moments, and not while it rests."""

import math

import hypothesis
from hypothesis import strategies as st

from atoll._conditions import composites, conditions, entities, graph, operands, plans, states
from atoll_host.automation.conditions import due

A, B, C = (entities.asset((name,)) for name in "abc")
HOURLY = operands.CronTickPassed(cron_schedule="0 * * * *", cron_timezone="UTC")
INTERVAL_S = 30.0


def plan(**given: conditions.Condition) -> plans.Plan:
    """Return a plan of a <- b <- c with the conditions given."""
    return plans.Plan(
        graph.Graph(
            [
                graph.Node(A, given.get("a")),
                graph.Node(B, given.get("b"), upstream={A: None}),
                graph.Node(C, given.get("c"), upstream={B: None}),
            ]
        )
    )


def agenda(of: plans.Plan) -> due.Agenda:
    return due.Agenda(of, lambda _: INTERVAL_S)


def state(at: float, *, settling: bool = False) -> states.TargetState:
    return states.TargetState(1, at, 1, None, requested=False, settling=settling, nodes={})


def test_what_changed_concerns_those_that_look_at_it():
    made = agenda(plan(b=composites.eager(), c=composites.eager()))
    made.changed([A])
    assert made.take(0) == {B}
    made.changed([B])
    assert made.take(0) == {B, C}
    made.done(B, state(0))
    assert made.take(0) == {C}


def test_a_moment_of_the_clock_makes_a_target_due():
    made = agenda(plan(b=HOURLY))
    made.mark([B])
    made.done(B, state(3600 * 5 + 7))
    assert made.next_due == 3600 * 6
    assert made.take(3600 * 6 - 1) == frozenset()
    assert made.take(3600 * 6) == {B}
    assert made.next_due == math.inf


def test_what_was_true_once_is_followed_up_after_the_interval():
    made = agenda(plan(b=composites.eager()))
    made.mark([B])
    made.done(B, state(100, settling=True))
    assert made.take(129) == frozenset()
    made.changed([A])
    assert made.take(129) == {B}
    made.done(B, state(129, settling=True))
    assert made.take(100 + INTERVAL_S) == frozenset()
    assert made.take(129 + INTERVAL_S) == {B}


def test_follow_ups_of_a_long_round_leave_as_much_time_as_it_took():
    made = agenda(plan(b=composites.eager(), c=HOURLY))
    made.mark([B, C])
    made.done(B, state(100, settling=True), took_s=INTERVAL_S)
    made.done(C, state(3590, settling=True), took_s=INTERVAL_S)
    assert made.take(100 + 2 * INTERVAL_S - 1) == frozenset()
    made.changed([A])
    assert made.take(100 + INTERVAL_S) == {B}
    assert made.take(100 + 2 * INTERVAL_S) == {B}
    assert made.take(3600) == {B, C}


def test_nothing_has_a_target_evaluated_while_it_rests_or_waits():
    made = agenda(plan(b=composites.eager()))
    made.mark([B])
    made.failed(B, 50)
    made.changed([A])
    assert made.take(49) == frozenset()
    assert made.take(50) == {B}
    made.asked(B)
    made.changed([A])
    assert made.take(1000) == frozenset()
    made.answered(B)
    assert made.take(1000) == {B}


def test_another_plan_keeps_what_had_to_be_done_of_those_that_stay():
    made = agenda(plan(b=composites.eager(), c=composites.eager()))
    made.mark([B, C])
    made.failed(C, 50)
    made.set_plan(plan(c=composites.eager()))
    assert made.take(49) == frozenset()
    assert made.take(50) == {C}
    made.mark([B])
    assert made.take(50) == {C}


@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from(["changed", "done", "settled", "failed", "asked", "answered"]),
            st.sampled_from([B, C]),
            st.floats(0, 20, allow_nan=False),
        )
    )
)
def test_a_target_is_due_exactly_when_the_rules_say_so(steps):
    """Compare with the rules, spelled out for one target at a time."""
    made = agenda(plan(b=composites.eager(), c=composites.eager()))
    now = 0.0
    rules = {B: _Rules(), C: _Rules()}
    for what, target, later_s in steps:
        now += later_s
        one = rules[target]
        one.pass_to(now)
        made.take(now)
        match what:
            case "changed":
                made.changed([target])
                for reader in (B, C) if target == B else (C,):
                    rules[reader].affected = True
            case "done" | "settled":
                settling = what == "settled"
                made.done(target, state(now, settling=settling))
                one.affected, one.rests_until = False, None
                one.due = now + INTERVAL_S if settling else None
            case "failed":
                made.failed(target, now + 10)
                one.affected, one.rests_until, one.due = True, now + 10, now + 10
            case "asked":
                made.asked(target)
                one.affected, one.waits = True, True
            case "answered":
                made.answered(target)
                one.affected, one.waits = True, False
        for rule in rules.values():
            rule.pass_to(now)
        assert made.take(now) == {each for each, rule in rules.items() if rule.is_due}


class _Rules:
    """What is due of one target."""

    def __init__(self) -> None:
        self.affected = False
        self.waits = False
        self.rests_until: float | None = None
        self.due: float | None = None

    def pass_to(self, now: float) -> None:
        if self.due is not None and self.due <= now:
            self.due, self.rests_until, self.affected = None, None, True

    @property
    def is_due(self) -> bool:
        return self.affected and not self.waits and self.rests_until is None
