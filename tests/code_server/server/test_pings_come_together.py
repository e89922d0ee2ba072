import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll._server import session

moments = st.floats(0, 4e9)
intervals = st.floats(0.05, 1200)


@given(moments, intervals)
def test_a_pause_is_never_much_longer_than_asked_for_and_never_nothing(now_s, every_s):
    assert 0.09 * every_s <= session.pause_s(now_s, every_s) <= 1.11 * every_s


@given(st.integers(0, 10**9), st.floats(0, 0.89), st.floats(0, 0.89))
def test_code_servers_that_began_at_different_moments_ping_at_the_same(turn, one, other):
    every_s = 3.0
    first, second = (turn + one) * every_s, (turn + other) * every_s
    ends = [each + session.pause_s(each, every_s) for each in (first, second)]
    assert ends == pytest.approx([(turn + 1) * every_s] * 2, abs=1e-6)


def test_a_timer_that_fires_early_does_not_ping_twice():
    assert session.pause_s(8.9999, 3.0) == pytest.approx(3.0001)
