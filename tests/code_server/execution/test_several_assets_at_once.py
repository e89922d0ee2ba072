"""Multi-assets, assets of graphs, and observed assets."""

import pytest

import atoll as dg

T = dg.EventType


def _run(*assets, **options):
    return dg.materialize_to_memory(list(assets), **options)


def _made(result):
    events = result.get_asset_materialization_events()
    return sorted(one.asset_key.to_user_string() for one in events)


def _steps(result):
    return sorted({one.step_key for one in result.all_node_events})


@dg.op
def one():
    return 1


@dg.op
def add_one(x):
    return x + 1


def test_outs_are_assets_with_values():
    @dg.multi_asset(outs={"a": dg.AssetOut(), "b": dg.AssetOut(key=["x", "b"])})
    def both():
        return 1, 2

    result = _run(both)
    assert _made(result) == ["a", "x/b"]
    assert (result.asset_value("a"), result.output_for_node("both", "b")) == (1, 2)


def test_an_optional_out_that_is_not_given_leaves_out_what_is_below():
    @dg.multi_asset(outs={"a": dg.AssetOut(), "b": dg.AssetOut(is_required=False)})
    def both():
        yield dg.Output(1, "a")

    @dg.asset
    def below(b):
        return b

    result = _run(both, below)
    assert (_made(result), result.is_node_skipped("below")) == (["a"], True)


@pytest.mark.parametrize("given", ["nothing", "one returned", "one yielded"])
def test_required_specs_count_as_made_and_skippable_ones_do_not(given):
    specs = [dg.AssetSpec("a"), dg.AssetSpec("b"), dg.AssetSpec("c", skippable=True)]

    def returned():
        return dg.MaterializeResult("a", metadata={"n": 1}) if given != "nothing" else None

    def yielded():
        yield dg.MaterializeResult("a", metadata={"n": 1})

    function = yielded if given == "one yielded" else returned
    result = _run(dg.multi_asset(specs=specs, name="made")(function))
    assert _made(result) == ["a", "b"]
    found = {one.asset_key: one.metadata for one in result.asset_materializations_for_node("made")}
    expected = {} if given == "nothing" else {"n": dg.IntMetadataValue(1)}
    assert found[dg.AssetKey("a")] == expected


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (dg.MaterializeResult("other"), "for 'other'; it materializes 'a', 'b'"),
        (dg.MaterializeResult(), "for no asset; it materializes 'a', 'b'"),
        (5, "stores its assets itself, and returned 5"),
    ],
)
def test_results_that_fit_no_asset_are_told(returned, message):
    @dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")])
    def made():
        return returned

    with pytest.raises(dg.InvariantViolationError, match=message):
        _run(made)


def test_only_the_selected_assets_are_asked_for():
    @dg.multi_asset(specs=[dg.AssetSpec(name) for name in "abc"], can_subset=True)
    def by_spec(context):
        for key in sorted(context.selected_asset_keys):
            yield dg.MaterializeResult(key)

    @dg.multi_asset(outs={name: dg.AssetOut(is_required=False) for name in "de"}, can_subset=True)
    def by_out(context):
        for name in sorted(context.selected_output_names):
            yield dg.Output(1, name)

    @dg.multi_asset(specs=[dg.AssetSpec("f"), dg.AssetSpec("g")])
    def whole(): ...

    assert _made(_run(by_spec, by_out, selection=["a", "c", "e"])) == ["a", "c", "e"]
    with pytest.raises(dg.InvalidSubsetError, match=r"f without g.*can_subset=True"):
        _run(whole, selection=["f"])


def test_a_graph_asset_is_several_steps():
    @dg.asset
    def upstream():
        return 4

    @dg.graph_asset
    def made(upstream):
        return add_one(add_one(upstream))

    @dg.graph_asset(ins={"value": dg.AssetIn("made")}, key=["x", "other"], group_name="g")
    def other(value):
        return add_one(value)

    @dg.asset(ins={"value": dg.AssetIn(["x", "other"])})
    def below(value):
        return value

    result = _run(upstream, made, other, below)
    assert _made(result) == ["below", "made", "upstream", "x/other"]
    assert result.asset_value("below") == 7
    assert result.output_for_node("made.add_one") == 5
    assert other.group_names_by_key == {dg.AssetKey(["x", "other"]): "g"}


def test_a_graph_asset_is_configured_in_code_or_by_run_configuration():
    @dg.op(config_schema={"n": int})
    def number(context):
        return context.op_config["n"]

    @dg.graph_asset(config={"number": {"config": {"n": 5}}})
    def fixed():
        return number()

    @dg.graph_asset
    def by_launch():
        return number()

    config = {"ops": {"by_launch": {"ops": {"number": {"config": {"n": 6}}}}}}
    result = _run(fixed, by_launch, run_config=config)
    assert (result.asset_value("fixed"), result.asset_value("by_launch")) == (5, 6)


def test_a_graph_makes_several_assets_of_which_one_is_made_of_the_other():
    @dg.graph_multi_asset(outs={"a": dg.AssetOut(), "b": dg.AssetOut()})
    def made():
        first = one()
        return {"a": first, "b": add_one(first)}

    result = _run(made)
    assert (_made(result), result.asset_value("b")) == (["a", "b"], 2)


def test_only_the_steps_that_selected_assets_need_run():
    outs = {name: dg.AssetOut(is_required=False) for name in "ab"}

    @dg.graph_multi_asset(outs=outs, can_subset=True)
    def made():
        return {"a": one(), "b": add_one(one.alias("other")())}

    result = _run(made, selection=["b"])
    assert (_made(result), _steps(result)) == (["b"], ["made.add_one", "made.other"])


def test_assets_are_made_of_graphs_and_ops_that_exist():
    @dg.graph(out={"a": dg.GraphOut(), "b": dg.GraphOut()})
    def both(up):
        return {"a": add_one(up), "b": one()}

    @dg.asset
    def source():
        return 4

    of_graph = dg.AssetsDefinition.from_graph(
        both,
        keys_by_input_name={"up": dg.AssetKey("source")},
        key_prefix="p",
        internal_asset_deps={"a": {dg.AssetKey("source")}, "b": set()},
        group_names_by_output_name={"a": "g"},
    )
    of_op = dg.AssetsDefinition.from_op(one, metadata_by_output_name={"result": {"n": 1}})
    result = _run(source, of_graph, of_op)
    assert _made(result) == ["one", "p/a", "p/b", "source"]
    assert result.asset_value(["p", "a"]) == 5
    assert [dep.asset_key for dep in of_graph.specs[0].deps] == [source.key]
    assert of_graph.specs[1].deps == ()
    with pytest.raises(dg.InvalidDefinitionError, match=r"names the output zz.*it has a, b"):
        dg.AssetsDefinition.from_graph(both, keys_by_output_name={"zz": dg.AssetKey("z")})


def _observed(*assets, selection=None):
    job = dg.define_asset_job("observe", selection or list(assets))
    defs = dg.Definitions(assets=assets, jobs=[job])
    result = defs.get_job_def("observe").execute_in_process()
    return [one.observation for one in result.get_asset_observation_events()]


def test_sources_are_observed():
    @dg.observable_source_asset
    def by_version():
        return dg.DataVersion("5")

    @dg.observable_source_asset
    def by_result():
        return dg.ObserveResult(metadata={"n": 1}, data_version=dg.DataVersion("7"))

    first, second = _observed(by_result, by_version)
    assert {first.data_version, second.data_version} == {"5", "7"}
    assert {"n": dg.IntMetadataValue(1)} in (first.metadata, second.metadata)


def test_sources_are_observed_by_partition():
    @dg.observable_source_asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
    def made():
        return dg.DataVersionsByPartition({"a": "1", "b": dg.DataVersion("2")})

    assert {one.partition: one.data_version for one in _observed(made)} == {"a": "1", "b": "2"}


def test_several_sources_are_observed_at_once():
    @dg.multi_observable_source_asset(specs=[dg.AssetSpec(n) for n in "ab"], can_subset=True)
    def made(context):
        for key in context.selected_asset_keys:
            yield dg.ObserveResult(key, data_version=dg.DataVersion("1"))

    (only,) = _observed(made, selection=["a"])
    assert only.asset_key == dg.AssetKey("a")


def test_what_is_no_observation_is_told():
    @dg.observable_source_asset
    def made():
        return 5

    with pytest.raises(dg.InvariantViolationError, match=r"returned 5\. Return a DataVersion"):
        _observed(made)


def test_versions_and_provenance_are_told_in_tags():
    seen = []

    @dg.asset(code_version="1")
    def upstream(context):
        told = context.get_asset_provenance(context.asset_key)
        seen.append(told and told.code_version)
        return 1

    @dg.asset(code_version="2")
    def made(upstream):
        return dg.Output(1, data_version=dg.DataVersion("mine"))

    instance = dg.Instance.ephemeral()
    first = _run(upstream, made, instance=instance)
    _run(upstream, made, instance=instance)
    (up,) = first.asset_materializations_for_node("upstream")
    (own,) = first.asset_materializations_for_node("made")
    assert own.tags["atoll/data_version"] == "mine"
    assert own.tags["atoll/code_version"] == "2"
    assert own.tags["atoll/input_data_version/upstream"] == up.tags["atoll/data_version"]
    assert seen == [None, "1"]
