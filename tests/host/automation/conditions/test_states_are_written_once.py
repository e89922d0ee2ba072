"""What is stored of a target is the same, whether other targets remember the same or not."""

import hypothesis
from hypothesis import strategies as st

import atoll as dg
from atoll._condition_messages import states as state_messages
from atoll._conditions import entities, states
from atoll_host.automation.conditions import writing

_PARTITIONS = dg.StaticPartitionsDefinition(["a", "b"])
TARGETS = [entities.asset(["x"]), entities.asset(["y"]), entities.check(["x"], "c")]
VALUES = st.booleans() | st.just(_PARTITIONS.subset_with_partition_keys(["a"]))
MARKS = st.none() | st.builds(states.Mark, st.integers(1, 2), st.just(2.0))
NODES = st.builds(
    states.NodeState, st.none() | VALUES, st.none() | st.sampled_from(["", "v"]), MARKS, MARKS
)


@st.composite
def remembered(draw):
    target = draw(st.sampled_from(TARGETS))
    about = st.sampled_from([target, target, TARGETS[0]])
    state = states.TargetState(
        evaluation_id=draw(st.integers(1, 2)),
        evaluated_at=2.0,
        position=draw(st.integers(0, 1)),
        partitions=draw(st.sampled_from([None, "keys"])),
        requested=draw(VALUES),
        settling=draw(st.booleans()),
        nodes=draw(st.dictionaries(st.tuples(st.sampled_from("pq"), about), NODES, max_size=2)),
    )
    return target, state


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.lists(remembered(), max_size=8))
def test_each_target_has_its_own_state_written(some):
    writer = writing.Writer()
    for target, state in some:
        expected = state_messages.to_message(state, target).SerializeToString()
        assert writer.encoded(state, target) == expected
