"""What is stored of an evaluation tells all of its condition, whoever shares the wording."""

import datetime as dt

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, explanations, shapes, states
from atoll._partitions import contexts
from atoll.api.v1 import conditions_pb2
from atoll_host.automation.conditions import explaining, knowledge

CONTEXT = contexts.PartitionLoadingContext(
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC), knowledge.Dynamic()
)


def node(name, path, *children, true=True, trigger=None):
    entity = entities.asset(path)
    return explanations.Explanation(
        explanations.Words(name, f"label of {name}", "in words", "and"),
        entity_subsets.EntitySubset(entity, value=True),
        entity_subsets.EntitySubset(entity, true),
        children,
        trigger,
    )


def encoded(*some):
    kept, explainer = shapes.Shapes(), explaining.Explainer(CONTEXT)
    head = conditions_pb2.ConditionEvaluation(sensor_name="s").SerializeToString()
    return [
        conditions_pb2.ConditionEvaluation.FromString(head + explainer.encoded(kept.told(each)))
        for each in some
    ]


def test_targets_that_come_to_the_same_are_told_of_by_their_own_names():
    mark = states.Mark(7, 1.5)

    def tree(own, upstream):
        dep = node("any", [own], node("updated", [upstream], node("latest", [upstream])))
        return node("all", [own], dep, node("missing", [own], true=False), trigger=mark)

    one, two, one_again = encoded(tree("a", "b"), tree("b", "c"), tree("a", "b"))
    assert one == one_again
    assert one.sensor_name == "s"
    for found, own, upstream in ((one, "a", "b"), (two, "b", "c")):
        why = found.explanation
        assert why.entity == entity_messages.to_message(entities.asset([own]))
        assert (why.name, why.label, why.operator) == ("all", "label of all", "and")
        assert (why.trigger.evaluation_id, why.trigger.time.ToNanoseconds()) == (7, 1_500_000_000)
        assert not why.HasField("reset")
        updated = why.children[0].children[0]
        assert updated.entity == entity_messages.to_message(entities.asset([upstream]))
        assert not why.children[0].HasField("entity")
        assert not updated.children[0].HasField("entity")
        assert why.children[1].candidates.count == 1
        assert why.children[1].HasField("true_for")
        assert why.children[1].true_for.count == 0


def test_of_very_many_nodes_the_first_are_told_of_and_the_others_counted():
    asked = [node("dep", [str(number)], node("x", ["same"])) for number in range(1_500)]
    (found,) = encoded(node("all", ["a"], *asked))
    why = found.explanation
    assert 1 + sum(1 + len(child.children) for child in why.children) == explaining.NODES_MAX
    assert [child.entity.asset.path[0] for child in why.children] == [
        str(number) for number in range(len(why.children))
    ]
    assert why.left_out_count == len(asked) - len(why.children)
