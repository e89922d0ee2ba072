"""Attempts wait for a place or for their time, in a fair order."""

import dataclasses

from atoll._definitions import executors
from atoll._execution import step_queue


@dataclasses.dataclass
class _Step:
    key: str
    priority: int = 0
    tags: dict = dataclasses.field(default_factory=dict)


def _queue(most, *limits, steps=()):
    queue = step_queue.StepQueue(most, limits)
    for one in steps:
        queue.put(step_queue.Attempt(one))
    return queue


def _take_all(queue, now=0.0):
    taken = []
    while (attempt := queue.take(now)) is not None:
        taken.append(attempt)
    return taken


def _keys(attempts):
    return [one.step.key for one in attempts]


def test_the_highest_priority_then_the_first_that_came():
    steps = [_Step("a"), _Step("b", 1), _Step("c"), _Step("d", 1), _Step("e", -1)]
    assert _keys(_take_all(_queue(9, steps=steps))) == ["b", "d", "a", "c", "e"]


def test_a_place_is_given_back():
    queue = _queue(2, steps=[_Step("a"), _Step("b"), _Step("c")])
    first, _ = _take_all(queue)
    assert queue.take(0.0) is None
    queue.release(first)
    assert _keys(_take_all(queue)) == ["c"]
    assert queue.is_empty


def test_a_step_whose_tag_is_full_lets_others_pass_and_keeps_its_turn():
    limit = executors.TagLimit("db", 1)
    steps = [_Step("a", tags={"db": "x"}), _Step("b", tags={"db": "y"}), _Step("c"), _Step("d")]
    queue = _queue(3, limit, steps=steps)
    taken = _take_all(queue)
    assert _keys(taken) == ["a", "c", "d"]
    queue.release(taken[1])
    assert queue.take(0.0) is None
    queue.release(taken[0])
    assert _keys(_take_all(queue)) == ["b"]


def test_limits_of_one_value_and_of_each_value():
    steps = [_Step(f"{value}{n}", tags={"db": value}) for n in range(2) for value in "xyz"]
    one_value = _queue(9, executors.TagLimit("db", 1, "x"), steps=steps)
    assert _keys(_take_all(one_value)) == ["x0", "y0", "z0", "y1", "z1"]
    each_value = _queue(9, executors.TagLimit("db", 1, None, True), steps=steps)
    assert _keys(_take_all(each_value)) == ["x0", "y0", "z0"]


def test_what_waits_for_its_time_takes_no_place():
    queue = _queue(1, steps=[_Step("a")])
    queue.put_later(step_queue.Attempt(_Step("late", 9), 1), 5.0)
    assert (queue.next_due, queue.is_empty) == (5.0, False)
    (first,) = _take_all(queue, 4.9)
    assert first.step.key == "a"
    queue.release(first)
    assert queue.take(4.9) is None
    assert _keys(_take_all(queue, 5.0)) == ["late"]
