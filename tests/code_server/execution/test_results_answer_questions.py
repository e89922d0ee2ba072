"""What users ask of a run that has ended, of its events, and of loggers inside it."""

import logging

import pytest

import atoll as dg


@dg.op
def good() -> int:
    dg.get_logger("mine").info("inside %s", "good")
    return 1


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def bad(number: int) -> int:
    raise ValueError(number)


@dg.op
def never(number: int) -> int:
    return number


@dg.job
def failing():
    never(bad(good()))


@pytest.fixture(scope="module")
def failed():
    return failing.execute_in_process(raise_on_error=False)


def test_steps_are_told_apart_by_what_became_of_them(failed):
    assert failed.is_node_success("good")
    assert not failed.is_node_failed("good")
    assert failed.is_node_failed("bad")
    assert not failed.is_node_success("bad")
    assert failed.is_node_untouched("nope")
    assert not failed.is_node_skipped("good")
    assert failed.retry_attempts_for_node("bad") == 1
    assert [one.step_key for one in failed.get_step_success_events()] == ["good"]
    assert [one.step_key for one in failed.get_step_failure_events()] == ["bad"]


def test_the_end_of_the_run_is_an_event(failed):
    assert failed.get_run_failure_event().is_job_failure
    assert failed.get_run_failure_event().is_job_event
    with pytest.raises(dg.InvariantViolationError, match=r"no event RUN_SUCCESS.*FAILURE"):
        failed.get_run_success_event()


def test_events_are_chosen_by_a_function_or_by_their_type(failed):
    by_function = failed.filter_events(lambda event: event.is_step_failure)
    assert by_function == failed.filter_events(dg.EventType.STEP_FAILURE)
    assert {one.node_name for one in failed.all_node_events} >= {"good", "bad"}


def test_an_event_gives_what_its_kind_carries(failed):
    (event,) = failed.get_step_failure_events()
    assert event.step_failure_data.failure.type == "ValueError"
    with pytest.raises(dg.InvariantViolationError, match="STEP_SUCCESS; this one is STEP_FAILURE"):
        event.step_success_data  # noqa: B018


def test_a_logger_without_a_context_logs_into_the_step_that_runs(failed):
    assert "inside good" in [one.message for one in failed.all_log_messages]


def test_a_logger_outside_steps_logs_where_the_process_does(caplog):
    with caplog.at_level(logging.INFO):
        dg.get_logger("mine").info("outside")
        dg.get_logger("mine").debug("too quiet")
    assert [one.message for one in caplog.records] == ["outside"]


def test_checks_and_expectations_are_among_the_answers():
    @dg.asset(check_specs=[dg.AssetCheckSpec("some", asset="checked")])
    def checked():
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    @dg.op
    def expects(context):
        context.log_event(dg.ExpectationResult(success=True, label="l"))

    @dg.job
    def expecting():
        expects()

    (evaluation,) = dg.materialize([checked]).get_asset_check_evaluations()
    assert evaluation.check_name == "some"
    assert evaluation.passed
    (held,) = expecting.execute_in_process().expectation_results_for_node("expects")
    assert held.label == "l"


def test_a_hook_is_called_directly_with_a_context_that_a_test_made():
    told = []

    @dg.failure_hook(required_resource_keys={"channel"})
    def tell(context):
        told.append((context.resources.channel, context.step_key, str(context.op_exception)))

    context = dg.build_hook_context({"channel": "#data"}, bad, op_exception=ValueError("no rows"))
    tell(context)
    assert told == [("#data", "bad", "no rows")]
    assert context.required_resource_keys == {"channel"}
    with pytest.raises(dg.InvalidInvocationError, match="belongs to no hook"):
        context.hook_def  # noqa: B018


def test_values_of_several_assets_are_loaded_with_one_loader(tmp_path):
    @dg.asset
    def a() -> int:
        return 1

    @dg.asset
    def b() -> int:
        return 2

    defs = dg.Definitions(
        assets=[a, b], resources={"io_manager": dg.FilesystemIOManager(str(tmp_path))}
    )
    instance = dg.Instance.ephemeral()
    assert dg.materialize([a, b], instance=instance, resources=defs.resources).success
    with defs.get_asset_value_loader(instance) as loader:
        assert [loader.load_asset_value(key) for key in ("a", "b")] == [1, 2]
