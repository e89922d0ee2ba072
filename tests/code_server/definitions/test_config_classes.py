import datetime as dt
import enum
import typing

import pydantic
import pytest

import atoll as dg

PATH = ("ops", "x", "config")


class Cat(dg.Config):
    kind: typing.Literal["cat"] = "cat"
    lives: int = 9


class Dog(dg.Config):
    kind: typing.Literal["dog", "hound"] = "dog"
    name: str


class Owner(dg.Config):
    pet: Cat | Dog = pydantic.Field(discriminator="kind")
    more: list[typing.Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]] = pydantic.Field(
        default=[]
    )


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Tree(dg.Config):
    value: int
    children: "list[Tree]" = pydantic.Field(default_factory=list)


class Many(dg.Config):
    maybe: str | None
    when: dt.datetime | None = None
    pair: tuple[int, str] = (1, "a")
    numbers: set[int] = pydantic.Field(default={1})
    level: Level = Level.LOW
    mode: typing.Literal["a", "b"] = "a"
    either: int | str = 1
    renamed: int = pydantic.Field(default=1, alias="re-named")
    few: list[int] = pydantic.Field(default=[], max_length=2)
    word: str = pydantic.Field(default="ab", pattern="^[a-z]+$")


def _read(kind, values):
    return kind.from_run_config(values, PATH)


@pytest.mark.parametrize(
    ("values", "pet"),
    [
        ({"cat": {"lives": 1}}, Cat(lives=1)),
        ({"cat": None}, Cat()),
        ({"cat": {"kind": "cat"}}, Cat()),
        ({"hound": {"name": "a"}}, Dog(kind="hound", name="a")),
        ({"kind": "cat", "lives": 1}, Cat(lives=1)),
        ({"kind": "hound", "name": "a"}, Dog(kind="hound", name="a")),
    ],
)
def test_a_union_is_told_apart_by_a_key_or_by_its_field(values, pet):
    assert _read(Owner, {"pet": values, "more": [values]}) == Owner(pet=pet, more=[pet])


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"fish": {}}, ("pet",)),
        ({"cat": {}, "dog": {}}, ("pet",)),
        ({"lives": 1}, ("pet",)),
        ({"kind": "fish"}, ("pet", "kind")),
        ({"cat": {"kind": "dog"}}, ("pet", "cat", "kind")),
        ({"dog": None}, ("pet", "dog")),
        ({"cat": {"name": 1}}, ("pet", "cat", "name")),
        ("cat", ("pet",)),
    ],
)
def test_what_is_no_member_of_a_union_is_refused(values, place):
    with pytest.raises(dg.InvalidConfigError) as caught:
        _read(Owner, {"pet": values})
    assert caught.value.path == (*PATH, *place)


def test_a_union_is_written_by_its_key():
    config = Owner(pet=Cat(lives=1), more=[Dog(name="a")])
    plain = {"pet": {"cat": {"lives": 1}}, "more": [{"dog": {"name": "a"}}]}
    assert config.to_run_config() == plain
    assert _read(Owner, plain) == config


def test_all_kinds_of_fields():
    config = _read(
        Many,
        {
            "when": "2024-01-02T03:04:05",
            "pair": [2, "b"],
            "numbers": [1, 2],
            "level": "HIGH",
            "mode": "b",
            "either": "x",
            "re-named": 7,
        },
    )
    assert config.maybe is None
    assert config.when == dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 - config has none
    assert config.pair == (2, "b")
    assert config.numbers == {1, 2}
    assert config.level is Level.HIGH
    assert config.either == "x"
    assert config.renamed == 7
    plain = config.to_run_config()
    assert plain["re-named"] == 7
    assert plain["level"] == "HIGH"
    assert plain["when"] == "2024-01-02T03:04:05"
    assert _read(Many, plain) == config


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"maybe": 1}, "maybe"),
        ({"when": "soon"}, "when"),
        ({"pair": [1]}, "pair"),
        ({"numbers": ["a"]}, "numbers/0"),
        ({"level": 2}, "level"),
        ({"mode": "c"}, "mode"),
        ({"either": 1.5}, "either"),
        ({"renamed": 7}, "renamed"),
        ({"few": [1, 2, 3]}, "few"),
        ({"word": "A"}, "word"),
        ({"either": None}, "either"),
    ],
)
def test_what_does_not_fit_a_field_is_refused(values, place):
    with pytest.raises(dg.InvalidConfigError) as caught:
        _read(Many, values)
    assert "/".join(caught.value.path) == f"ops/x/config/{place}"


def test_an_optional_field_without_a_default_is_none():
    assert Many().maybe is None
    assert "maybe" not in Many.config_field().json_schema(shared := {}).get("required", [])
    assert "required" not in shared["Many"]


def test_classes_may_contain_themselves():
    values = {"value": 1, "children": [{"value": 2, "children": []}]}
    tree = _read(Tree, values)
    assert tree.children[0].value == 2
    assert tree.to_run_config() == values
    with pytest.raises(dg.InvalidConfigError, match="children/0/children/0/value"):
        _read(Tree, {"value": 1, "children": [{"value": 2, "children": [{"value": "x"}]}]})


def test_validators_of_the_user_run_and_are_told_with_their_place():
    class Range(dg.Config):
        low: int
        high: int

        @pydantic.field_validator("low")
        @classmethod
        def _double(cls, value):
            return value * 2

        @pydantic.model_validator(mode="after")
        def _ordered(self):
            if self.low > self.high:
                raise ValueError("low is above high")
            return self

    assert _read(Range, {"low": 1, "high": 5}).low == 2
    with pytest.raises(dg.InvalidConfigError, match=r"At ops/x/config: .*low is above high"):
        _read(Range, {"low": 4, "high": 5})
    with pytest.raises(dg.InvalidConfigError, match="low is above high"):
        Range.config_field().check({"low": 4, "high": 5}, PATH)


def test_fields_that_are_secret_are_not_shown():
    class Login(dg.Config):
        password: str = pydantic.Field(json_schema_extra={"x-secret": True})
        key: pydantic.SecretStr = pydantic.SecretStr("hunter2")

    config = Login(password="hunter2")
    assert "hunter2" not in repr(config)
    shared = {}
    Login.config_field().json_schema(shared)
    assert "hunter2" not in repr(shared)
    assert shared["Login"]["properties"]["password"]["x-secret"] is True
    with pytest.raises(dg.InvalidConfigError) as caught:
        _read(Login, {"password": 123456})
    assert "123456" not in str(caught.value)


def test_the_fields_of_a_class_as_fields_of_a_shape():
    fields = Many.to_fields_dict()
    assert not fields["maybe"].is_required
    assert fields["re-named"].default_value == 1
    assert Tree.to_fields_dict()["value"].is_required
    assert Many.to_config_schema() is Many.config_field()


def test_a_config_object_stands_where_its_plain_form_does():
    assert _read(Owner, {"pet": Cat(lives=2)}).pet == Cat(lives=2)
    assert Owner.config_field().resolve(Owner(pet=Cat()), PATH) == Owner(pet=Cat())
