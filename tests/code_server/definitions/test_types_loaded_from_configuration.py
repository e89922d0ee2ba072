"""Inputs that no step gives a value: their types load them from run configuration."""

import json
from types import SimpleNamespace

import pytest

import atoll as dg
from atoll._definitions import config_contract, types


def _load(annotation, value, context=None):
    loader = types.resolve(annotation).loader
    accepted = loader.config_field.resolve(value, ("ops", "o", "inputs", "x"))
    return loader.construct_from_config_value(context, accepted)


@pytest.mark.parametrize(
    ("annotation", "given", "loaded"),
    [
        (int, 3, 3),
        (int, {"value": 3}, 3),
        (str, "a", "a"),
        (bool, True, True),
        (float, 1.5, 1.5),
        (dg.Any, {"value": [1]}, [1]),
        (list[int], [1, {"value": 2}], [1, 2]),
        (dg.List[int], [], []),
        (list, [{"value": "a"}], ["a"]),
        (dict, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (set[int], [1, 1], {1}),
        (tuple[int, ...], [1, 2], (1, 2)),
        (int | None, None, None),
        (int | None, 3, 3),
        (list[dict[str, int]], [{"a": 1}], [{"a": 1}]),
    ],
)
def test_how_values_are_given(annotation, given, loaded):
    assert _load(annotation, given) == loaded


def test_a_whole_number_will_do_for_any_number():
    assert type(_load(float, 1)) is float
    assert type(_load(float, {"value": 1})) is float


@pytest.mark.parametrize("document", [7, {"value": 7}])
def test_a_value_may_be_in_a_file(tmp_path, document):
    path = tmp_path / "seven.json"
    path.write_text(json.dumps(document))
    assert _load(int, {"json": {"path": str(path)}}) == 7
    assert _load(dg.Any, {"json": {"path": str(path)}}) == 7


@pytest.mark.parametrize(
    ("annotation", "given", "path", "value"),
    [
        (int, "a", (), "a"),
        (int, True, (), True),
        (int, {"value": "a"}, ("value",), "a"),
        (int, {"json": "x"}, ("json",), "x"),
        (int, {"json": {"path": 3}}, ("json", "path"), 3),
        (int, {"values": 3}, (), {"values": 3}),
        (dg.Any, 3, (), 3),
        (list[int], 3, (), 3),
        (list[int], [1, "a"], ("1",), "a"),
        (dict[str, int], {"a": "b"}, ("a",), "b"),
        (dict, [], (), []),
        (int | None, "a", (), "a"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(annotation, given, path, value):
    with pytest.raises(dg.InvalidConfigError) as error:
        _load(annotation, given)
    assert error.value.path == ("ops", "o", "inputs", "x", *path)
    assert error.value.value == value
    assert "ops.o.inputs.x" in str(error.value)


def test_what_is_not_given_is_refused_but_where_none_will_do():
    with pytest.raises(dg.InvalidConfigError, match=r"gives nothing at ops\.o\.inputs\.x"):
        _load(int, config_contract.NOT_GIVEN)
    assert _load(int | None, config_contract.NOT_GIVEN) is None
    assert types.resolve(int).loader.config_field.is_required
    assert not types.resolve(int | None).loader.config_field.is_required


def test_the_host_knows_what_fits_by_a_json_schema():
    schema = types.resolve(list[int]).loader.config_field.json_schema({})
    assert schema["type"] == "array"
    assert schema["items"]["anyOf"][0] == {"type": "integer"}


@pytest.mark.parametrize("annotation", [dg.Nothing, object, dict[int, int], int | str])
def test_other_types_are_not_loaded_unless_they_are_given_a_loader(annotation):
    assert types.resolve(annotation).loader is None


def test_a_loader_made_of_a_function():
    @dg.type_loader(config_schema=None, required_resource_keys={"db"})
    def load(context, config):
        return context.resources.db[config]

    assert isinstance(load, dg.TypeLoader)
    assert load.required_resource_keys() == {"db"}
    loaded = dg.Type(lambda _c, _v: True, name="T", loader=load)
    context = SimpleNamespace(resources=SimpleNamespace(db={"a": 1}))
    assert loaded.loader.construct_from_config_value(context, "a") == 1
    assert dg.List[loaded].loader.construct_from_config_value(context, ["a"]) == [1]
    assert dg.List[loaded].loader.required_resource_keys() == {"db"}


def test_a_loader_keeps_the_schema_it_was_given():
    field = types.resolve(int).loader.config_field
    given = dg.type_loader(config_schema=field)(lambda _context, config: config)
    assert given.schema_type is field
    assert given.config_field is field


def test_a_loader_made_of_a_class():
    class Loading(dg.TypeLoader):
        def construct_from_config_value(self, context, config_value):
            return [config_value]

    loading = Loading()
    assert loading.config_field.resolve({"any": "thing"}, ()) == {"any": "thing"}
    assert loading.construct_from_config_value(None, 1) == [1]
    assert loading.required_resource_keys() == frozenset()


def test_a_loader_takes_a_context_and_the_configuration():
    with pytest.raises(dg.InvalidDefinitionError, match="two parameters"):
        dg.type_loader(config_schema=None)(lambda context: 1)
    with pytest.raises(dg.InvalidDefinitionError, match="no TypeLoader"):
        dg.Type(lambda _c, _v: True, name="T", loader=lambda _c, _v: 1)
