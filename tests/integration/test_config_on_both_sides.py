"""The host checks run configuration by JSON Schema, the location with the types themselves."""

import datetime as dt
import enum
import functools
import json
import typing

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import atoll as dg
from atoll._definitions import config_schemas
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll_host import errors
from atoll_host.runs import config_schemas as host_config_schemas


class Color(enum.Enum):
    RED = "r"
    BLUE = 2


class Cat(dg.Config):
    kind: typing.Literal["cat"]
    lives: int = 9


class Dog(dg.Config):
    kind: typing.Literal["dog", "hound"] = "dog"
    name: str


class Inner(dg.Config):
    name: str
    colors: list[Color] = pydantic.Field(default_factory=list)


class Outer(dg.Config):
    inner: Inner
    others: dict[str, Inner] = pydantic.Field(default={})
    pet: Cat | Dog | None = pydantic.Field(default=None, discriminator="kind")
    pets: list[typing.Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]] = pydantic.Field(
        default=[]
    )
    size: typing.Annotated[int, pydantic.Field(ge=1, lt=5)] = 1
    ratio: float = pydantic.Field(default=0.5, gt=0)
    code: str = pydantic.Field(default="ab", min_length=2, max_length=3)
    either: int | str | None = None
    flag: bool = False
    pair: tuple[int, str] = (1, "a")
    short: list[int] = pydantic.Field(default=[], max_length=2)
    renamed: int = pydantic.Field(default=1, alias="re-named")
    by_color: dict[Color, float | None] = pydantic.Field(default={})
    mode: typing.Literal["a", 1, True] = "a"
    maybe: str | None
    again: "list[Outer]" = pydantic.Field(default=[])
    anything: typing.Any = None
    loose: dict = pydantic.Field(default={})


class Open(dg.PermissiveConfig):
    a: int


SCHEMAS = {
    "scalars": {"i": int, "f": dg.Field(float, default_value=1), "s": str, "b": bool},
    "sources": {"i": dg.IntSource, "s": dg.StringSource, "b": dg.Field(dg.BoolSource, True)},
    "noneable": dg.Noneable({"a": int}),
    "array": [{"a": int}],
    "map": {"m": dg.Map(str, dg.Noneable(int)), "n": {str: [str]}},
    "selector": dg.Selector({"x": {"n": dg.Field(int, 1)}, "y": int, "z": dg.Noneable(str)}),
    "selector_of_one": dg.Selector({"x": dg.Field({"n": dg.Field(int, 1)})}),
    "permissive": dg.Permissive({"a": int}),
    "enum": dg.Enum.from_python_enum(Color),
    "scalar_union": dg.ScalarUnion(str, {"a": int}),
    "aliased": dg.Shape({"a": int, "b": dg.Field(int, 2)}, field_aliases={"a": "A", "b": "B"}),
    "nested": {"a": {"b": {"c": dg.Field(int, is_required=False)}}, "d": dg.Field(dict)},
    "in_a_field": {"of": dg.Field(Inner, default_value={"name": "n"}), "any": typing.Any},
    "class": Outer,
    "open": Open,
}
EXAMPLES = {
    "scalars": {"i": 1, "f": 2.5, "s": "a", "b": True},
    "sources": {"i": {"env": "N"}, "s": {"env": "S"}, "b": {"env": "B"}},
    "noneable": {"a": 1},
    "array": [{"a": 1}, {"a": 2}],
    "map": {"m": {"a": 1, "b": None}, "n": {"a": ["b"]}},
    "selector": {"x": {"n": 1}},
    "selector_of_one": {"x": {"n": 1}},
    "permissive": {"a": 1, "b": {"env": "X"}},
    "enum": "RED",
    "scalar_union": {"a": 1},
    "aliased": {"A": 1, "b": 2},
    "nested": {"a": {"b": {"c": 1}}, "d": {"e": []}},
    "in_a_field": {"of": {"name": {"env": "S"}}, "any": None},
    "class": {
        "inner": {"name": {"env": "S"}, "colors": ["RED"]},
        "others": {"k": {"name": "a"}},
        "pet": {"cat": {"lives": 1}},
        "pets": [{"kind": "dog", "name": "x"}, {"hound": {"name": "y"}}, {"cat": None}],
        "size": 3,
        "ratio": 1,
        "code": "abc",
        "either": "a",
        "flag": {"env": "B"},
        "pair": [1, "b"],
        "short": [1, {"env": "N"}],
        "re-named": 3,
        "by_color": {"RED": None},
        "mode": True,
        "maybe": None,
        "again": [{"inner": {"name": "b"}}],
        "anything": [1],
        "loose": {"a": 1},
    },
    "open": {"a": 1, "b": 2},
}
WORDS = sorted(
    {"a", "b", "A", "env", "N", "x", "y", "cat", "dog", "hound", "kind", "RED", "BLUE", "r", ""}
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 7),
    st.integers(),
    st.sampled_from([0.5, 1.0, 2.0, -1.5, 1e300]),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    st.one_of(SCALARS, st.just({"env": "N"})),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value):
    """Return the paths of everything within a value, the value itself included."""
    yield ()
    if isinstance(value, dict):
        inner = value.items()
    else:
        inner = enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from ((key, *rest) for rest in _places(item))


def _changed(value, place, change):
    if not place:
        return change(value)
    key, *rest = place
    copy = dict(value) if isinstance(value, dict) else list(value)
    if not rest and change is None:
        del copy[key]
    else:
        copy[key] = _changed(copy[key], rest, change)
    return copy


def _replaced(key, new, value):
    return {**value, key: new} if key is not None and isinstance(value, dict) else new


@st.composite
def near(draw, example):
    """Draw values that differ at one or two places from one that fits."""
    value = example
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(list(_places(value))))
        if place and draw(st.booleans()):
            value = _changed(value, place, None)
            continue
        key = draw(st.none() | st.sampled_from(WORDS))
        value = _changed(value, place, functools.partial(_replaced, key, draw(VALUES)))
    return value


FIELDS = {name: config_schemas.coerce(raw) for name, raw in SCHEMAS.items()}


def _job(name):
    shared = {}
    field = FIELDS[name]
    schema = {
        "type": "object",
        "properties": {"c": field.json_schema(shared)},
        "required": ["c"] if field.is_required else [],
        "$defs": shared,
    }
    data = json.dumps(schema).encode()
    return snapshot_pb2.JobDefinition(
        name="job", config_schema=values_pb2.UserData(content_type="application/json", data=data)
    )


JOBS = {name: _job(name) for name in SCHEMAS}


def _host_accepts(name, config):
    try:
        host_config_schemas.check(JOBS[name], config)
    except errors.InvalidRunConfig as error:
        if "unusable" in str(error):
            raise
        return False
    return True


def _location_accepts(name, config):
    try:
        FIELDS[name].check(config.get("c", config_schemas.NOT_GIVEN), ("c",))
    except dg.InvalidConfigError:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_fits_is_accepted_by_both(name, monkeypatch):
    for variable, text in {"N": "1", "S": "s", "B": "true", "X": "x"}.items():
        monkeypatch.setenv(variable, text)
    config = {"c": EXAMPLES[name]}
    assert _location_accepts(name, config)
    assert _host_accepts(name, config)
    FIELDS[name].resolve(EXAMPLES[name], ("c",))
    assert _host_accepts(name, {}) == _location_accepts(name, {})


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMAS)
def test_host_and_location_accept_the_same(name):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(near(EXAMPLES[name]), near(EXAMPLES[name]), VALUES))
    def alike(value):
        config = {"c": value}
        assert _host_accepts(name, config) == _location_accepts(name, config), config

    alike()


@pytest.mark.parametrize(
    ("value", "fits"),
    [("2024-01-01T00:00:00", True), (5.5, False), ({"env": "WHEN"}, True), ({"env": 1}, False)],
)
def test_types_that_only_pydantic_knows(value, fits):
    class Dated(dg.Config):
        when: dt.datetime

    FIELDS["dated"] = config_schemas.coerce(Dated)
    JOBS["dated"] = _job("dated")
    assert _host_accepts("dated", {"c": {"when": value}}) is fits
    assert _location_accepts("dated", {"c": {"when": value}}) is fits


def test_the_host_does_not_show_what_is_secret():
    FIELDS["secret"] = config_schemas.coerce({"token": dg.Field(str, is_secret=True)})
    JOBS["secret"] = _job("secret")
    with pytest.raises(errors.InvalidRunConfig) as caught:
        host_config_schemas.check(JOBS["secret"], {"c": {"token": 123456}})
    assert "123456" not in str(caught.value)
    assert "token" in str(caught.value)
