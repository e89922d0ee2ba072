"""Which parameter of a user's function receives what, also where annotations are strings."""

from __future__ import annotations

import pytest

import atoll as dg
from atoll._definitions import annotations, parameters


class Store(dg.ConfigurableResource):
    size: int = 1


class Settings(dg.Config):
    size: int = 1


class Plain:
    pass


def _read(function, **options):
    return parameters.read(function, "The asset 'a'", **options)


def test_each_parameter_receives_one_thing():
    def made(
        context: dg.AssetExecutionContext,
        config: Settings,
        up: list[int],
        store: Store,
        plain: dg.ResourceParam[Plain],
        other=3,
        **rest,
    ) -> int: ...

    read = _read(made)
    assert (read.context, read.config, read.config_annotation) == ("context", "config", Settings)
    assert read.resources == {"store": "store", "plain": "plain"}
    assert [one.name for one in read.inputs] == ["up", "other"]
    assert read.takes_any_keyword
    assert read.returns == "int"


def test_local_classes_are_found_by_their_names():
    class Local(dg.ConfigurableResource):
        size: int = 1

    class Own(dg.Config):
        size: int = 1

    def made(config: Own, local: Local): ...

    read = _read(made)
    assert read.config_annotation is Own
    assert read.resources == {"local": "local"}


@pytest.mark.parametrize(
    "annotation",
    [
        Store,
        "Store",
        Store | None,
        "Store | None",
        "dg.ResourceParam[Plain]",
    ],
)
def test_resources_in_every_spelling(annotation):
    def made(store): ...

    made.__annotations__ = {"store": annotation}
    assert _read(made).resources == {"store": "store"}


@pytest.mark.parametrize(
    "annotation",
    [Plain, "Plain", "list[Store]", list[int], "Missing", "missing.Store", "a b", "Plain | None"],
)
def test_what_is_no_resource_is_an_input(annotation):
    def made(value): ...

    made.__annotations__ = {"value": annotation}
    read = _read(made)
    assert read.resources == {}
    assert [one.name for one in read.inputs] == ["value"]


@pytest.mark.parametrize("name", ["context", "_context", "_"])
def test_a_context_goes_by_its_name(name):
    scope: dict = {}
    exec(f"def made({name}, up): ...", scope)  # noqa: S102 - names a parameter
    assert _read(scope["made"]).context == name


def test_a_context_goes_by_its_annotation_too_and_only_where_it_is_first():
    def annotated(ctx: dg.AssetExecutionContext, up): ...
    def second(up, context): ...
    def foreign(ctx: ForeignContext): ...

    assert _read(annotated).context == "ctx"
    assert _read(second).context is None
    assert _read(foreign).context is None


class ForeignContext:
    pass


def test_config_without_a_class_is_left_to_the_caller():
    assert _read(lambda config: config).config_annotation is annotations.UNKNOWN


def test_sensors_take_the_context_by_place():
    read = _read(lambda context, config: None, has_context=False, has_config=False)
    assert [one.name for one in read.inputs] == ["context", "config"]


def test_parameters_without_a_name_to_give_them_by_are_refused():
    with pytest.raises(dg.InvalidDefinitionError, match=r"The asset 'a'.*\*args"):
        _read(lambda *args: args)
