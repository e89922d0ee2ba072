import enum
import json
import typing

import pytest

import atoll as dg
from atoll._definitions import config_contract, config_schemas

PATH = ("ops", "x", "config")
NOTHING = config_contract.NOT_GIVEN


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


class Named(dg.Config):
    name: str = "n"


def _resolve(schema, value):
    return config_schemas.coerce(schema).resolve(value, PATH)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (int, 1, 1),
        (int, 1.0, 1),
        (float, 1, 1.0),
        (str, "a", "a"),
        (bool, True, True),
        (typing.Any, {"a": [1]}, {"a": [1]}),
        (dg.Noneable(int), NOTHING, None),
        (dg.Field(dg.Noneable(int), default_value=3), NOTHING, 3),
        (dg.Field(dg.Noneable(int), default_value=3), None, None),
        ([int], [1, 2], [1, 2]),
        (dg.Array({"a": int}), [{"a": 1}], [{"a": 1}]),
        (list, [1, "a"], [1, "a"]),
        ({str: int}, {"a": 1}, {"a": 1}),
        (dg.Map(int, str), {"1": "a"}, {1: "a"}),
        (dict, NOTHING, {}),
        (dg.Permissive({"a": int}), {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        ({"a": dg.Field(int, 1), "b": dg.Field(str, is_required=False)}, {}, {"a": 1}),
        ({"c": {"d": dg.Field(int, 2)}}, NOTHING, {"c": {"d": 2}}),
        (dg.Field({"a": dg.Field(int, 1), "b": int}, {"b": 2}), NOTHING, {"a": 1, "b": 2}),
        (dg.Shape({"a": int}, field_aliases={"a": "A"}), {"A": 1}, {"a": 1}),
        (dg.Selector({"x": {"n": dg.Field(int, 1)}, "y": int}), {"x": None}, {"x": {"n": 1}}),
        (dg.Selector({"x": dg.Field(int, 4)}), {}, {"x": 4}),
        (dg.Selector({"x": dg.Field(int, 4)}), NOTHING, {"x": 4}),
        (dg.Enum("E", [dg.EnumValue("A", 1), dg.EnumValue("B")]), "A", 1),
        (dg.Enum("E", [dg.EnumValue("A", 1), dg.EnumValue("B")]), "B", "B"),
        (dg.Enum.from_python_enum(Color), "BLUE", Color.BLUE),
        (dg.Enum.from_python_enum_direct_values(Color), "BLUE", 2),
        (dg.Field(dg.Enum.from_python_enum(Color), "RED"), NOTHING, Color.RED),
        (dg.Field(dg.Enum.from_python_enum(Color), Color.RED), NOTHING, Color.RED),
        (dg.ScalarUnion(str, {"a": int}), "b", "b"),
        (dg.ScalarUnion(str, {"a": int}), {"a": 1}, {"a": 1}),
        (Named, NOTHING, Named()),
        ({"of": dg.Field(Named)}, {"of": {"name": "a"}}, {"of": Named(name="a")}),
        (list[int] | None, [1], [1]),
        (dict[str, int], {"a": 1}, {"a": 1}),
    ],
)
def test_what_fits_is_resolved_with_its_defaults(schema, value, expected):
    resolved = _resolve(schema, value)
    assert resolved == expected
    assert type(resolved) is type(expected)


@pytest.mark.parametrize(
    ("schema", "value", "place", "text"),
    [
        (int, True, "", "an integer, got True"),
        (int, "1", "", "an integer, got '1'"),
        (float, True, "", "a number"),
        (str, 1, "", "a string"),
        (str, {"env": "X"}, "", "a string"),
        (bool, "true", "", "true or false"),
        (int, NOTHING, "", "required and none is given"),
        ([int], 1, "", "a list"),
        ([int], [1, "a"], "1", "an integer"),
        ({str: int}, {"a": "b"}, "a", "an integer"),
        ({"a": int}, {"a": 1, "b": 2}, "b", "no such key; the keys are a"),
        ({"a": int}, None, "", "values by name"),
        (dg.Permissive({"a": int}), {"b": 1}, "a", "required"),
        (dg.Selector({"x": int, "y": int}), {"x": 1, "y": 1}, "", "exactly one of x, y"),
        (dg.Selector({"x": int, "y": int}), {}, "", "exactly one of x, y"),
        (dg.Selector({"x": int, "y": int}), {"z": 1}, "z", "the keys are x, y"),
        (dg.Enum.from_python_enum(Color), "r", "", "one of RED, BLUE"),
        (dg.ScalarUnion(str, {"a": int}), 1, "", "a string"),
        ({"of": Named}, {"of": {"title": "a"}}, "of/title", "its keys are name"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place_and_value(schema, value, place, text):
    with pytest.raises(dg.InvalidConfigError) as caught:
        _resolve(schema, value)
    path = (*PATH, *place.split("/")) if place else PATH
    assert f"At {'/'.join(path)}: " in str(caught.value)
    assert text in str(caught.value)
    assert caught.value.path == path
    with pytest.raises(dg.InvalidConfigError, match="At ops/x/config"):
        config_schemas.coerce(schema).check(value, PATH)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(dg.InvalidConfigError) as caught:
        _resolve({"a": int, "b": [str], "c": str}, {"a": "x", "b": [1], "d": 2})
    text = str(caught.value)
    for place in ("config/a", "config/b/0", "config/c", "config/d"):
        assert place in text


@pytest.mark.parametrize(
    ("field", "is_required"),
    [
        (dg.Field(int), True),
        (dg.Field(int, 1), False),
        (dg.Field(int, is_required=False), False),
        (dg.Field(dg.Noneable(int)), False),
        (dg.Field({"a": int}), True),
        (dg.Field({"a": dg.Field(int, 1)}), False),
        (dg.Field(dict), False),
        (dg.Field(dg.Selector({"x": int})), True),
        (dg.Field(dg.Selector({"x": dg.Field(int, 1)})), False),
        (dg.Field(Named), False),
    ],
)
def test_whether_a_field_is_required_follows_from_its_type(field, is_required):
    assert field.is_required is is_required


def test_a_field_tells_its_default():
    assert dg.Field(int, default_value=3).default_value_as_json_str == "3"
    assert not dg.Field(int, is_required=False).default_provided
    with pytest.raises(dg.InvariantViolationError, match="default_provided"):
        _ = dg.Field(int).default_value


@pytest.mark.parametrize(
    "define",
    [
        lambda: dg.Field("x"),
        lambda: dg.Field(dg.Field(int)),
        lambda: dg.Field(int, is_required=True, default_value=3),
        lambda: dg.Field([int, str]),
        lambda: dg.Field({"a": "b"}),
        lambda: dg.Field(tuple),
        lambda: dg.Map(dict, int),
        lambda: dg.ScalarUnion({"a": int}, str),
        lambda: dg.Enum("E", [1]),
        lambda: dg.Selector({}),
        lambda: dg.Shape([1]),
        lambda: config_schemas.coerce(object()),
    ],
)
def test_what_is_no_config_type_is_refused_where_it_is_defined(define):
    with pytest.raises(dg.InvalidConfigDefinitionError):
        define()


def test_a_default_that_does_not_fit_is_refused_where_it_is_defined():
    with pytest.raises(dg.InvalidConfigError, match=r"default of a Field .* got 'x'"):
        dg.Field(int, default_value="x")


def test_no_schema_means_no_config():
    assert config_schemas.coerce(None) is None


def test_the_field_of_a_class_is_made_once():
    assert config_schemas.coerce(Named) is config_schemas.coerce(Named)
    shared = {}
    first = config_schemas.coerce(Named).json_schema(shared)
    assert config_schemas.coerce(Named).json_schema(shared) == first
    assert sorted(shared) == ["Named", "atoll.EnvVar"]


def test_a_marker_stands_for_the_annotation_that_it_has():
    class Marker:
        config_annotation = list[int]

    assert _resolve({"a": Marker()}, {"a": [1]}) == {"a": [1]}


def test_the_schema_has_descriptions_defaults_and_marks_of_secrets():
    schema = config_schemas.coerce(
        {
            "a": dg.Field(int, 1, description="how many"),
            "b": dg.Field(str, "hunter2", is_secret=True),
        }
    ).json_schema({})
    assert schema["properties"]["a"] == {"type": "integer", "default": 1, "description": "how many"}
    assert schema["properties"]["b"] == {"type": "string", "writeOnly": True, "x-secret": True}
    assert "hunter2" not in json.dumps(schema)


def test_two_classes_of_one_name_are_described_apart():
    def named(kind):
        class Twin(dg.Config):
            value: kind

        return Twin

    shared = {}
    one, other = (config_schemas.coerce(named(kind)).json_schema(shared) for kind in (int, str))
    assert one != other
    assert len({name for name in shared if "Twin" in name}) == 2
    assert config_schemas.coerce(named(int)).json_schema(shared) == one


def test_what_a_dict_holds_is_left_out_of_messages():
    with pytest.raises(dg.InvalidConfigError, match=r"got \[\{'token': \.\.\.\}\]"):
        _resolve(int, [{"token": "hush"}])


def test_the_value_of_a_secret_field_is_never_shown():
    field = dg.Field(str, is_secret=True)
    with pytest.raises(dg.InvalidConfigError) as caught:
        _resolve({"token": field}, {"token": 12345})
    assert "12345" not in str(caught.value)
    assert caught.value.value is None
    assert "hunter2" not in repr(dg.Field(str, "hunter2", is_secret=True))
