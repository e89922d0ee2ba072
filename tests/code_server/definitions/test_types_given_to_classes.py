"""Classes that users give a type of their own, used wherever the class is an annotation."""

import pytest

import atoll as dg
from atoll._definitions import types


def _anything(_context, _value):
    return True


def test_a_class_with_a_type_of_its_own_stays_the_class():
    @dg.usable_as_type
    class Frame:
        rows = 3

    assert Frame.rows == 3
    assert types.resolve(Frame).unique_name == "Frame"
    assert dg.check_type(Frame, Frame()).success
    assert not dg.check_type(Frame, 3).success


def test_a_class_is_given_a_name_a_description_and_a_loader():
    @dg.type_loader(config_schema={"size": int})
    def load(_context, config):
        return config

    @dg.usable_as_type(name="Rows", description="Rows of a table.", loader=load)
    class Frame: ...

    given = types.resolve(Frame)
    assert (given.unique_name, given.description, given.loader) == (
        "Rows",
        "Rows of a table.",
        load,
    )
    assert types.resolve(list[Frame]).display_name == "[Rows]"


def test_a_subclass_is_a_class_of_its_own():
    @dg.usable_as_type(name="Parent")
    class Parent: ...

    class Child(Parent): ...

    assert dg.check_type(Parent, Child()).success
    assert not dg.check_type(Child, Parent()).success
    assert types.resolve(Child).display_name == "Child"


def test_a_class_of_a_library_is_given_a_type():
    class FromElsewhere: ...

    given = dg.Type(_anything, name="Elsewhere")
    dg.make_python_type_usable_as_type(FromElsewhere, given)
    assert types.resolve(FromElsewhere) is given
    # Modules may be loaded again.
    dg.make_python_type_usable_as_type(FromElsewhere, given)


def test_a_class_has_one_type():
    class Frame: ...

    dg.make_python_type_usable_as_type(Frame, dg.Type(_anything, name="A"))
    with pytest.raises(dg.InvalidDefinitionError, match="has the type 'A' already"):
        dg.make_python_type_usable_as_type(Frame, dg.Type(_anything, name="B"))


def test_a_class_is_given_its_type_before_it_is_used():
    class Frame: ...

    types.resolve(list[Frame])
    with pytest.raises(dg.InvalidDefinitionError, match="was used as an annotation before"):
        dg.make_python_type_usable_as_type(Frame, dg.Type(_anything, name="A"))


@pytest.mark.parametrize("builtin", [int, str, float, bool, type(None)])
def test_the_types_of_scalars_cannot_be_replaced(builtin):
    with pytest.raises(dg.InvalidDefinitionError, match="already"):
        dg.make_python_type_usable_as_type(builtin, dg.Type(_anything, name="A"))


@pytest.mark.parametrize(
    ("python_type", "given", "said"),
    [
        (list[int], dg.Type(_anything, name="A"), "Only a class"),
        ("int", dg.Type(_anything, name="A"), "Only a class"),
        (bytearray, int, "Give a Type"),
    ],
)
def test_only_classes_are_given_types(python_type, given, said):
    with pytest.raises(dg.InvalidDefinitionError, match=said):
        dg.make_python_type_usable_as_type(python_type, given)
