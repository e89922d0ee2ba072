"""Resources made of functions: with or without context, config, other resources and clean-up."""

import contextlib
import unittest.mock

import pytest

import atoll as dg


def _value(made, config=None, **others):
    section = {} if config is None else {"made": {"config": config}}
    with dg.build_resources({"made": made, **others}, resource_config=section) as resources:
        return resources.made


def test_a_function_takes_the_context_or_nothing():
    assert _value(dg.resource(lambda: 1)) == 1
    assert _value(dg.resource(lambda context: context.resource_config), 5) == 5
    assert _value(dg.resource(lambda value=3: value)) == 3
    with pytest.raises(dg.InvalidDefinitionError, match="requires the parameters a, b"):
        dg.resource(lambda a, b: a)


def test_a_docstring_is_the_description():
    @dg.resource
    def documented():
        """What it is."""

    assert documented.description == "What it is."
    assert dg.resource(description="other")(lambda: 1).description == "other"


@contextlib.contextmanager
def managed():
    told.append("open")
    yield 1
    told.append("closed")


told: list[str] = []


def generated():
    told.append("open")
    yield 1
    told.append("closed")


@pytest.mark.parametrize("function", [managed, generated])
def test_what_stands_behind_the_yield_runs_however_the_work_ended(function):
    told.clear()
    opened = dg.build_resources({"made": dg.resource(function)})
    with pytest.raises(ZeroDivisionError), opened:
        raise ZeroDivisionError
    assert told == ["open", "closed"]


def test_an_object_that_happens_to_be_a_context_manager_is_not_entered():
    lock = contextlib.ExitStack()
    assert _value(dg.resource(lambda: lock)) is lock
    assert _value(lock) is lock


@pytest.mark.parametrize(
    ("schema", "config", "path"),
    [
        ({"a": int}, {"a": "x"}, "made/config/a"),
        ({"a": int}, {"b": 1}, "made/config/b"),
        ({"a": int}, {}, "made/config/a"),
        (str, 5, "made/config"),
    ],
)
def test_config_that_does_not_fit_is_placed(schema, config, path):
    made = dg.ResourceDefinition(lambda context: context.resource_config, schema)
    with pytest.raises(dg.InvalidConfigError, match=path):
        _value(made, config)


class Settings(dg.Config):
    size: int = 2


def test_a_config_class_is_a_schema():
    made = dg.resource(config_schema=Settings)(lambda context: context.resource_config.size)
    assert _value(made, {"size": 3}) == 3
    assert _value(made) == 2


def test_a_resource_gets_those_that_it_requires_and_no_others():
    @dg.resource(required_resource_keys={"one"})
    def made(context):
        assert not hasattr(context.resources, "two")
        return context.resources.one + 1

    assert _value(made, one=1, two=2) == 2
    with pytest.raises(dg.InvalidDefinitionError, match="is a set of keys"):
        dg.resource(required_resource_keys="one")(lambda: 1)


def test_the_ready_made_definitions():
    assert _value(dg.ResourceDefinition.hardcoded_resource(4)) == 4
    assert _value(dg.ResourceDefinition.none_resource()) is None
    assert _value(dg.ResourceDefinition.string_resource(), "s") == "s"
    assert isinstance(_value(dg.ResourceDefinition.mock_resource()), unittest.mock.MagicMock)
    assert _value(dg.make_values_resource(a=int, b=str), {"a": 1, "b": "s"}) == {"a": 1, "b": "s"}
    assert _value(dg.make_values_resource(), {"x": 1}) == {"x": 1}


def test_config_given_in_code():
    made = dg.resource(config_schema={"a": int})(lambda context: context.resource_config["a"])
    preset = made.configured({"a": 4}, description="four")
    assert (_value(preset), preset.description) == (4, "four")
    with pytest.raises(dg.InvalidConfigError, match="given in code"):
        _value(preset, {"a": 5})
    mapped = made.configured(lambda config: {"a": config["b"] * 2}, config_schema={"b": int})
    assert _value(mapped, {"b": 4}) == 8


def test_a_resource_is_called_directly():
    @dg.resource(config_schema={"a": int}, required_resource_keys={"one"})
    def made(context):
        return context.resource_config["a"] + context.resources.one

    with dg.build_init_resource_context(config={"a": 1}, resources={"one": 2}) as context:
        assert made(context) == 3
        assert context.run_id is None
    with pytest.raises(dg.InvalidInvocationError, match="build_init_resource_context"):
        made()
    with pytest.raises(dg.InvalidConfigError, match="config/a"):
        made(dg.build_init_resource_context(config={"a": "x"}))
    assert dg.resource(lambda: 1)() == 1


def test_with_resources_presets_config_and_refuses_what_it_does_not_know():
    class Bindable:
        def with_resources(self, resource_defs):
            return resource_defs

    text = dg.ResourceDefinition.string_resource()
    spec = dg.AssetSpec("a")
    bound, same = dg.with_resources([Bindable(), spec], {"t": text}, {"t": {"config": "x"}})
    assert _value(bound["t"]) == "x"
    assert same is spec
    with pytest.raises(dg.InvalidInvocationError, match="'u'"):
        dg.with_resources([], {"t": text}, {"u": {"config": "x"}})


def test_yielding_nothing_or_twice_is_told():
    def never():
        return
        yield

    with pytest.raises(dg.ResourceFunctionError) as caught:
        _value(dg.resource(never))
    assert "yields nothing" in str(caught.value.__cause__)
