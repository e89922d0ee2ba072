"""What the result of a run in this process answers."""

import pytest

import atoll as dg

T = dg.EventType


@dg.op
def one():
    return 1


@dg.op
def broken():
    raise ValueError("x")


@dg.op
def below(x):
    return x


@dg.job
def mixed():
    below(broken())
    one()


def test_a_result_tells_what_became_of_each_op():
    result = mixed.execute_in_process(raise_on_error=False)
    assert not result.success
    assert (result.is_node_success("one"), result.is_node_failed("broken")) == (True, True)
    assert (result.is_node_skipped("below"), result.is_node_untouched("other")) == (True, True)
    assert [event.step_key for event in result.get_step_success_events()] == ["one"]
    assert [event.step_key for event in result.get_step_failure_events()] == ["broken"]
    assert {event.step_key for event in result.all_node_events} == {"one", "broken", "below"}
    assert result.failure_data_for_node("broken").message == "x"
    assert result.get_run_failure_event().event_type is T.RUN_FAILURE
    with pytest.raises(dg.InvariantViolationError, match="no event RUN_SUCCESS"):
        result.get_run_success_event()


def test_events_are_chosen_by_type_or_by_a_function():
    result = mixed.execute_in_process(raise_on_error=False)
    by_function = result.filter_events(lambda event: event.event_type is T.STEP_START)
    assert by_function == result.filter_events(T.STEP_START)
    assert {event.step_key for event in by_function} == {"one", "broken"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (("one", "other"), "'one' gave no output 'other' in this run. It gave result."),
        (("none_such",), "'none_such' gave no output 'result' in this run. It gave nothing."),
    ],
)
def test_what_was_not_given_is_told_with_what_was(place, message):
    result = mixed.execute_in_process(raise_on_error=False)
    with pytest.raises(dg.StepOutputNotFoundError) as caught:
        result.output_for_node(*place)
    assert str(caught.value) == message
    with pytest.raises(dg.StepOutputNotFoundError, match="it has none"):
        result.output_value()


def test_planned_materializations_and_checks_are_told():
    @dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="made")])
    def made():
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    result = dg.materialize([made])
    (planned,) = result.get_asset_materialization_planned_events()
    (check,) = result.get_asset_check_evaluations()
    assert (planned.asset_key, check.check_name, check.passed) == (made.key, "fine", True)
