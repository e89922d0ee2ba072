"""Conditions as users write them: put together, changed, given to definitions, and refused."""

import datetime as dt

import pytest

import atoll as dg
from atoll import errors
from atoll._condition_messages import conditions as messages
from atoll._condition_messages import selections as selection_messages
from atoll._conditions import compiling, conditions, entities, graph, plans, selecting
from atoll._definitions import condition_selections
from atoll._wire import snapshot
from atoll.definitions.v1 import conditions_pb2, snapshot_pb2

C = dg.AutomationCondition


def test_conjunctions_and_alternatives_are_opened_unless_they_have_a_label():
    missing, updated, failed = C.missing(), C.newly_updated(), C.execution_failed()
    assert (missing & updated & failed).children == [missing, updated, failed]
    assert (missing | (updated | failed)).children == [missing, updated, failed]
    both = (missing & updated).with_label("both")
    assert (both & failed).children == [both, failed]


def test_a_part_can_be_replaced_by_its_name_its_label_or_itself():
    latest = C.in_latest_time_window(dt.timedelta(days=7))
    for old in ("in_latest_time_window", C.in_latest_time_window()):
        changed = C.eager().replace(old, latest)
        assert changed.children[0] == latest
        assert changed.get_label() == "eager"
    changed = C.eager().replace("any_deps_updated", C.newly_updated())
    trigger = changed.children[1].children[0]
    assert trigger.children == [C.newly_missing(), C.newly_updated()]
    assert C.eager().replace("not there", latest) == C.eager()


def test_a_part_can_be_left_out():
    without = C.eager().without(~C.any_deps_missing())
    assert ~C.any_deps_missing() not in without.children
    assert len(without.children) == len(C.eager().children) - 1
    with pytest.raises(errors.InvalidDefinitionError, match="is no part of 'eager'"):
        C.eager().without(C.missing())
    with pytest.raises(errors.InvalidDefinitionError, match="only one part is left"):
        (C.missing() & C.newly_updated()).without(C.missing())


def test_selections_go_to_all_parts_that_look_at_dependencies_and_add_up():
    chosen = C.eager().allow(dg.AssetSelection.groups("a")).allow(dg.AssetSelection.groups("b"))
    found = [one for one in conditions.walk(chosen.node) if isinstance(one, conditions.Selecting)]
    assert len(found) == 3
    assert len({str(one.allow) for one in found}) == 1
    assert "'a'" in str(found[0].allow)
    assert "'b'" in str(found[0].allow)
    with pytest.raises(errors.InvalidDefinitionError, match="looks at no dependencies"):
        C.missing().allow(dg.AssetSelection.all())


def test_what_only_the_host_knows_is_no_way_to_choose_dependencies():
    with pytest.raises(errors.InvalidDefinitionError, match="by 'status'"):
        C.any_deps_updated().ignore("status:failed")
    chosen = C.any_deps_updated().ignore("code_location:elsewhere")
    assert isinstance(chosen.node, conditions.AnyDeps)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: C.on_cron("61 * * * *"), "61"),
        (lambda: C.on_cron("0 0 * * *", "Mars/Base"), "Mars/Base"),
        (lambda: C.cron_tick_passed("0 0 30 2 *"), "0 0 30 2 *"),
        (lambda: C.all_deps_updated_since_cron("nonsense"), "nonsense"),
        (lambda: C.missing() & "missing", "'missing'"),
        (lambda: C.any_deps_match(None), "None"),
        (lambda: C.newly_updated().since(dg.AssetKey("a")), "AssetKey"),
    ],
)
def test_what_cannot_be_a_condition_is_refused_when_it_is_written(make, told):
    with pytest.raises(errors.InvalidDefinitionError, match=r"\w") as caught:
        make()
    assert told in str(caught.value)


def test_definitions_tell_which_conditions_are_wrong():
    @dg.asset(automation_condition="eager")
    def wrong(): ...

    @dg.asset(deps=[wrong], automation_condition=C.eager().ignore(dg.AssetSelection.keys("typo")))
    def misspelt(): ...

    @dg.asset(automation_condition=C.any_job_root_assets_match(C.missing()))
    def no_job(): ...

    elsewhere = C.eager().allow(dg.AssetSelection.keys("of_another_location"))

    @dg.asset(deps=["of_another_location"], automation_condition=elsewhere)
    def fine(): ...

    with pytest.raises(errors.InvalidDefinitionError) as caught:
        dg.Definitions(assets=[wrong, misspelt, no_job, fine]).validate_loadable()
    told = sorted(str(problem) for problem in caught.value.problems)
    assert len(told) == 3
    assert "'typo'" in " ".join(told)
    assert "'eager'" in " ".join(told)
    assert "'no_job'" in " ".join(told)
    assert all("test_conditions_are_put_together.py" in one for one in told)


def test_the_snapshot_says_the_conditions_of_everything():
    @dg.asset(automation_condition=C.eager())
    def made(): ...

    @dg.asset_check(asset=made, automation_condition=C.on_cron("0 0 * * *"))
    def checked(): ...

    condition = C.all_job_root_assets_match(C.missing())
    job = dg.define_asset_job("job", selection=[made], automation_condition=condition)
    sensor = dg.AutomationConditionSensorDefinition(
        "often",
        target=[dg.AssetSelection.all(), job],
        run_tags={"team": "a"},
        minimum_interval_seconds=5,
        default_condition=C.on_missing(),
        emit_backfills=False,
    )
    defs = dg.Definitions(assets=[made], asset_checks=[checked], jobs=[job], sensors=[sensor])
    defs.validate_loadable()
    message = snapshot_pb2.LocationSnapshot.FromString(snapshot.encode(defs))
    assert messages.from_message(message.assets[0].automation_condition) == C.eager().node
    found = messages.from_message(message.checks[0].automation_condition)
    assert found == C.on_cron("0 0 * * *").node
    by_name = {one.name: one for one in message.jobs}
    assert messages.from_message(by_name["job"].automation_condition) == condition.node
    assert not by_name["__ASSET_JOB"].HasField("automation_condition")
    told = message.sensors[0]
    assert told.kind == snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION
    assert [one.WhichOneof("kind") for one in told.automation_targets] == ["asset", "check", "job"]
    assert dict(told.run_tags) == {"team": "a"}
    assert told.minimum_interval.seconds == 5
    assert not told.emit_backfills
    assert messages.from_message(told.default_condition) == C.on_missing().node


def test_a_sensor_has_no_targets_without_a_condition_and_says_so_if_it_has_none_at_all():
    @dg.asset
    def plain(): ...

    everything = dg.AutomationConditionSensorDefinition("s", target=dg.AssetSelection.all())
    graph_of_assets = dg.Definitions(assets=[plain]).graph
    assert everything.targets(graph_of_assets) == []
    with pytest.raises(errors.InvalidDefinitionError, match="has no target"):
        dg.AutomationConditionSensorDefinition("s", target=None)
    with pytest.raises(errors.InvalidDefinitionError, match="of the sensor 's'"):
        dg.AutomationConditionSensorDefinition("s", target="*", default_condition="eager")


def test_a_condition_from_a_newer_release_is_refused_whole():
    unknown = conditions_pb2.AutomationCondition()
    newer = conditions_pb2.AutomationCondition(
        negation=conditions_pb2.NotCondition(operand=unknown)
    )
    with pytest.raises(errors.InvalidInvocationError, match="does not know"):
        messages.from_message(newer)


def _deep(levels):
    deep = C.missing()
    for _ in range(levels - 1):
        deep = ~deep
    return deep


def test_a_condition_that_is_too_deep_is_refused():
    sent = messages.to_message(_deep(40).node).SerializeToString()
    found = conditions_pb2.AutomationCondition.FromString(sent)
    assert messages.from_message(found) == _deep(40).node
    with pytest.raises(errors.InvalidDefinitionError, match="41 levels"):
        messages.to_message(_deep(41).node)

    @dg.asset(automation_condition=_deep(41))
    def deep(): ...

    with pytest.raises(errors.InvalidDefinitionError, match="41 levels"):
        dg.Definitions(assets=[deep]).validate_loadable()


def test_what_a_part_remembers_is_kept_when_the_rest_or_a_selection_changes():
    def kept(condition):
        nodes = [compiling.compiled(condition.node)]
        found = []
        while nodes:
            node = nodes.pop()
            nodes += node.children
            if isinstance(node.condition, conditions.Since):
                found.append(node.identity)
        return sorted(found)

    eager = kept(C.eager())
    assert kept(C.eager().with_label("mine") & C.missing()) == eager
    assert kept(C.eager().ignore(dg.AssetSelection.groups("a"))) == eager
    updated = C.any_deps_updated()
    two = [updated.allow(dg.AssetSelection.groups(group)) for group in ("a", "b")]
    apart = kept(two[0].since_last_handled() | two[1].since_last_handled())
    assert len(set(apart)) == 2


def test_what_is_asked_of_a_check_hangs_on_its_asset_too():
    check, asset = entities.check(["orders"], "whole"), entities.asset(["orders"])
    node = graph.Node(check, condition=C.check_failed().node, upstream={})
    plan = plans.Plan(graph.Graph([node]))
    assert plan.reads(check) == {check, asset}
    assert list(plan.readers(asset)) == [check]


def _world():
    def node(name, upstream=(), **attributes):
        return graph.Node(
            entities.asset([name]),
            upstream={entities.asset([one]): None for one in upstream},
            **attributes,
        )

    return graph.Graph(
        [
            node("raw", materializable=False, group_name="raw"),
            node("orders", ["raw"], tags={"tier": "1"}, owners=["a@b.c"], location="sales"),
            node("order_lines", ["orders"], kinds=frozenset({"table"})),
            graph.Node(entities.check(["orders"], "whole"), upstream={}),
        ]
    )


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("*", "order_lines orders orders:whole"),
        (dg.AssetSelection.all(include_sources=True), "order_lines orders orders:whole raw"),
        (dg.AssetSelection.keys("orders"), "orders orders:whole"),
        (dg.AssetSelection.groups("raw"), ""),
        (dg.AssetSelection.groups("raw", include_sources=True), "raw"),
        (dg.AssetSelection.tag("tier", "1"), "orders orders:whole"),
        (dg.AssetSelection.owner("a@b.c"), "orders orders:whole"),
        (dg.AssetSelection.kind("table"), "order_lines"),
        (dg.AssetSelection.key_prefixes("orders"), "orders orders:whole"),
        (dg.AssetSelection.key_substring("line"), "order_lines"),
        ('key:"order*"', "order_lines orders orders:whole"),
        ("code_location:sales", "orders orders:whole"),
        (dg.AssetSelection.keys("raw").downstream(1), "orders orders:whole raw"),
        (dg.AssetSelection.keys("order_lines").upstream(), "order_lines orders orders:whole"),
        (dg.AssetSelection.all().roots(), "orders orders:whole"),
        (dg.AssetSelection.all().sinks(), "order_lines"),
        (dg.AssetSelection.keys("orders").upstream_source_assets(), "raw"),
        (dg.AssetSelection.all_asset_checks(), "orders:whole"),
        (dg.AssetSelection.checks(dg.AssetCheckKey("orders", "whole")), "orders:whole"),
        (dg.AssetSelection.checks_for_assets("orders"), "orders:whole"),
        (dg.AssetSelection.all().materializable(), "order_lines orders orders:whole"),
        (dg.AssetSelection.all() - dg.AssetSelection.keys("orders"), "order_lines"),
        (dg.AssetSelection.all() & dg.AssetSelection.kind("table"), "order_lines"),
        (dg.AssetSelection.all().without_checks(), "order_lines orders"),
        (dg.AssetSelection.kind(None), "orders orders:whole"),
    ],
)
def test_selections_mean_the_same_among_the_assets_of_all_locations(selection, expected):
    data = condition_selections.of(selection)
    sent = selection_messages.to_message(data)
    found = selection_messages.from_message(
        conditions_pb2.ConditionSelection.FromString(sent.SerializeToString())
    )
    assert found == data
    resolved = selecting.Selector(_world()).resolve(found)
    assert " ".join(sorted(map(str, resolved))) == expected
