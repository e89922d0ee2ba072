import copy
import datetime as dt
import json
import pickle

import pydantic
import pytest

import atoll as dg
from atoll._definitions import config_schemas

PATH = ("ops", "x", "config")
SECRET = "s3cret-value"


class Inner(dg.Config):
    token: str


class Outer(dg.Config):
    name: str
    port: int = pydantic.Field(default=1, ge=1)
    tokens: list[str] = pydantic.Field(default_factory=list)
    inner: Inner | None = None
    inners: dict[str, Inner] = pydantic.Field(default_factory=dict)
    by_default: str = dg.EnvVar("TOKEN")
    since: dt.date | None = None
    flag: bool = False

    @pydantic.field_validator("name")
    @classmethod
    def _refuse_bad_names(cls, value):
        if value.startswith("bad"):
            raise ValueError(f"{value} is bad")
        if value.startswith("worse"):
            raise KeyError(value)
        return value


def _outer():
    return Outer(
        name=dg.EnvVar("TOKEN"),
        port=dg.EnvVar.int("PORT"),
        tokens=["a", dg.EnvVar("TOKEN")],
        inner=Inner(token=dg.EnvVar("TOKEN")),
        inners={"k": Inner(token=dg.EnvVar("TOKEN"))},
    )


PLAIN = {
    "name": {"env": "TOKEN"},
    "port": {"env": "PORT"},
    "tokens": ["a", {"env": "TOKEN"}],
    "inner": {"token": {"env": "TOKEN"}},
    "inners": {"k": {"token": {"env": "TOKEN"}}},
    "by_default": {"env": "TOKEN"},
    "flag": False,
}


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setenv("PORT", "12")
    return monkeypatch


def _pickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


def _read(values):
    return Outer.from_run_config(values, PATH)


def test_references_are_written_down_and_not_read(monkeypatch):
    monkeypatch.delenv("TOKEN", raising=False)
    config = _outer()
    assert config.to_run_config() == PLAIN
    assert json.loads(json.dumps(config.to_run_config())) == PLAIN
    assert dg.RunConfig(ops={"x": config}).to_config_dict()["ops"] == {"x": {"config": PLAIN}}
    Outer.config_field().check(PLAIN, PATH)


@pytest.mark.usefixtures("environment")
def test_values_are_read_when_a_run_needs_them():
    config = _read(PLAIN)
    assert config.name == config.by_default == config.inner.token == SECRET
    assert config.inners["k"].token == SECRET
    assert config.tokens == ["a", SECRET]
    assert config.port == 12
    assert type(config.name) is str


@pytest.mark.usefixtures("environment")
def test_what_was_read_is_shown_nowhere():
    config = _read(PLAIN)
    for one in (config, copy.copy(config), _pickled(config)):
        assert SECRET not in f"{one!r} {one}"
        assert one.to_run_config() == PLAIN
    changed = config.model_copy(update={"name": "plain"})
    assert changed.to_run_config()["name"] == "plain"
    assert changed.to_run_config()["inner"] == PLAIN["inner"]


@pytest.mark.usefixtures("environment")
def test_what_was_read_makes_a_config_no_other():
    assert _read({"name": {"env": "TOKEN"}}) == _read({"name": SECRET})


def test_a_missing_variable_is_told_with_its_name_and_place(monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.delenv("MISSING", raising=False)
    with pytest.raises(dg.InvalidConfigError, match="MISSING is not set") as caught:
        _read({"name": "a", "inner": {"token": {"env": "MISSING"}}})
    assert caught.value.path == (*PATH, "inner", "token")
    assert caught.value.value == {"env": "MISSING"}
    assert "ops/x/config/inner/token" in str(caught.value)


def test_no_error_shows_what_was_read(environment):
    environment.setenv("TOKEN", f"bad-{SECRET}")
    for values in (
        {"name": {"env": "TOKEN"}},
        {"name": "a", "port": {"env": "TOKEN"}},
        {"name": "a", "flag": {"env": "TOKEN"}},
        {"name": "a", "since": {"env": "TOKEN"}},
    ):
        with pytest.raises(dg.InvalidConfigError) as caught:
            _read(values)
        error = caught.value
        assert SECRET not in f"{error} {error!r} {error.value!r}"
        assert error.__cause__ is None
        assert error.__context__ is None


def test_validators_that_break_do_not_show_what_was_read(environment):
    environment.setenv("TOKEN", f"worse-{SECRET}")
    with pytest.raises(dg.InvalidConfigError) as caught:
        _read({"name": {"env": "TOKEN"}, "by_default": "a"})
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    with pytest.raises(KeyError):
        _read({"name": "worse", "by_default": "a"})


def test_limits_hold_for_what_is_read(environment):
    environment.setenv("PORT", "0")
    with pytest.raises(dg.InvalidConfigError, match="expected at least 1") as caught:
        _read({"name": "a", "port": {"env": "PORT"}})
    assert caught.value.value is None


def test_sources_read_the_environment(environment):
    environment.setenv("FLAG", "yes")
    field = config_schemas.coerce(
        {"s": dg.StringSource, "i": dg.IntSource, "b": dg.BoolSource, "d": dg.Field(str, "d")}
    )
    values = {"s": {"env": "TOKEN"}, "i": {"env": "PORT"}, "b": {"env": "FLAG"}}
    assert field.resolve(values, PATH) == {"s": SECRET, "i": 12, "b": True, "d": "d"}
    with_env_vars = dg.Field(dg.StringSource, default_value=dg.EnvVar("TOKEN"))
    assert config_schemas.coerce({"s": with_env_vars}).resolve({}, PATH) == {"s": SECRET}


@pytest.mark.parametrize(
    "value", [{"env": 3}, {"env": "A", "more": 1}, {"en": "A"}, {}, ["env", "A"]]
)
def test_only_exact_references_are_read(value):
    with pytest.raises(dg.InvalidConfigError):
        config_schemas.coerce({"s": dg.StringSource}).check({"s": value}, PATH)


def test_a_reference_where_none_can_stand_is_refused_where_it_is_written():
    with pytest.raises(dg.InvalidConfigError, match="Outer/inner"):
        Outer(name="a", inner=dg.EnvVar("TOKEN"))


def test_limits_and_validators_wait_for_the_value():
    assert Outer(name="a", port=dg.EnvVar.int("PORT")).port == dg.EnvVar.int("PORT")
    assert Outer(name=dg.EnvVar("bad_NAME")).to_run_config()["name"] == {"env": "bad_NAME"}


def test_get_value_reads_now(environment):
    assert dg.EnvVar("TOKEN").get_value() == SECRET
    assert dg.EnvVar("TOKEN").env_var_name == "TOKEN"
    assert dg.EnvVar.int("PORT").get_value() == 12
    environment.delenv("TOKEN")
    assert dg.EnvVar("TOKEN").get_value() is None
    assert dg.EnvVar("TOKEN").get_value("other") == "other"
    environment.delenv("PORT")
    assert dg.EnvVar.int("PORT").get_value(3) == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda: str(dg.EnvVar("A")),
        lambda: f"{dg.EnvVar('A')}",
        lambda: dg.EnvVar("A") + "b",
        lambda: "b" + dg.EnvVar("A"),
        lambda: list(dg.EnvVar("A")),
        lambda: dg.EnvVar("A")[0],
        lambda: dg.EnvVar("A").encode(),
        lambda: str(dg.EnvVar.int("A")),
        lambda: int(dg.EnvVar.int("A")),
        lambda: dg.EnvVar.int("A") > 3,
    ],
)
def test_using_a_reference_as_its_value_raises(use):
    with pytest.raises(RuntimeError, match="get_value"):
        use()


def test_references_travel():
    for one in (dg.EnvVar("A"), dg.EnvVar.int("A")):
        again = _pickled(one)
        assert again == one
        assert again.env_var_name == "A"
        assert copy.deepcopy(one).env_var_name == "A"
    assert _outer() == _pickled(_outer())
