import pytest

import atoll as dg
from atoll._definitions import config_schemas

PATH = ("ops", "x", "config")
SECRET = "s3cret-value"
NOTHING = config_schemas.NOT_GIVEN


class Settings(dg.Config):
    n: int
    word: str = "w"


class Named:
    """A definition with a name, as an op is."""

    def __init__(self, name, description, config_schema):
        self.name = name
        self.description = description
        self.config_field = config_schemas.coerce(config_schema)

    def copy_for_configured(self, name, description, config_schema):
        return Named(name, description or self.description, config_schema)


class Nameless(Named):
    """A definition without a name of its own, as a resource is."""

    def copy_for_configured(self, description, config_schema):
        return Nameless(None, description, config_schema)


ORIGINAL = Named("original", "what it does", {"a": dg.IntSource, "b": dg.Field(str, "q")})


def test_config_given_in_code():
    made = dg.configured(ORIGINAL, name="made")({"a": 1})
    assert (made.name, made.description) == ("made", "what it does")
    assert made.config_field.resolve(NOTHING, PATH) == {"a": 1, "b": "q"}
    assert not made.config_field.is_required
    with pytest.raises(dg.InvalidConfigError, match="given in code"):
        made.config_field.resolve({"a": 2}, PATH)


def test_a_function_makes_config_of_simpler_config():
    @dg.configured(ORIGINAL, config_schema={"n": int})
    def doubled(config):
        """Doubles it."""
        return {"a": config["n"] * 2}

    assert (doubled.name, doubled.description) == ("doubled", "Doubles it.")
    assert doubled.config_field.resolve({"n": 2}, PATH) == {"a": 4, "b": "q"}
    assert doubled.config_field.is_required
    assert doubled.config_field.json_schema({}) == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    with pytest.raises(dg.InvalidConfigError, match="config/n"):
        doubled.config_field.check({"n": "x"}, PATH)


def test_the_annotation_of_the_function_says_what_it_takes():
    @dg.configured(Nameless(None, None, {"a": int}))
    def made(config: Settings):
        return {"a": config.n}

    assert made.config_field.resolve({"n": 3}, PATH) == {"a": 3}
    with pytest.raises(dg.InvalidDefinitionError, match="Leave one of them out"):

        @dg.configured(ORIGINAL, config_schema={"n": int})
        def both(config: Settings):
            return {}


def test_a_function_that_says_nothing_takes_anything():
    made = dg.configured(Nameless(None, None, {"a": int}))(lambda n: {"a": n})
    assert made.config_field.resolve(3, PATH) == {"a": 3}


def test_config_of_configured_config():
    once = dg.configured(ORIGINAL, name="once", config_schema=int)(lambda n: {"a": n})
    twice = dg.configured(once, name="twice")(5)
    assert twice.config_field.resolve(NOTHING, PATH) == {"a": 5, "b": "q"}


@pytest.mark.parametrize(
    "define",
    [
        lambda: dg.configured(ORIGINAL)({"a": 1}),
        lambda: dg.configured(ORIGINAL, name="x", config_schema=int)({"a": 1}),
        lambda: dg.configured(ORIGINAL, name="x", title="y")({"a": 1}),
        lambda: dg.configured(ORIGINAL, name="x")(lambda one, two: {}),
    ],
)
def test_what_cannot_be_configured_so_is_refused(define):
    with pytest.raises(dg.InvalidDefinitionError):
        define()


def test_config_in_code_that_does_not_fit_is_refused_at_once():
    with pytest.raises(dg.InvalidConfigError, match="config/a"):
        dg.configured(ORIGINAL, name="x")({"a": "y"})


def test_secrets_go_through_functions_unseen(monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    made = dg.configured(ORIGINAL, name="x", config_schema=dg.StringSource)(lambda t: {"a": t[1:]})
    with pytest.raises(dg.InvalidConfigError) as caught:
        made.config_field.resolve({"env": "TOKEN"}, PATH)
    assert SECRET[1:] not in f"{caught.value} {caught.value.value}"

    raising = dg.configured(ORIGINAL, name="x", config_schema=dg.StringSource)(lambda t: {}[t])
    with pytest.raises(dg.ConfigMappingFunctionError, match="KeyError") as caught:
        raising.config_field.resolve({"env": "TOKEN"}, PATH)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None

    class Holder(dg.Config):
        token: str

    original = Nameless(None, None, Holder)
    made = dg.configured(original, config_schema=dg.StringSource)(lambda t: {"token": t.upper()})
    holder = made.config_field.resolve({"env": "TOKEN"}, PATH)
    assert holder.token == SECRET.upper()
    assert SECRET.upper() not in repr(holder)


def test_a_function_that_raises_is_told_by_name():
    made = dg.configured(ORIGINAL, name="x", config_schema=int)(lambda n: {"a": n / 0})
    with pytest.raises(dg.ConfigMappingFunctionError, match="ZeroDivisionError") as caught:
        made.config_field.resolve(1, PATH)
    assert isinstance(caught.value.user_exception, ZeroDivisionError)


def test_a_mapping_gets_defaults_filled_in_unless_it_asks_not_to():
    @dg.config_mapping(config_schema={"n": dg.Field(int, 1)})
    def mapped(config):
        return {"inner": {"config": config}}

    assert isinstance(mapped, dg.ConfigMapping)
    assert mapped.resolve_from_unvalidated_config({}) == {"inner": {"config": {"n": 1}}}
    assert mapped.resolve_from_validated_config({"n": 2}) == {"inner": {"config": {"n": 2}}}
    raw = dg.ConfigMapping(mapped.config_fn, {"n": dg.Field(int, 1)}, False)
    assert raw.resolve_from_unvalidated_config({}) == {"inner": {"config": {}}}
    with pytest.raises(dg.InvalidConfigError):
        raw.resolve_from_unvalidated_config({"m": 1})


def test_a_mapping_takes_its_schema_from_the_annotation():
    @dg.config_mapping
    def mapped(config: Settings):
        return {"inner": {"config": Settings(n=config.n + 1)}}

    assert mapped.resolve_from_unvalidated_config({"n": 1}) == {
        "inner": {"config": {"n": 2, "word": "w"}}
    }
    assert mapped.config_field is Settings.config_field()
