"""Assets made by hand of an op or a graph that exists already."""

import pytest

import atoll as dg


@dg.op
def load(rows: int) -> int:
    return rows + 1


@dg.op(out={"low": dg.Out(int), "high": dg.Out(int)})
def split(rows: int):
    return rows - 1, rows + 1


@dg.graph
def loading(rows):
    return load(rows)


@dg.graph(out={"low": dg.GraphOut(), "high": dg.GraphOut()})
def splitting(rows):
    low, high = split(rows)
    return {"low": low, "high": high}


@dg.asset
def rows() -> int:
    return 5


def test_a_graph_of_one_output_is_an_asset_called_like_it():
    made = dg.AssetsDefinition.from_graph(loading)
    assert made.key == dg.AssetKey("loading")
    assert dg.materialize([rows, made]).asset_value("loading") == 6


def test_an_op_of_several_outputs_is_several_assets_called_like_them():
    made = dg.AssetsDefinition.from_op(split, key_prefix="x")
    assert made.keys == {dg.AssetKey(["x", "low"]), dg.AssetKey(["x", "high"])}
    result = dg.materialize([rows, made])
    assert (result.asset_value(["x", "low"]), result.asset_value(["x", "high"])) == (4, 6)


def test_keys_of_inputs_and_outputs_may_be_given():
    made = dg.AssetsDefinition.from_graph(
        loading,
        keys_by_input_name={"rows": dg.AssetKey(["raw", "rows"])},
        keys_by_output_name={"result": dg.AssetKey("loaded")},
    )
    assert made.keys == {dg.AssetKey("loaded")}
    assert made.dependency_keys == {dg.AssetKey(["raw", "rows"])}


def test_options_by_output_reach_the_specs():
    made = dg.AssetsDefinition.from_graph(
        splitting,
        group_names_by_output_name={"low": "lows"},
        descriptions_by_output_name={"low": "The low one."},
        metadata_by_output_name={"high": {"rows": 1}},
        tags_by_output_name={"high": {"tier": "1"}},
        owners_by_output_name={"high": ["team:a"]},
        code_versions_by_output_name={"high": "3"},
        internal_asset_deps={"low": set()},
    )
    low, high = (made.specs_by_key[dg.AssetKey(name)] for name in ("low", "high"))
    assert (low.group_name, low.description, low.deps) == ("lows", "The low one.", ())
    assert (high.metadata["rows"].value, high.tags) == (1, {"tier": "1"})
    assert (high.owners, high.code_version) == (("team:a",), "3")
    assert [one.asset_key for one in high.deps] == [dg.AssetKey("rows")]


def test_an_asset_tells_the_op_that_it_comes_from():
    made = dg.AssetsDefinition.from_graph(splitting)
    assert made.get_op_def_for_asset_key(dg.AssetKey("low")) is split
    assert made.get_op_def_for_asset_key(dg.AssetKey("else")) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"keys_by_input_name": {"nope": dg.AssetKey("a")}}, "keys_by_input_name.*nope.*rows"),
        ({"keys_by_output_name": {"nope": dg.AssetKey("a")}}, "keys_by_output_name.*nope.*result"),
        ({"tags_by_output_name": {"nope": {}}}, "tags_by_output_name.*nope"),
        ({"group_name": "a", "group_names_by_output_name": {"result": "b"}}, "one of them"),
    ],
)
def test_a_name_that_is_not_there_is_told(options, told):
    with pytest.raises(dg.InvalidDefinitionError, match=told):
        dg.AssetsDefinition.from_op(load, **options)
