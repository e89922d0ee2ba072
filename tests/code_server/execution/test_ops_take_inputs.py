"""Where ops get their inputs, config and resources from."""

import pytest

import atoll as dg


class Scale(dg.Config):
    factor: int = 3


class Store(dg.ConfigurableResource):
    name: str


def _run(op, **options):
    @dg.job
    def only():
        op()

    return only.execute_in_process(**options).output_for_node(op.name)


def test_config_comes_by_the_parameter_or_from_the_context():
    @dg.op
    def typed(config: Scale):
        return config.factor

    @dg.op(config_schema={"factor": dg.Field(int, default_value=4)})
    def plain(context):
        return context.op_config["factor"]

    @dg.op(config_schema=int)
    def single(context):
        return context.op_config

    given = {"config": {"factor": 9}}
    assert (_run(typed), _run(typed, run_config={"ops": {"typed": given}})) == (3, 9)
    assert (_run(plain), _run(plain, run_config={"ops": {"plain": given}})) == (4, 9)
    assert _run(single, run_config={"ops": {"single": {"config": 5}}}) == 5


def test_resources_come_by_annotation_or_by_key():
    @dg.op(required_resource_keys={"limit"})
    def made(context, store: Store, plain: dg.ResourceParam[int]):
        return store.name, plain, context.resources.limit

    resources = {"store": Store(name="s"), "plain": 5, "limit": 7}
    assert _run(made, resources=resources) == ("s", 5, 7)


def test_inputs_have_defaults():
    @dg.op(ins={"b": dg.In(int, default_value=8)})
    def made(b, a=2):
        return a, b

    assert _run(made) == (2, 8)


def test_inputs_come_from_run_configuration():
    @dg.op
    def made(number: int, text: str = "d"):
        return number, text

    def given(value):
        return {"ops": {"made": {"inputs": {"number": value}}}}

    assert _run(made, run_config=given(4)) == (4, "d")
    assert _run(made, run_config=given({"value": 5})) == (5, "d")
    with pytest.raises(dg.InvalidConfigError, match="'q' of type str"):
        _run(made, run_config=given("q"))
    with pytest.raises(dg.InvalidConfigError, match="ops/made/inputs/number"):
        _run(made)


def test_types_load_inputs_of_their_own():
    @dg.type_loader({"path": str})
    def loaded(_context, config):
        return [config["path"]]

    lines = dg.Type(name="Lines", type_check_fn=lambda _, v: isinstance(v, list), loader=loaded)

    @dg.op(ins={"lines": dg.In(lines)})
    def made(lines):
        return lines

    config = {"ops": {"made": {"inputs": {"lines": {"path": "p"}}}}}
    assert _run(made, run_config=config) == ["p"]


def test_an_input_that_nothing_can_give_is_told_when_the_job_is_defined():
    class Opaque: ...

    @dg.op
    def made(thing: Opaque):
        return thing

    with pytest.raises(dg.InvalidDefinitionError, match="input 'thing' of 'made'"):

        @dg.job
        def only():
            made()


def test_an_input_of_another_type_fails_the_step_and_is_told():
    @dg.op
    def text():
        return "s"

    @dg.op
    def number(value: int):
        return value

    @dg.job
    def both():
        number(text())

    result = both.execute_in_process(raise_on_error=False)
    (event,) = result.filter_events(dg.EventType.STEP_INPUT)
    assert (event.step_key, event.event_specific_data.type_check_data.success) == ("number", False)
    assert result.get_failed_step_keys() == {"number"}
    assert result.failure_data_for_node("number").type == "atoll.TypeCheckDidNotPass"


def test_inputs_of_nothing_only_order():
    order = []

    @dg.op(out=dg.Out(dg.Nothing))
    def first():
        order.append("first")

    @dg.op(ins={"start": dg.In(dg.Nothing)})
    def last(value):
        order.append("last")
        return value

    @dg.op(ins={"start": dg.In(dg.Nothing)})
    def alone():
        order.append("alone")

    @dg.op
    def one():
        return 1

    @dg.job
    def ordered():
        gates = [first(), first.alias("second")()]
        last(one(), start=gates)
        alone(gates)

    assert ordered.execute_in_process().output_for_node("last") == 1
    assert order[:2] == ["first", "first"]


def test_any_number_of_inputs_is_taken_by_keyword():
    @dg.op(ins={"a": dg.In(default_value=1), "b": dg.In(default_value=2)})
    def made(**values):
        return values

    assert _run(made) == {"a": 1, "b": 2}
