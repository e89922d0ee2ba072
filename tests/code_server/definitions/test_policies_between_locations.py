"""What a team says of other locations is checked where it is written, and reaches the host."""

import pytest

import atoll as dg
from atoll._wire import snapshot


def rules_of(policy: dg.LocationPolicy | None) -> list[tuple]:
    message = snapshot.to_message(dg.Definitions(policy=policy))
    return [
        (list(rule.from_locations), list(rule.actions), list(rule.assets), rule.allow, rule.reason)
        for rule in message.policy.rules
    ]


def test_exceptions_come_first_and_lists_let_in_whom_they_name_and_nobody_else() -> None:
    policy = dg.LocationPolicy(
        watch=["reports", "ml_*"],
        launch=[],
        rules=[dg.PolicyRule(["lab"], allow=False, actions=["watch"], assets=["raw/*"])],
    )
    assert rules_of(policy) == [
        (["lab"], [1], ["raw/*"], False, ""),
        (["reports", "ml_*"], [1], [], True, ""),
        (["*"], [1], [], False, "only 'reports', 'ml_*' may"),
        (["*"], [3], [], False, "nobody may"),
    ]


def test_without_a_policy_nothing_is_said() -> None:
    assert not snapshot.to_message(dg.Definitions()).HasField("policy")
    assert rules_of(dg.LocationPolicy()) == []


def test_policies_merge_like_executors() -> None:
    policy = dg.LocationPolicy(watch=["reports"])
    assert dg.Definitions.merge(dg.Definitions(policy=policy), dg.Definitions()).policy == policy
    other = dg.Definitions(policy=dg.LocationPolicy())
    with pytest.raises(dg.InvalidDefinitionError, match="policy"):
        dg.Definitions.merge(dg.Definitions(policy=policy), other)
    assert dg.Definitions(policy=policy).with_resources({"a": 1}).policy == policy


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: dg.LocationPolicy(watch="reports"), "Put it into brackets"),
        (lambda: dg.LocationPolicy(read=[""]), "texts that are not empty"),
        (lambda: dg.LocationPolicy(rules=[1]), "PolicyRule objects"),
        (lambda: dg.PolicyRule([], allow=True), "about no location"),
        (lambda: dg.PolicyRule(["a"], allow=True, actions=["eat"]), "'eat'"),
        (lambda: dg.PolicyRule(["a"], allow="yes"), "True or False"),
        (lambda: dg.Definitions(policy={"watch": []}), "LocationPolicy object"),
    ],
)
def test_what_cannot_be_is_refused_and_says_what_to_give(make, told: str) -> None:
    with pytest.raises(dg.InvalidDefinitionError, match=told):
        make()
