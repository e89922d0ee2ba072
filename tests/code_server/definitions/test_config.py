import enum

import pydantic
import pytest

import atoll as dg
from atoll._definitions import job_config, jobs, run_config


class Color(enum.Enum):
    RED = "#f00"
    BLUE = 3


class Inner(dg.Config):
    name: str
    colors: list[Color] = pydantic.Field(default_factory=list)


class Outer(dg.Config):
    inner: Inner
    color: Color = Color.RED
    maybe: Color | None = None
    by_color: dict[Color, int] = pydantic.Field(default_factory=dict)
    model_path: str = "m"


class Open(dg.PermissiveConfig):
    a: int


PATH = ("ops", "x", "config")


def _read(config_class, values):
    return config_class.from_run_config(values, PATH)


def test_enums_go_by_the_names_of_their_members():
    config = _read(
        Outer,
        {
            "inner": {"name": "n", "colors": ["RED", "BLUE"]},
            "color": "BLUE",
            "maybe": "RED",
            "by_color": {"RED": 1},
        },
    )
    assert config.color is Color.BLUE
    assert config.maybe is Color.RED
    assert config.inner.colors == [Color.RED, Color.BLUE]
    assert config.by_color == {Color.RED: 1}
    assert _read(Outer, config.to_run_config()) == config
    assert config.to_run_config()["inner"]["colors"] == ["RED", "BLUE"]


def test_the_value_of_an_enum_is_refused_with_the_names():
    with pytest.raises(dg.InvalidConfigError, match="RED, BLUE") as caught:
        _read(Outer, {"inner": {"name": "n"}, "color": "#f00"})
    assert "ops/x/config" in str(caught.value)


def test_unknown_keys_are_refused_with_the_known_ones():
    with pytest.raises(dg.InvalidConfigError, match="no such key") as caught:
        _read(Inner, {"name": "n", "naam": 1})
    assert caught.value.path == (*PATH, "naam")
    assert caught.value.value == 1
    assert "name, colors" in str(caught.value)


def test_every_misfit_is_told_with_path_and_value():
    with pytest.raises(dg.InvalidConfigError) as caught:
        _read(Outer, {"inner": {"colors": 5}, "model_path": 7})
    text = str(caught.value)
    assert "ops/x/config/inner/name: a value is required" in text
    assert "ops/x/config/inner/colors" in text
    assert "got 5" in text
    assert "ops/x/config/model_path" in text


def test_permissive_config_takes_the_rest():
    config = _read(Open, {"a": 1, "b": [2]})
    assert config.to_run_config() == {"a": 1, "b": [2]}
    assert config.b == [2]


def test_config_is_frozen():
    with pytest.raises(pydantic.ValidationError):
        Inner(name="a").name = "b"


def test_run_config_in_plain_form():
    typed = dg.RunConfig(ops={"a": Inner(name="n"), "b": {"config": {"k": 1}}})
    assert typed.to_config_dict() == {
        "loggers": {},
        "resources": {},
        "ops": {"a": {"config": {"name": "n", "colors": []}}, "b": {"config": {"k": 1}}},
        "execution": {},
    }
    assert run_config.to_plain({"ops": {"a": {"config": Inner(name="n")}}}) == {
        "ops": {"a": {"config": {"name": "n", "colors": []}}}
    }
    assert run_config.to_plain(None) == {}
    with pytest.raises(dg.InvalidConfigError, match="list"):
        run_config.to_plain([1])


@dg.asset(key=["a", "b"])
def configured(config: Outer): ...


@dg.asset
def optional(config: Open): ...


@dg.asset
def plain(): ...


def _definitions(**options):
    job = dg.define_asset_job("job", **options)
    return dg.Definitions(assets=[configured, optional, plain], jobs=[job])


def test_the_schema_of_a_job_is_closed_and_names_each_op():
    schema = jobs.config_schema(_definitions(), "job")
    assert schema["additionalProperties"] is False
    ops = schema["properties"]["ops"]
    assert set(ops["properties"]) == {"a__b", "optional"}
    assert ops["additionalProperties"] is False
    assert schema["required"] == ["ops"]
    assert ops["required"] == ["a__b", "optional"]
    assert schema["$defs"]["Color"]["enum"] == ["RED", "BLUE"]
    assert schema["$defs"]["Inner"]["additionalProperties"] is False


def test_the_schema_accepts_and_refuses_as_the_classes_do():
    jsonschema = pytest.importorskip("jsonschema")
    schema = jobs.config_schema(_definitions(), "job")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {
        "ops": {
            "a__b": {"config": {"inner": {"name": "n", "colors": ["RED"]}, "color": "BLUE"}},
            "optional": {"config": {"a": 1, "more": 2}},
        }
    }
    assert list(validator.iter_errors(good)) == []
    assert list(validator.iter_errors(run_config.to_plain(dg.RunConfig(ops=good["ops"])))) == []
    for bad in (
        {},
        {"ops": {"a__b": {"config": {"inner": {"name": "n"}, "color": "#f00"}}}},
        {**good, "resource": {}},
        {"ops": {**good["ops"], "plain": {"config": {}}}},
    ):
        assert list(validator.iter_errors(bad)), bad


def test_a_job_without_config_takes_an_empty_one():
    defs = dg.Definitions(assets=[plain], jobs=[dg.define_asset_job("job")])
    schema = jobs.config_schema(defs, "job")
    assert "required" not in schema
    assert schema["properties"]["ops"]["properties"] == {}


def test_the_default_config_of_a_job():
    config = dg.RunConfig(ops={"a__b": Outer(inner=Inner(name="n")), "optional": Open(a=1)})
    assert jobs.default_config(_definitions(config=config), "job") == config.to_config_dict()
    assert jobs.default_config(_definitions(), "job") is None


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"op": {}}, ("op",)),
        ({"ops": []}, ("ops",)),
        ({"ops": 3}, ("ops",)),
        ({"ops": {"nope": {}}}, ("ops", "nope")),
        ({"ops": {"plain": {"config": {"a": 1}}}}, ("ops", "plain", "config")),
        ({"ops": {"optional": {"cfg": {}}}}, ("ops", "optional")),
        ({"ops": {"optional": {"config": 3}}}, ("ops", "optional", "config")),
        ({"resources": {"db": {"config": {}}}}, ("resources", "db")),
    ],
)
def test_the_outer_shape_is_checked(config, path):
    job = _definitions().get_job_def("job")
    with pytest.raises(dg.InvalidConfigError) as caught:
        job_config.check(job, config)
    assert caught.value.path == path


def test_a_job_whose_own_config_does_not_fit_is_a_problem():
    with pytest.raises(dg.InvalidDefinitionError, match="configuration of the job 'job'") as caught:
        _definitions(config={"ops": {"optional": {"config": {"a": "x"}}}}).validate_loadable()
    assert "ops/optional/config/a" in str(caught.value) or "ops/a__b" in str(caught.value)
