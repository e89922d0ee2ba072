"""Graphs as parts of jobs: nesting, inputs, outputs, configuration, selections of ops."""

import pytest

import atoll as dg


@dg.op
def one():
    return 1


@dg.op
def two():
    return 2


@dg.op
def add_one(x):
    return x + 1


@dg.op
def add(a, b):
    return a + b


@dg.op
def total(xs: list[int]):
    return sum(xs)


@dg.op(config_schema={"n": int})
def configured_op(context):
    return context.op_config["n"]


@dg.graph
def add_two(x):
    return add_one(add_one(x))


@dg.job
def nested():
    add_two.alias("again")(add_two(one()))


def _steps(result):
    return sorted({one.step_key for one in result.all_node_events})


def test_nested_graphs_are_steps_of_their_ops():
    result = nested.execute_in_process()
    assert _steps(result) == [
        "add_two.add_one",
        "add_two.add_one_2",
        "again.add_one",
        "again.add_one_2",
        "one",
    ]
    assert result.output_for_node("add_two") == 3
    assert result.output_for_node("add_two.add_one") == 2
    assert result.output_for_node("again") == 5
    assert {one.step_key for one in result.events_for_node("again")} == {
        "again.add_one",
        "again.add_one_2",
    }


@pytest.mark.parametrize("returned", ["dict", "tuple"])
def test_graphs_have_several_outputs(returned):
    @dg.graph(out={"a": dg.GraphOut(), "b": dg.GraphOut()})
    def both():
        return {"a": one(), "b": two()} if returned == "dict" else (one(), two())

    @dg.job
    def summed():
        made = both()
        add(made.a, made.b)

    assert summed.execute_in_process().output_for_node("add") == 3
    assert both.execute_in_process().output_value("b") == 2


def test_inputs_of_a_graph_come_by_value_config_or_default():
    @dg.op
    def increased(x: int = 7):
        return x + 1

    @dg.graph
    def top(x):
        return increased(x)

    @dg.job
    def inner():
        top()

    assert top.execute_in_process(input_values={"x": 4}).output_value() == 5
    assert top.to_job(input_values={"x": 5}).execute_in_process().output_value() == 6
    job = top.to_job()
    assert job.execute_in_process(input_values={"x": 6}).output_value() == 7
    assert job.execute_in_process(run_config={"inputs": {"x": 2}}).output_value() == 3
    assert job.execute_in_process().output_value() == 8
    given = {"ops": {"top": {"inputs": {"x": 1}}}}
    assert inner.execute_in_process(run_config=given).output_for_node("top.increased") == 2


def test_an_alias_is_the_name_everywhere():
    @dg.job
    def renamed():
        configured_op.alias("other")()

    config = {"ops": {"other": {"config": {"n": 3}}}}
    assert renamed.execute_in_process(run_config=config).output_for_node("other") == 3


def test_graphs_are_made_of_explicit_dependencies():
    made = dg.GraphDefinition(
        "made",
        node_defs=[one, add_one, add, total],
        dependencies={
            "add_one": {"x": dg.DependencyDefinition("one")},
            dg.NodeInvocation("add_one", "again"): {"x": dg.DependencyDefinition("add_one")},
            "add": {
                "a": dg.DependencyDefinition("add_one"),
                "b": dg.DependencyDefinition("again", "result"),
            },
            "total": {
                "xs": dg.MultiDependencyDefinition(
                    [dg.DependencyDefinition("one"), dg.DependencyDefinition("add")]
                )
            },
        },
        output_mappings=[dg.OutputMapping("result", "total")],
    )
    assert made.execute_in_process().output_value() == 6


def test_inputs_of_explicit_graphs_are_mapped():
    made = dg.GraphDefinition(
        "made",
        node_defs=[add_one],
        input_mappings=[dg.InputMapping("n", "add_one", "x")],
        output_mappings=[dg.OutputMapping("result", "add_one")],
    )

    @dg.job
    def around():
        made(two())

    assert made.execute_in_process(input_values={"n": 4}).output_value() == 5
    assert around.execute_in_process().output_for_node("made") == 3


def test_a_graph_maps_its_config_to_that_of_its_ops():
    @dg.config_mapping(config_schema={"v": int})
    def mapped(config):
        return {"configured_op": {"config": {"n": config["v"] + 1}}}

    @dg.graph(config=mapped)
    def made():
        return configured_op()

    ready = made.configured({"v": 5}, name="ready")

    @dg.job
    def around():
        made()
        ready()

    config = {"ops": {"made": {"config": {"v": 4}}}}
    result = around.execute_in_process(run_config=config)
    assert (result.output_for_node("made"), result.output_for_node("ready")) == (5, 6)
    with pytest.raises(dg.InvalidConfigError, match="ops/made/config/v"):
        around.execute_in_process(run_config={"ops": {"made": {"config": {"v": "x"}}}})


def test_a_job_maps_its_config_to_run_configuration():
    class Small(dg.Config):
        v: int

    @dg.config_mapping
    def mapped(config: Small) -> dg.RunConfig:
        return dg.RunConfig(ops={"configured_op": {"config": {"n": config.v + 1}}})

    @dg.job(config=mapped)
    def made():
        configured_op()

    result = made.execute_in_process(run_config={"v": 4})
    assert result.output_for_node("configured_op") == 5


def test_ops_are_configured_in_code():
    class Typed(dg.Config):
        n: int

    @dg.op
    def typed(config: Typed):
        return config.n

    @dg.configured(configured_op, config_schema=int)
    def by_number(number):
        return {"n": number}

    fixed = configured_op.configured({"n": 8}, name="fixed")
    fixed_typed = typed.configured({"n": 9}, name="fixed_typed")

    @dg.job
    def made():
        by_number()
        fixed()
        fixed_typed()

    result = made.execute_in_process(run_config={"ops": {"by_number": {"config": 7}}})
    found = [result.output_for_node(name) for name in ("by_number", "fixed", "fixed_typed")]
    assert found == [7, 8, 9]
    with pytest.raises(dg.InvalidDefinitionError, match="without a name"):
        configured_op.configured({"n": 8})


def test_the_config_of_a_job_counts_unless_a_launch_gives_some():
    @dg.job(config={"ops": {"configured_op": {"config": {"n": 4}}}})
    def made():
        configured_op()

    given = {"ops": {"configured_op": {"config": {"n": 5}}}}
    assert made.execute_in_process().output_for_node("configured_op") == 4
    assert made.execute_in_process(run_config=given).output_for_node("configured_op") == 5


@pytest.mark.parametrize(
    ("selection", "steps"),
    [
        (["*add_two"], ["add_two.add_one", "add_two.add_one_2", "one"]),
        (["one", "add_two.add_one"], ["add_two.add_one", "one"]),
        (["one+"], ["add_two.add_one", "one"]),
    ],
)
def test_only_the_selected_ops_run(selection, steps):
    assert _steps(nested.execute_in_process(op_selection=selection)) == steps


def test_a_selection_that_leaves_out_an_input_needs_it_from_config():
    @dg.op
    def number(x: int):
        return x

    @dg.job
    def made():
        number(one())

    with pytest.raises(dg.InvalidSubsetError, match=r"'\*number'.*ops/number/inputs/x"):
        made.execute_in_process(op_selection=["number"])
    config = {"ops": {"number": {"inputs": {"x": 6}}}}
    result = made.execute_in_process(op_selection=["number"], run_config=config)
    assert result.output_for_node("number") == 6
    with pytest.raises(dg.InvalidSubsetError, match="'none_such'"):
        made.execute_in_process(op_selection=["none_such"])


def test_an_asset_is_an_input_of_an_op():
    @dg.asset
    def stored():
        return 5

    @dg.job
    def made():
        add_one(stored)

    manager = dg.InMemoryIOManager()
    dg.materialize([stored], resources={"io_manager": manager})
    result = made.execute_in_process(resources={"io_manager": manager})
    assert result.output_for_node("add_one") == 6


def test_pending_invocations_of_graphs_run_and_become_jobs():
    @dg.graph
    def made():
        return one()

    assert made.alias("z").execute_in_process().output_value() == 1
    job = made.tag({"a": "b"}).to_job(name="named", tags={"team": "x"})
    assert (job.name, job.execute_in_process().run.tags) == ("named", {"team": "x"})
