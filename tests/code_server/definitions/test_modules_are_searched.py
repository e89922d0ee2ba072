import importlib
import types

import pytest

import atoll as dg
from atoll._definitions import discovery
from tests.code_server.definitions import selectable


def _module(**contents):
    module = types.ModuleType("user_module")
    module.__dict__.update(contents)
    return module


@dg.asset
def made(): ...


@dg.sensor()
def watching(): ...


JOB = dg.define_asset_job("job", [made])


def test_one_definitions_object_is_the_answer():
    defs = dg.Definitions(assets=[made])
    assert discovery.definitions_in(_module(defs=defs, same=defs, watching=watching)) is defs


def test_without_one_everything_found_is_served():
    module = _module(
        made=made,
        alias=made,
        listed=[dg.AssetSpec("ext")],
        job=JOB,
        watching=watching,
        number=3,
        Kind=dg.AssetSpec,
    )
    found = discovery.definitions_in(module)
    assert [one.key.to_user_string() for one in found.assets] == ["made", "ext"]
    assert list(found.jobs) == [JOB]
    assert list(found.sensors) == [watching]


def test_several_definitions_objects_are_an_error_that_names_them():
    with pytest.raises(dg.InvalidDefinitionError, match="first, second"):
        discovery.definitions_in(_module(first=dg.Definitions(), second=dg.Definitions()))


def test_a_module_without_definitions_is_an_error():
    with pytest.raises(dg.InvalidDefinitionError, match="no definitions"):
        discovery.definitions_in(_module(number=3))


def test_a_function_makes_the_definitions_when_the_module_is_loaded():
    calls = []

    @dg.definitions
    def defs():
        calls.append(1)
        return dg.Definitions(assets=[made])

    module = _module(defs=defs, watching=watching)
    assert calls == []
    assert discovery.is_complete(module)
    found = discovery.definitions_in(module)
    assert (list(found.assets), list(found.sensors), calls) == ([made], [], [1])


def test_a_function_that_takes_a_context_is_given_it():
    @dg.definitions
    def defs(context):
        return dg.Definitions(metadata={"told": context})

    found = discovery.definitions_in(_module(defs=defs), context="here")
    assert found.metadata == {"told": dg.TextMetadataValue("here")}
    with pytest.raises(dg.InvalidDefinitionError, match="takes a context") as caught:
        discovery.definitions_in(_module(defs=defs))
    assert caught.value.problems[0].file == __file__


def test_a_function_and_an_object_are_one_too_many():
    @dg.definitions
    def lazy():
        return dg.Definitions()

    with pytest.raises(dg.InvalidDefinitionError, match="defs, lazy"):
        discovery.definitions_in(_module(defs=dg.Definitions(), lazy=lazy))


def test_a_function_that_returns_something_else_is_told_with_its_line():
    @dg.definitions
    def defs():
        return 3

    with pytest.raises(dg.InvalidDefinitionError, match="return Definitions, got 3") as caught:
        defs()
    assert caught.value.problems[0].line > 0


def test_what_a_function_raises_passes_through():
    @dg.definitions
    def defs():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        discovery.definitions_in(_module(defs=defs))


def _takes_two(one, two): ...
def _takes_any(*args): ...
def _takes_keyword(*, one): ...


@pytest.mark.parametrize("function", [_takes_two, _takes_any, _takes_keyword])
def test_a_function_takes_one_context_or_nothing(function):
    with pytest.raises(dg.InvalidDefinitionError, match="Let it take nothing, or one context"):
        dg.definitions(function)


def test_what_only_evaluates_checks_is_no_asset():
    class Checks(selectable.Maker):
        check_specs = ()
        check_keys = ()

    checks = Checks(checks=["made:fresh"])
    found = discovery.kinds.found_among([made, checks, checks, 3, Checks])
    assert (found.assets, found.asset_checks) == ((made,), (checks,))
    assert found.as_arguments() == {"assets": [made], "asset_checks": [checks]}


def test_the_decorator_shares_its_name_with_the_generated_package():
    assert importlib.import_module("atoll.definitions") is dg.definitions
    assert importlib.import_module("atoll.definitions.v1") is dg.definitions.v1
    assert isinstance(dg.definitions(dg.Definitions), dg.LazyDefinitions)
