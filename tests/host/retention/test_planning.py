"""The plan takes what may go and nothing else, whatever the log looks like."""

from hypothesis import given
from hypothesis import strategies as st

from atoll_host.retention import planning
from atoll_storage import log_groups

SIZE = 10
FOREVER = None


@st.composite
def logs(draw: st.DrawFn):
    """Return events with their groups and times, ages, and what is needed."""
    head = draw(st.integers(0, 60))
    times = sorted(draw(st.lists(st.integers(0, 100), min_size=head, max_size=head)))
    groups = draw(st.lists(st.sampled_from(log_groups.NAMES), min_size=head, max_size=head))
    events = {number: (groups[number - 1], times[number - 1]) for number in range(1, head + 1)}
    keep = {name: draw(st.one_of(st.none(), st.integers(0, 100))) for name in log_groups.NAMES}
    needed = draw(st.dictionaries(st.sampled_from(log_groups.NAMES), st.integers(1, 70)))
    pins = draw(st.sets(st.integers(1, 60), max_size=4)) & events.keys()
    return events, keep, needed, pins


def facts_of(events, keep, needed, pins, *, thinned=None, first_id=0) -> planning.Facts:
    old = {
        group: max((n for n, (_, time) in events.items() if time < 100 - age), default=0)
        for group, age in keep.items()
        if age is not FOREVER
    }
    return planning.Facts(
        head=max(events, default=0),
        first_id=first_id,
        partition_size=SIZE,
        thinned=thinned or {},
        old=old,
        first_needed=needed,
        first_pinned=min(pins, default=None),
    )


def carried_out(plan: planning.Plan, events, pins) -> set[int]:
    """Return the events that are left, as storage leaves them."""
    left = {number for number in events if number >= plan.drop_before_id}
    for group, after_id, through_id in plan.windows():
        left -= {
            number
            for number in left
            if after_id < number <= through_id and events[number][0] == group
        } - pins
    return left


@given(logs())
def test_exactly_what_is_old_and_not_needed_goes(log) -> None:
    events, keep, needed, pins = log
    plan = planning.plan(facts_of(events, keep, needed, pins))
    left = carried_out(plan, events, pins)
    for number, (group, time) in events.items():
        age = keep[group]
        is_old = age is not FOREVER and time < 100 - age
        is_needed = number >= needed.get(group, 10**9) or number in pins
        assert (number in left) == (not is_old or is_needed)


@given(logs())
def test_partitions_go_whole_and_never_the_newest(log) -> None:
    events, keep, needed, pins = log
    plan = planning.plan(facts_of(events, keep, needed, pins))
    assert plan.drop_before_id % SIZE == 0
    assert plan.drop_before_id <= max(events, default=0)


@given(logs(), st.data())
def test_a_second_sweep_takes_nothing_more_and_looks_at_nothing_again(log, data) -> None:
    events, keep, needed, pins = log
    first = planning.plan(facts_of(events, keep, needed, pins))
    thinned = dict(first.through)
    left = {number: events[number] for number in carried_out(first, events, pins)}
    if max(events, default=0) not in left:
        return  # the head is known by its number, whether or not it is there
    again = planning.plan(
        facts_of(left, keep, needed, pins, thinned=thinned, first_id=first.drop_before_id)
    )
    assert carried_out(again, left, pins) == set(left)
    for group, after_id, _ in again.windows():
        assert after_id >= thinned.get(group, 0)


def test_windows_are_bounded_and_the_oldest_come_first() -> None:
    size = planning.WINDOW_IDS
    plan = planning.Plan(
        drop_before_id=0,
        through={"log_messages": 2 * size + 5, "step_events": size},
        thinned={"log_messages": 10},
    )
    assert list(plan.windows()) == [
        ("step_events", 0, size),
        ("log_messages", 10, size + 10),
        ("log_messages", size + 10, 2 * size + 5),
    ]


def test_a_run_with_a_key_or_a_need_stays() -> None:
    assert planning.may_go_run("a", frozenset(), has_run_key=False)
    assert not planning.may_go_run("a", frozenset({"a"}), has_run_key=False)
    assert not planning.may_go_run("a", frozenset(), has_run_key=True)
