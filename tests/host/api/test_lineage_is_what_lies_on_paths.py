"""Lineage against an obvious reference: the shortest path, found by trying all lengths."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll_host.api import slices, staleness

pytestmark = pytest.mark.slow

SIZE = 8
NODES = [(str(number),) for number in range(SIZE)]
EDGES = st.frozensets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)))


def neighbours(edges: frozenset[tuple[int, int]], path: slices.Path) -> list[slices.Path]:
    return sorted(NODES[end] for start, end in edges if NODES[start] == path)


def expected(edges: frozenset[tuple[int, int]], starts: list[int], depth: int) -> dict:
    """Go one step at a time from everything that was reached so far."""
    distances = {NODES[start]: 0 for start in starts}
    for distance in range(1, (depth or SIZE) + 1):
        for start, end in edges:
            if distances.get(NODES[start]) == distance - 1:
                distances.setdefault(NODES[end], distance)
    return distances


@settings(max_examples=200)
@given(EDGES, st.lists(st.integers(0, SIZE - 1), min_size=1), st.integers(0, 4))
def test_one_way(edges, starts, depth):
    found = slices.lineage(
        [NODES[start] for start in starts], [lambda path: neighbours(edges, path)], depth
    )
    assert found == sorted((far, path) for path, far in expected(edges, starts, depth).items())


@settings(max_examples=100)
@given(EDGES, st.lists(st.integers(0, SIZE - 1), min_size=1), st.integers(0, 4))
def test_both_ways_is_the_nearer_of_each(edges, starts, depth):
    back = frozenset((end, start) for start, end in edges)
    found = slices.lineage(
        [NODES[start] for start in starts],
        [lambda path: neighbours(edges, path), lambda path: neighbours(back, path)],
        depth,
    )
    down, up = expected(edges, starts, depth), expected(back, starts, depth)
    both = {path: min(down.get(path, SIZE), up.get(path, SIZE)) for path in {**down, **up}}
    assert {path: far for far, path in found} == both


@given(EDGES, st.lists(st.integers(0, SIZE - 1), min_size=1))
def test_everything_upstream_is_what_lineage_reaches(edges, starts):
    paths = [NODES[start] for start in starts]
    found = staleness.upstream_of(paths, lambda path: neighbours(edges, path))
    reached = slices.lineage(paths, [lambda path: neighbours(edges, path)], 0)
    assert sorted(found) == sorted(path for _, path in reached)
