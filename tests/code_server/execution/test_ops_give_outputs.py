"""What the functions of ops may return and yield, and what becomes of it."""

from typing import NamedTuple

import pytest

import atoll as dg

TWO = {"a": dg.Out(), "b": dg.Out()}


def _run(*ops, **options):
    @dg.graph
    def only():
        for one in ops:
            one()

    return only.execute_in_process(**options)


def _both(op):
    result = _run(op)
    return result.output_for_node(op.name, "a"), result.output_for_node(op.name, "b")


class Pair(NamedTuple):
    a: int
    b: int


def _returned(value, **options):
    @dg.op(**options)
    def made():
        return value() if callable(value) else value

    return made


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        Pair(1, 2),
        lambda: (dg.Output(1), dg.Output(2)),
        lambda: (dg.Output(1, "a"), dg.Output(2, "b")),
        lambda: (dg.Output(2, "b"), dg.Output(1, "a")),
        lambda: {"a": dg.Output(1), "b": dg.Output(2)},
    ],
    ids=["tuple", "named tuple", "outputs", "named outputs", "outputs by name", "dict of outputs"],
)
def test_several_outputs_are_returned(value):
    assert _both(_returned(value, out=TWO)) == (1, 2)


@pytest.mark.parametrize("value", [1, [1, 2], (1,), {"a": 1, "b": 2}, None])
def test_what_does_not_fit_several_outputs_is_told(value):
    with pytest.raises(dg.InvariantViolationError, match=r"outputs a, b and returned .* tuple"):
        _run(_returned(value, out=TWO))


def test_members_of_a_tuple_have_types_of_their_own():
    @dg.op(out=TWO)
    def made() -> tuple[int, str]:
        return 1, 2

    with pytest.raises(dg.TypeCheckDidNotPass, match="output 'b' of 'made'"):
        _run(made)


def test_an_output_without_a_name_is_the_only_one():
    made = _returned(lambda: dg.Output(1), out={"a": dg.Out()})
    assert _run(made).output_for_node("made", "a") == 1


def test_generators_yield_outputs_and_events():
    @dg.op(out=TWO)
    def made():
        yield dg.AssetMaterialization("told")
        yield dg.Output(1, "a")
        yield dg.ExpectationResult(success=False, label="few rows")
        yield dg.Output(2, "b")

    result = _run(made)
    assert [one.label for one in result.expectation_results_for_node("made")] == ["few rows"]
    told = result.asset_materializations_for_node("made")
    assert [one.asset_key for one in told] == [dg.AssetKey("told")]
    assert result.output_for_node("made", "b") == 2


def test_async_functions_and_async_generators():
    @dg.op
    async def later():
        return 4

    @dg.op(out=TWO)
    async def made():
        yield dg.Output(1, "a")
        yield dg.Output(2, "b")

    result = _run(later, made)
    assert result.output_for_node("later") == 4
    assert result.output_for_node("made", "b") == 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (5, "yielded 5 of type int. Yield Output"),
        (dg.Output(1, "other"), "gave the output 'other', which it does not have; it has result"),
    ],
)
def test_what_no_op_can_yield_is_told(item, message):
    @dg.op
    def made():
        yield item

    with pytest.raises(dg.InvariantViolationError, match=message):
        _run(made)


def test_an_output_is_given_once():
    @dg.op
    def made():
        yield dg.Output(1)
        yield dg.Output(2)

    with pytest.raises(dg.InvariantViolationError, match="'result' twice"):
        _run(made)


def test_a_missing_output_names_the_remedy():
    @dg.op
    def made():
        yield dg.AssetMaterialization("x")

    with pytest.raises(dg.StepOutputNotFoundError, match=r"'result'.*is_required=False"):
        _run(made)


def test_optional_outputs_may_be_left_out():
    @dg.op(out={"a": dg.Out(is_required=False), "b": dg.Out(is_required=False)})
    def made():
        return None

    result = _run(made)
    with pytest.raises(dg.StepOutputNotFoundError, match="gave nothing"):
        result.output_for_node("made", "a")


def test_an_output_of_nothing_needs_no_value_and_takes_none():
    @dg.op(out=dg.Out(dg.Nothing))
    def silent():
        yield dg.AssetMaterialization("x")

    assert len(_run(silent).filter_events(dg.EventType.STEP_OUTPUT)) == 1
    with pytest.raises(dg.TypeCheckDidNotPass, match="Nothing"):
        _run(_returned(5, out=dg.Out(dg.Nothing)))


@pytest.mark.parametrize("returns", ["list", "generator"])
def test_dynamic_outputs_are_listed_or_yielded(returns):
    def listed() -> list[dg.DynamicOutput[int]]:
        return [dg.DynamicOutput(1, "x"), dg.DynamicOutput(2, "y")]

    def yielded():
        yield from listed()

    made = dg.op(name="made", out=dg.DynamicOut())(listed if returns == "list" else yielded)
    assert _run(made).output_for_node("made") == {"x": 1, "y": 2}


def test_a_list_of_dynamic_outputs_stands_in_a_tuple():
    @dg.op(out={"many": dg.DynamicOut(), "one": dg.Out()})
    def made():
        return [dg.DynamicOutput(1, "x")], 4

    result = _run(made)
    assert result.output_for_node("made", "many") == {"x": 1}
    assert result.output_for_node("made", "one") == 4


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (lambda: [dg.DynamicOutput(1, "a"), dg.DynamicOutput(1, "a")], "for 'a' twice"),
        (lambda: 5, "one value for the dynamic output 'result'"),
        (lambda: [dg.DynamicOutput(1, "a b")], "letters, digits and underscores, got 'a b'"),
    ],
)
def test_bad_dynamic_outputs_are_told(items, message):
    with pytest.raises(dg.Error, match=message):
        _run(_returned(items, out=dg.DynamicOut()))


def test_metadata_of_outputs_is_told():
    @dg.op
    def made(context):
        context.add_output_metadata({"by_context": 1})
        yield dg.Output(1, metadata={"by_output": 2})

    (event,) = _run(made).filter_events(dg.EventType.STEP_OUTPUT)
    assert event.event_specific_data.metadata == {
        "by_context": dg.IntMetadataValue(1),
        "by_output": dg.IntMetadataValue(2),
    }


def test_a_failed_type_check_keeps_its_metadata():
    small = dg.Type(
        name="Small",
        type_check_fn=lambda _, value: dg.TypeCheck(
            success=value < 3, description="too large", metadata={"value": value}
        ),
    )
    result = _run(_returned(7, out=dg.Out(small)), raise_on_error=False)
    (event,) = result.filter_events(dg.EventType.STEP_OUTPUT)
    check = event.event_specific_data.type_check_data
    assert (check.success, check.metadata) == (False, {"value": dg.IntMetadataValue(7)})
    failure = result.failure_data_for_node("made")
    assert "too large" in failure.message
    assert failure.metadata == {"value": dg.IntMetadataValue(7)}
