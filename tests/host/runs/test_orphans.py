"""When the runs of an absent code server are given up."""

from hypothesis import given
from hypothesis import strategies as st

from atoll_host.runs import orphans

EAST, WEST = ("east", "s1"), ("west", "s2")


def watch() -> orphans.AbsenceWatch:
    return orphans.AbsenceWatch(timeout_s=300, gap_max_s=30)


def look_until(watched: orphans.AbsenceWatch, begin: float, end: float) -> set[orphans.ServerKey]:
    lost: set[orphans.ServerKey] = set()
    now = begin
    while now <= end:
        lost = watched.look([EAST], set(), now)
        now += 10
    return lost


def test_a_server_is_lost_after_the_timeout_and_not_before() -> None:
    watched = watch()
    assert look_until(watched, 0, 290) == set()
    assert look_until(watched, 300, 300) == {EAST}


def test_a_server_that_came_back_begins_anew() -> None:
    watched = watch()
    look_until(watched, 0, 290)
    assert watched.look([EAST], {EAST}, 295) == set()
    assert look_until(watched, 300, 590) == set()
    assert look_until(watched, 600, 600) == {EAST}


def test_a_host_that_could_not_look_gives_nobody_up() -> None:
    watched = watch()
    look_until(watched, 0, 200)
    assert watched.look([EAST], set(), 1000) == set()
    assert look_until(watched, 1010, 1290) == set()


def test_servers_are_measured_apart() -> None:
    watched = watch()
    for now in range(0, 310, 10):
        lost = watched.look([EAST, WEST], {WEST}, float(now))
    assert lost == {EAST}


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.booleans(), st.booleans()), min_size=1, max_size=60)
)
def test_nothing_is_given_up_without_a_watched_absence(
    looks: list[tuple[float, bool, bool]],
) -> None:
    watched = watch()
    now = 0.0
    absent_since: float | None = None
    for step, bound, alive in looks:
        now += step
        lost = watched.look([EAST] if bound else [], {EAST} if alive else set(), now)
        if alive or not bound:
            absent_since = None
        elif absent_since is None or step > 30:
            absent_since = now
        expected = absent_since is not None and now - absent_since >= 300
        assert lost == ({EAST} if expected else set())
