"""Types that users define: what their checks may answer, and what is said of refused values."""

import numpy as np
import pytest

import atoll as dg
from atoll._definitions import types


def _positive(_context, value):
    return value > 0


POSITIVE = dg.Type(_positive, name="Positive", description="More than **nothing**.")


def test_a_check_answers_yes_or_no():
    assert POSITIVE.type_check(None, 1) == dg.TypeCheck(success=True)
    refused = POSITIVE.type_check(None, -1)
    assert not refused.success
    assert "-1" in refused.description
    assert "Positive" in refused.description


def test_a_check_may_say_more():
    def check(_context, value):
        return dg.TypeCheck(value > 0, "looked at", {"value": value})

    said = dg.Type(check, name="Positive").type_check(None, -1)
    assert said == dg.TypeCheck(success=False, description="looked at", metadata={"value": -1})
    assert said.metadata == {"value": dg.MetadataValue.int(-1)}


@pytest.mark.parametrize("answer", [np.bool_(True), np.bool_(False)])
def test_what_numpy_and_pandas_give_as_truth_is_an_answer(answer):
    check = dg.Type(lambda _context, _value: answer, name="T").type_check(None, 1)
    assert check.success is bool(answer)


def test_a_failure_refuses_the_value_with_all_that_it_says():
    def check(_context, value):
        raise dg.Failure("too small", metadata={"value": value})

    said = dg.Type(check, name="T").type_check(None, -1)
    assert said == dg.TypeCheck(success=False, description="too small", metadata={"value": -1})


def test_a_check_that_raises_is_an_error_of_user_code():
    with pytest.raises(
        dg.TypeCheckError, match=r"'Positive' raised TypeError.*'a' of type str"
    ) as e:
        POSITIVE.type_check(None, "a")
    assert isinstance(e.value.user_exception, TypeError)
    assert isinstance(e.value, dg.UserCodeExecutionError)


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_a_check_that_answers_neither_yes_nor_no_is_an_error(answer):
    with pytest.raises(dg.TypeCheckError, match="Return True, False or a TypeCheck"):
        dg.Type(lambda _context, _value: answer, name="T").type_check(None, 1)


@pytest.mark.parametrize("check", [lambda value: True, lambda: True, lambda a, b, c: True])
def test_a_check_takes_a_context_and_the_value(check):
    with pytest.raises(dg.InvalidDefinitionError, match="two parameters"):
        dg.Type(check, name="T")


@pytest.mark.parametrize(
    "check", [lambda a, b, c=3: True, lambda *values: True, _positive.__call__, isinstance]
)
def test_whatever_can_be_called_with_two_values_is_a_check(check):
    dg.Type(check, name="T")


def test_a_check_has_to_be_callable():
    with pytest.raises(dg.InvalidDefinitionError, match="has 3 as its check"):
        dg.Type(3, name="T")


def test_a_type_needs_a_name_or_a_key():
    with pytest.raises(dg.InvalidDefinitionError, match="needs a name"):
        dg.Type(_positive)


def test_names_and_keys():
    named = dg.Type(_positive, name="Positive")
    assert (named.key, named.display_name, named.unique_name) == ("Positive",) * 3
    both = dg.Type(_positive, "k", "Positive")
    assert (both.key, both.display_name, both.has_unique_name) == ("k", "Positive", True)
    keyed = dg.Type(_positive, key="k")
    assert (keyed.key, keyed.display_name, keyed.has_unique_name) == ("k", "k", False)
    with pytest.raises(dg.InvariantViolationError, match="no name of its own"):
        _ = keyed.unique_name


def test_what_a_type_tells_of_itself():
    told = dg.Type(
        _positive,
        name="T",
        description="words",
        required_resource_keys={"db"},
        typing_type=int,
        metadata={"unit": "kg"},
    )
    assert told.description == "words"
    assert told.required_resource_keys == {"db"}
    assert told.typing_type is int
    assert told.metadata == {"unit": dg.MetadataValue.text("kg")}
    assert told.inner_types == ()
    assert (told.is_any, told.is_nothing, told.is_builtin) == (False, False, False)
    assert not told.supports_fan_in


def test_the_context_reaches_the_check():
    seen = []
    checked = dg.Type(lambda context, _value: seen.append(context) is None, name="T")
    assert dg.List[checked].type_check("the context", [1]).success
    assert seen == ["the context"]


def test_instances_of_a_class():
    class Frame: ...

    checked = dg.PythonObjectType(Frame, description="A frame.")
    assert (checked.display_name, checked.description) == ("Frame", "A frame.")
    assert checked.typing_type is Frame
    assert checked.type_check(None, Frame()).success
    refused = checked.type_check(None, 3)
    assert not refused.success
    assert "3 of type int" in refused.description
    assert "Frame" in refused.description


def test_instances_of_several_classes():
    checked = dg.PythonObjectType((int, str), name="IdOrName")
    assert checked.display_name == "IdOrName"
    assert [checked.type_check(None, value).success for value in (1, "a", 1.5)] == [
        True,
        True,
        False,
    ]
    assert dg.PythonObjectType((int, str)).display_name == "Union[int, str]"


@pytest.mark.parametrize("wrong", [list[int], 3, (), (int, 3), "int"])
def test_a_python_object_type_is_one_of_classes(wrong):
    with pytest.raises(dg.InvalidDefinitionError, match="takes a class or a tuple of classes"):
        dg.PythonObjectType(wrong)


def test_a_refusal_shows_scalars_and_only_the_type_of_what_may_be_large_or_odd():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    assert "x..." in types.resolve(int).type_check(None, "x" * 1000).description
    assert len(types.resolve(int).type_check(None, "x" * 1000).description) < 200
    assert "Odd" in types.resolve(int).type_check(None, Odd()).description


def test_what_several_outputs_may_be_given_to():
    def fan_in(annotation):
        found = types.resolve(annotation)
        return found.get_inner_type_for_fan_in() if found.supports_fan_in else None

    assert fan_in(list[int]) is types.resolve(int)
    assert fan_in(list[int] | None) is types.resolve(int)
    assert fan_in(dg.Any) is types.ANY
    assert fan_in(dg.Nothing) is types.NOTHING
    assert fan_in(dg.List[POSITIVE]) is POSITIVE
    assert fan_in(int) is None
    with pytest.raises(dg.InvariantViolationError, match="takes the output of one step"):
        types.resolve(int | None).get_inner_type_for_fan_in()


def test_all_types_in_use_are_found_once_parts_first():
    used = [dg.List[POSITIVE], types.resolve(dict[str, list[int]]), POSITIVE, dg.List[POSITIVE]]
    assert [*types.distinct(used)] == [
        "Positive",
        "List.Positive",
        "String",
        "Int",
        "List.Int",
        "Dict.String.List.Int",
    ]


def test_two_types_of_one_name_are_refused_where_they_meet():
    with pytest.raises(
        dg.InvalidDefinitionError, match="Two different types are called 'Positive'"
    ):
        types.distinct([POSITIVE, dg.List[dg.Type(_positive, name="Positive")]])
    with pytest.raises(dg.InvalidDefinitionError, match="Two different types are called 'Int'"):
        types.distinct([types.resolve(int), dg.Type(_positive, name="Int")])


def test_a_type_check_is_not_a_place_for_what_is_no_metadata():
    with pytest.raises(dg.InvalidDefinitionError, match="no metadata"):
        dg.TypeCheck(success=True, metadata={"odd": object()})
