"""Values against types: in unit tests by `check_type`, in steps by what the engine calls."""

import logging

import pytest

import atoll as dg
from atoll._execution import type_checking

EVEN = dg.Type(lambda _context, value: value % 2 == 0, name="Even")
SUBJECT = "the input 'x' of the op 'halve'"


@pytest.fixture
def context():
    return type_checking.TypeCheckContext("run", logging.getLogger("test"), resources={"db": 1})


def test_any_type_is_checked_by_check_type():
    assert dg.check_type(EVEN, 2).success
    assert not dg.check_type(EVEN, 1).success
    assert dg.check_type(dg.Int, 1).success
    assert dg.check_type(list[int], [1]).success
    assert not dg.check_type(dg.List[EVEN], [1]).success
    assert dg.check_type(dg.Nothing, None).success


def test_what_is_no_type_is_refused_by_check_type():
    with pytest.raises(dg.InvalidDefinitionError, match="check_type"):
        dg.check_type("int", 1)


def test_a_check_may_log(caplog):
    def check(context, value):
        context.log.info("looked at %s", value)
        return context.run_id == ""

    with caplog.at_level(logging.INFO):
        assert dg.check_type(dg.Type(check, name="T"), 3).success
    assert "looked at 3" in caplog.text


def test_a_check_that_requires_resources_needs_a_context_of_its_own(context):
    needing = dg.Type(
        lambda context, value: value == context.resources["db"],
        name="T",
        required_resource_keys={"db"},
    )
    with pytest.raises(dg.InvalidInvocationError, match="requires the resources db"):
        dg.check_type(dg.List[needing], [1])
    assert needing.type_check(context, 1).success
    assert type_checking.check_value(needing, 1, context, SUBJECT).success


def test_an_error_of_a_check_says_of_which_value(context):
    with pytest.raises(dg.TypeCheckError, match="For the input 'x' of the op 'halve'") as error:
        type_checking.check_value(EVEN, "a", context, SUBJECT)
    assert isinstance(error.value.user_exception, TypeError)


def test_a_check_that_did_not_pass_is_an_error_with_all_that_it_said(context):
    def check(_context, value):
        return dg.TypeCheck(success=False, description="odd", metadata={"value": value})

    odd = dg.Type(check, name="Even")
    said = type_checking.check_value(odd, 3, context, SUBJECT)
    error = type_checking.did_not_pass(odd, said, SUBJECT)
    assert isinstance(error, dg.TypeCheckDidNotPass)
    assert "the input 'x' of the op 'halve'" in str(error)
    assert "odd" in str(error)
    assert error.description == str(error)
    assert error.metadata == {"value": dg.MetadataValue.int(3)}
    assert error.type is odd
