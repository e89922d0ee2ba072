import pytest

import atoll as dg
from atoll import errors
from tests import counting


def test_the_function_gives_key_description_and_dependencies():
    @dg.asset(deps=["first", dg.AssetSpec("second")])
    def third(zeroth):
        """Adds up."""

    spec = third.get_asset_spec()
    assert third.key == dg.AssetKey("third")
    assert spec.description == "Adds up."
    assert [dep.asset_key.to_user_string() for dep in spec.deps] == ["zeroth", "first", "second"]


def test_key_name_and_prefix():
    @dg.asset(key_prefix=["raw", "eu"])
    def one(): ...

    @dg.asset(name="renamed", key_prefix="raw")
    def two(): ...

    @dg.asset(key=["whole", "key"])
    def three(): ...

    assert one.key == dg.AssetKey(["raw", "eu", "one"])
    assert one.op_name == "raw__eu__one"
    assert two.key == dg.AssetKey(["raw", "renamed"])
    assert three.key == dg.AssetKey(["whole", "key"])


def test_key_excludes_name():
    with pytest.raises(dg.InvalidDefinitionError, match="either key or name"):

        @dg.asset(key="a", name="b")
        def one(): ...


def test_ins_say_where_a_parameter_comes_from():
    @dg.asset(
        ins={
            "a": dg.AssetIn(key=["x", "y"]),
            "b": dg.AssetIn(key_prefix="p", metadata={"rows": 3}),
            "c": dg.AssetKey("z"),
        }
    )
    def made(context, a, b, c): ...

    assert made.keys_by_input_name == {
        "a": dg.AssetKey(["x", "y"]),
        "b": dg.AssetKey(["p", "b"]),
        "c": dg.AssetKey("z"),
    }
    assert made.op.input_named("b").metadata == {"rows": 3}
    assert made.op.parameters.context == "context"


def test_the_definition_knows_its_line():
    @dg.asset
    def here(): ...

    assert here.source is not None
    assert here.source.file == __file__
    assert here.specs[0].source == here.source
    assert here.source.line == here.op.compute_fn.__code__.co_firstlineno


def test_attributes_reach_the_spec():
    @dg.asset(
        metadata={"rows": 3},
        tags={"layer": "raw"},
        group_name="sales",
        owners=["team:data", "me@example.com"],
        kinds={"python", "table"},
        code_version="7",
        output_required=False,
    )
    def made(): ...

    spec = made.get_asset_spec()
    assert spec.metadata == {"rows": dg.IntMetadataValue(3)}
    assert (spec.tags, spec.group_name, spec.code_version) == ({"layer": "raw"}, "sales", "7")
    assert (spec.owners, spec.kinds) == (("team:data", "me@example.com"), {"python", "table"})
    assert spec.skippable


@pytest.mark.parametrize("name", ["compute_kind", "foo"])
def test_a_parameter_that_is_not_known_yet_is_refused_by_name(name):
    with pytest.raises(TypeError, match=name) as caught:
        dg.asset(**{name: None})
    assert isinstance(caught.value, dg.InvalidDefinitionError)
    assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"owners": ["nobody"]}, "'nobody'"),
        ({"tags": {"a": 1}}, "'a': 1"),
        ({"group_name": "no spaces"}, "'no spaces'"),
        ({"kinds": ["a", "b", "c", "d"]}, "4 kinds"),
        ({"deps": "single"}, "brackets"),
        ({"deps": ["made"]}, "itself"),
        ({"metadata": {"a": object()}}, "'a'"),
        ({"ins": {"missing": dg.AssetIn()}}, "missing"),
        ({"io_manager_key": "x", "io_manager_def": dg.InMemoryIOManager()}, "either"),
    ],
)
def test_bad_options_are_refused_with_the_value(options, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):

        @dg.asset(**options)
        def made(): ...


def test_a_dependency_that_is_named_twice_counts_once():
    @dg.asset(deps=["a", "b"])
    def made(a): ...

    assert [dep.asset_key.to_user_string() for dep in made.get_asset_spec().deps] == ["a", "b"]


def test_the_config_parameter_needs_a_config_class():
    with pytest.raises(dg.InvalidDefinitionError, match="annotated with nothing"):

        @dg.asset
        def made(config): ...


def test_the_config_class_may_be_named_as_text_and_local():
    class MyConfig(dg.Config):
        n: int = 1

    @dg.asset
    def made(config: "MyConfig"): ...

    assert made.op.config_field is MyConfig.config_field()


def test_specs_change_by_replacing_and_merging():
    spec = dg.AssetSpec("a", deps=["b"], tags={"x": "1"}, owners=["team:a"], metadata={"m": 1})
    replaced = spec.replace_attributes(group_name="g", tags={"y": "2"})
    merged = spec.merge_attributes(deps=["c"], tags={"y": "2"}, owners=["team:b"], kinds={"sql"})
    assert (replaced.group_name, replaced.tags, replaced.owners) == ("g", {"y": "2"}, ("team:a",))
    assert [dep.asset_key for dep in merged.deps] == [dg.AssetKey("b"), dg.AssetKey("c")]
    assert (merged.tags, merged.owners) == ({"x": "1", "y": "2"}, ("team:a", "team:b"))
    assert merged.kinds == {"sql"}
    assert merged.source == spec.source
    with pytest.raises(TypeError, match="compute_kind"):
        spec.replace_attributes(compute_kind=None)
    with pytest.raises(TypeError, match="group_name"):
        spec.merge_attributes(group_name="x")


def test_mapped_specs_keep_their_keys():
    @dg.asset
    def made(up): ...

    grouped, external = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(group_name="g"), [made, dg.AssetSpec("ext")]
    )
    assert grouped.get_asset_spec().group_name == external.group_name == "g"
    with pytest.raises(dg.InvalidDefinitionError, match="changed the key"):
        dg.map_asset_specs(lambda _: dg.AssetSpec("other"), [made])
    with pytest.raises(dg.InvalidDefinitionError, match="'up'"):
        dg.map_asset_specs(lambda spec: spec.replace_attributes(deps=[]), [made])


def test_an_error_of_several_problems_tells_each():
    problem = errors.Problem("wrong", "file.py", 3)
    assert str(problem) == "file.py:3: wrong"
    assert errors.InvalidDefinitionError("all", [problem]).problems == (problem,)


def test_assets_are_declared_in_a_time_linear_in_their_number():
    def declare(count):
        functions = [dg.asset(name=f"a{i}")(lambda: None) for i in range(count)]
        graph = dg.Definitions(assets=functions).resolve_asset_graph()
        assert len(graph.specs) == count

    declare(10)
    few, many = (counting.calls_of(lambda n=n: declare(n)).total() for n in (50, 500))
    assert many < 10 * 1.2 * few


def test_one_asset_is_taken_with_one_partition_mapping():
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    def growth(today, yesterday): ...

    ins = {
        "today": dg.AssetIn("report"),
        "yesterday": dg.AssetIn("report", partition_mapping=before),
    }
    with pytest.raises(dg.InvalidDefinitionError, match="different partition mappings"):
        dg.asset(ins=ins)(growth)
    same = {name: dg.AssetIn("report", partition_mapping=before) for name in ins}
    assert dg.asset(ins=same)(growth).get_partition_mapping(dg.AssetKey("report")) == before
