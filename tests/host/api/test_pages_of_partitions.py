"""Pages of partition keys joined are the whole list, also while keys come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll_host.api import partition_pages

pytestmark = pytest.mark.slow

KEYS = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=20)


def paged(keys, span, size) -> list[str]:
    found, after = [], None
    while True:
        shown, more = partition_pages.page(keys, span, after, size)
        found += [key for _, key in shown]
        assert len(shown) == size or not more
        if not more:
            return found
        after = shown[-1]


@given(KEYS, st.integers(1, 7), st.booleans(), st.data())
def test_pages_joined_are_the_span(keys, size, descending, data):
    start = data.draw(st.integers(0, len(keys)))
    end = data.draw(st.integers(start, len(keys)))
    span = partition_pages.Span(start, end, descending)
    expected = keys[start:end][::-1] if descending else keys[start:end]
    assert paged(partition_pages.Listed(keys), span, size) == expected


@given(KEYS.filter(len), st.integers(1, 7), st.booleans(), st.data())
def test_what_stays_is_shown_once_though_others_go(keys, size, descending, data):
    first, more = partition_pages.page(
        partition_pages.Listed(keys), partition_pages.Span(0, len(keys), descending), None, size
    )
    gone = data.draw(st.sets(st.sampled_from(keys)))
    left = [key for key in keys if key not in gone]
    found = [key for _, key in first]
    after = first[-1]
    # A key that is gone leaves its place, and counted down that moves with each that goes below it.
    place_moves = descending and after[1] in gone and len(gone) > 1
    if more and not place_moves and not gone & {key for _, key in first[:-1]}:
        span = partition_pages.Span(0, len(left), descending)
        while True:
            shown, more = partition_pages.page(partition_pages.Listed(left), span, after, size)
            found += [key for _, key in shown]
            if not more:
                break
            after = shown[-1]
        assert len(found) == len(set(found))
        before_gone = keys.index(first[-1][1])
        behind = keys[:before_gone] if descending else keys[before_gone + 1 :]
        if not gone - {first[-1][1]}:
            assert set(found) == {key for _, key in first} | set(behind)
