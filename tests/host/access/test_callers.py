"""What roles allow, for which locations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll_host import errors
from atoll_host.access import callers

NAMES = st.sampled_from(["a", "b", "c"])
ROLES = st.sampled_from(list(callers.Role))
GRANTS = st.builds(callers.Grant, ROLES, st.none() | st.frozensets(NAMES, max_size=3))


@given(st.lists(GRANTS, max_size=4), ROLES, NAMES)
def test_a_role_is_held_where_a_grant_of_it_or_a_higher_one_says_so(grants, role, name):
    caller = callers.Caller("x", callers.Kind.TOKEN, tuple(grants))
    held = any(
        grant.role.value >= role.value and (grant.locations is None or name in grant.locations)
        for grant in grants
    )
    assert caller.holds(role, name) == held
    everywhere = caller.locations(role)
    assert (everywhere is None or name in everywhere) == held


def test_who_asks_about_a_location_is_remembered_with_it_for_as_long_as_the_call():
    caller = callers.Caller("x", callers.Kind.TOKEN, (callers.Grant(callers.Role.VIEWER),))
    with callers.calling(caller) as asked:
        assert callers.current() is caller
        callers.current().require(callers.Role.VIEWER, ["a"])
        with pytest.raises(errors.NotAllowed, match="'x' is no admin of location 'b'"):
            callers.current().require(callers.Role.ADMIN, ["b", "c"])
        assert asked == {"a", "b"}
    assert callers.current() is callers.LOCAL
