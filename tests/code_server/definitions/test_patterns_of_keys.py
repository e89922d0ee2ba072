"""What a star stands for in a selection of keys, against a regular expression."""

import re

from hypothesis import given
from hypothesis import strategies as st

from atoll._selections import resolving


@given(st.text("ab/"), st.lists(st.text("ab/", max_size=2), min_size=1, max_size=5))
def test_a_star_stands_for_any_text(text, pieces):
    pattern = ".*".join(map(re.escape, pieces))
    assert resolving._looks_like(text, tuple(pieces)) == bool(re.fullmatch(pattern, text))


def test_many_stars_take_no_time():
    assert not resolving._looks_like("a" * 2000, ("a",) * 50 + ("b",))
