"""What explanations have in common is kept once, and each of them is whole again when asked for."""

import hypothesis
from hypothesis import strategies as st

import atoll as dg
from atoll._conditions import entities, entity_subsets, explanations, shapes, states

_PARTITIONS = dg.StaticPartitionsDefinition(["a", "b", "c"])
NAMES = st.sampled_from(
    [
        entities.asset(["x"]),
        entities.asset(["y"]),
        entities.check(["x"], "c"),
        entities.job("", "j"),
    ]
)
VALUES = st.booleans() | st.lists(st.sampled_from("abc")).map(
    _PARTITIONS.subset_with_partition_keys
)
WORDS = st.builds(explanations.Words, st.sampled_from("pq"), st.sampled_from(["", "label"]))
MARKS = st.none() | st.builds(states.Mark, st.just(1), st.just(2.0))


@st.composite
def trees(draw, depth=3):
    entity = draw(NAMES)
    children = draw(st.lists(trees(depth - 1), max_size=2)) if depth else []
    return explanations.Explanation(
        draw(WORDS),
        entity_subsets.EntitySubset(entity, draw(VALUES)),
        entity_subsets.EntitySubset(entity, draw(VALUES)),
        tuple(children),
        draw(MARKS),
        draw(MARKS),
    )


def news(tree):
    """Return what makes another evaluation worth keeping."""
    return tree.name, tree.entity, tree.true.value, tuple(map(news, tree.children))


def renamed(tree, names):
    entity = names[tree.entity]
    return tree._replace(
        candidates=entity_subsets.EntitySubset(entity, tree.candidates.value),
        true=entity_subsets.EntitySubset(entity, tree.true.value),
        children=tuple(renamed(child, names) for child in tree.children),
    )


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(trees(), min_size=1, max_size=6))
def test_explanations_come_back_as_they_were(some):
    kept = shapes.Shapes()
    told = [kept.told(each) for each in some]
    assert [each.explanation() for each in told] == some
    later = shapes.Shapes()
    for one, kept_as in zip(some, told, strict=True):
        for other in some:
            again = later.told(other)
            assert (kept_as.signature == again.signature) == (news(one) == news(other))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(trees())
def test_those_that_differ_in_names_alone_share_a_shape(tree):
    kept = shapes.Shapes()
    known = [entities.asset(["x"]), entities.asset(["y"]), entities.check(["x"], "c")]
    known.append(entities.job("", "j"))
    other = renamed(tree, {name: entities.asset(["other", str(name)]) for name in known})
    one, two = kept.told(tree), kept.told(other)
    assert one.shape is two.shape
    assert two.explanation() == other
    assert one.signature != two.signature


def test_sets_of_partitions_are_told_apart_from_truth_and_from_each_other():
    kept = shapes.Shapes()
    entity = entities.asset(["x"])

    def told(value):
        subset = entity_subsets.EntitySubset(entity, value)
        return kept.told(explanations.Explanation(explanations.Words("p"), subset, subset)).shape

    def part(*keys):
        return _PARTITIONS.subset_with_partition_keys(keys)

    values = [False, True, part(), part("a"), part("b"), part("a", "b")]
    assert len({told(value) for value in values}) == len(values)
    assert told(part("b", "a")) is told(part("a", "b"))
