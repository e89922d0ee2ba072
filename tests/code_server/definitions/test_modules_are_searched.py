import types

import pytest

import atoll as dg
from atoll._definitions import discovery


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
