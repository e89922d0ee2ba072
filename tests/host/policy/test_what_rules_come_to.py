"""What the rules of the host and of the producing location come to together."""

import fnmatch

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll.definitions.v1 import policies_pb2
from atoll_host.policy import deciding, policy_settings

WATCH, DEPEND, LAUNCH, READ = deciding.Action
ORDERS = deciding.Subject(asset=("sales", "orders"))
LOAD = deciding.Subject(job="load")


def settings(**fields) -> policy_settings.PolicySettings:
    return policy_settings.PolicySettings.model_validate(fields)


def location(*rules: policies_pb2.PolicyRule) -> policies_pb2.LocationPolicy:
    return policies_pb2.LocationPolicy(rules=rules)


def rule(*sources: str, allow: bool, actions=(), **fields) -> policies_pb2.PolicyRule:
    numbers = [deciding.NUMBERS[each] for each in actions]
    return policies_pb2.PolicyRule(from_locations=sources, allow=allow, actions=numbers, **fields)


def test_watching_and_depending_are_open_and_launching_is_closed_where_nobody_says_anything() -> (
    None
):
    policies = deciding.of(settings(), {})
    allowed = {
        action
        for action in deciding.Action
        if deciding.decide(policies, "reports", "sales", action, ORDERS).allowed
    }
    assert allowed == {WATCH, DEPEND}
    assert not policies.may_deny((WATCH, DEPEND))
    assert policies.may_deny((LAUNCH,))


def test_reading_is_open_for_what_is_declared_and_for_nothing_else() -> None:
    policies = deciding.of(settings(), {})
    assert deciding.decide(policies, "r", "s", READ, ORDERS, is_declared=True).allowed
    denied = deciding.decide(policies, "r", "s", READ, ORDERS)
    assert not denied.allowed
    assert "watch it with a sensor, or depend on it" in denied.explanation
    closed = deciding.of(settings(default={"read": "deny"}), {})
    assert not deciding.decide(closed, "r", "s", READ, ORDERS, is_declared=True).allowed
    opened = deciding.of(settings(default={"read": "allow"}), {})
    assert deciding.decide(opened, "r", "s", READ, ORDERS).allowed


def test_what_is_declared_does_not_outweigh_a_rule_that_forbids_reading() -> None:
    rules = [{"from": "*", "to": "s", "what": ["read"], "allow": False}]
    policies = deciding.of(settings(rules=rules), {})
    assert not deciding.decide(policies, "r", "s", READ, ORDERS, is_declared=True).allowed


def test_the_first_rule_that_fits_decides() -> None:
    rules = [
        {"from": "reports", "to": "sales", "assets": ["sales/orders"], "allow": True},
        {"from": "*", "to": "sales", "assets": ["sales/*"], "allow": False, "reason": "personal"},
    ]
    policies = deciding.of(settings(rules=rules), {})
    assert deciding.decide(policies, "reports", "sales", WATCH, ORDERS).allowed
    denied = deciding.decide(policies, "lab", "sales", WATCH, ORDERS)
    assert not denied.allowed
    assert denied.declared_by == deciding.HOST
    assert "[policy] rules[1]: personal" in denied.explanation


def test_the_producing_location_is_asked_as_well_and_named_when_it_denies() -> None:
    says = {"sales": location(rule("lab", allow=False, actions=[WATCH], reason="not ready"))}
    policies = deciding.of(settings(), says)
    assert deciding.decide(policies, "reports", "sales", WATCH, ORDERS).allowed
    denied = deciding.decide(policies, "lab", "sales", WATCH, ORDERS)
    assert (denied.allowed, denied.declared_by) == (False, "sales")
    assert "the policy of location 'sales' does not allow it" in denied.explanation
    assert "not ready" in denied.explanation


def test_a_location_cannot_open_what_the_host_closes() -> None:
    says = {"sales": location(rule("reports", allow=True, actions=[LAUNCH]))}
    assert not deciding.decide(
        deciding.of(settings(), says), "reports", "sales", LAUNCH, LOAD
    ).allowed
    opened = settings(run_requests=[{"from": "reports", "to": "sales", "jobs": ["lo*"]}])
    assert deciding.decide(deciding.of(opened, says), "reports", "sales", LAUNCH, LOAD).allowed


def test_a_rule_of_a_location_says_nothing_of_other_locations() -> None:
    policies = deciding.of(settings(), {"sales": location(rule("*", allow=False))})
    assert deciding.decide(policies, "reports", "stock", WATCH, ORDERS).allowed


def test_everything_of_its_own_and_of_nobody_is_allowed() -> None:
    policies = deciding.of(
        settings(rules=[{"from": "*", "to": "*", "allow": False}]), {"a": location()}
    )
    for action in deciding.Action:
        assert deciding.decide(policies, "a", "a", action, ORDERS).allowed
        assert deciding.decide(policies, "a", "", action, ORDERS).allowed
        assert not deciding.decide(policies, "a", "b", action, ORDERS).allowed


def test_an_action_of_a_newer_release_is_about_nothing_here() -> None:
    unknown = policies_pb2.PolicyRule(from_locations=["*"], actions=[99])
    policies = deciding.of(settings(), {"sales": location(unknown)})
    assert deciding.decide(policies, "reports", "sales", WATCH, ORDERS).allowed


@pytest.mark.parametrize("subject", [ORDERS, LOAD, deciding.WHOLE])
def test_a_denial_says_how_to_allow_it_and_doing_so_allows_it(subject: deciding.Subject) -> None:
    denied = deciding.decide(
        deciding.of(settings(default={"watch": "deny"}), {}), "r", "s", WATCH, subject
    )
    assert not denied.allowed
    allowing = {"from": "r", "to": "s", "what": ["watch"], "allow": True}
    if subject.asset:
        allowing["assets"] = ["sales/orders"]
        assert 'assets = ["sales/orders"]' in denied.explanation
    if subject.job:
        allowing["jobs"] = ["load"]
        assert 'jobs = ["load"]' in denied.explanation
    policies = deciding.of(settings(default={"watch": "deny"}, rules=[allowing]), {})
    assert deciding.decide(policies, "r", "s", WATCH, subject).allowed


TEXTS = st.text(alphabet="ab/*", max_size=8)


@hypothesis.given(text=st.text(alphabet="ab/", max_size=10), pattern=TEXTS)
def test_patterns_mean_what_they_mean_in_a_shell(text: str, pattern: str) -> None:
    assert deciding.matches(text, pattern) == fnmatch.fnmatchcase(text, pattern)


NAMES = st.sampled_from(["a", "b", "ab"])
PATTERNS = st.sampled_from(["a", "b", "a*", "*", "*b"])
ACTIONS = st.sets(st.sampled_from(list(deciding.Action)))
SUBJECTS = st.sampled_from(
    [deciding.WHOLE, ORDERS, deciding.Subject(asset=("x",)), LOAD, deciding.Subject(job="other")]
)
ABOUT = st.sampled_from([(), ("*",), ("sales/*",), ("lo*",), ("x", "load")])
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "from": PATTERNS,
            "to": PATTERNS,
            "what": ACTIONS.map(lambda some: [each.value for each in some]),
            "assets": ABOUT.map(list),
            "jobs": ABOUT.map(list),
            "allow": st.booleans(),
        }
    ),
    max_size=4,
)


def expected(rules, source, target, action, subject, otherwise: bool) -> bool:
    """Say it as the page on policies does, one rule after the other."""
    for each in rules:
        if each["what"] and action.value not in each["what"]:
            continue
        if not fnmatch.fnmatchcase(source, each["from"]):
            continue
        if not fnmatch.fnmatchcase(target, each["to"]):
            continue
        assets, jobs = each["assets"], each["jobs"]
        if assets or jobs:
            if subject.asset:
                about = any(fnmatch.fnmatchcase("/".join(subject.asset), one) for one in assets)
            elif subject.job:
                about = any(fnmatch.fnmatchcase(subject.job, one) for one in jobs)
            else:
                about = "*" in assets or "*" in jobs
            if not about:
                continue
        return each["allow"]
    return otherwise


@hypothesis.settings(max_examples=200)
@hypothesis.given(
    host=RULES, own=RULES, who=st.tuples(NAMES, NAMES), action=st.sampled_from(deciding.Action),
    subject=SUBJECTS, closed=ACTIONS,
)  # fmt: skip
def test_both_sides_have_to_allow(host, own, who, action, subject, closed) -> None:
    source, target = who
    default = {each.value: "deny" if each in closed else "allow" for each in deciding.Action}
    messages = [
        rule(
            each["from"],
            allow=each["allow"],
            actions=[deciding.Action(word) for word in each["what"]],
            assets=each["assets"],
            jobs=each["jobs"],
        )
        for each in own
    ]
    policies = deciding.of(settings(default=default, rules=host), {target: location(*messages)})
    decision = deciding.decide(policies, source, target, action, subject)
    by_host = expected(host, source, target, action, subject, action not in closed)
    of_location = [{**each, "to": "*"} for each in own]
    by_location = expected(of_location, source, target, action, subject, otherwise=True)
    assert decision.allowed == (source == target or (by_host and by_location))
    if not decision.allowed:
        assert decision.declared_by == ("" if not by_host else target)
        assert policies.may_deny([action])
