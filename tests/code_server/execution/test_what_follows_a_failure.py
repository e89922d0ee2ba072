"""What comes after a failed step is not run, however far away and whatever it collects."""

import pytest

import atoll as dg


@dg.op(out=dg.DynamicOut(int), config_schema=int)
def numbers(context: dg.OpExecutionContext):
    if context.op_config < 0:
        raise ValueError("no numbers")
    for number in range(context.op_config):
        yield dg.DynamicOutput(number, mapping_key=f"n{number}")


@dg.op
def double(number: int) -> int:
    if number == 1:
        raise ValueError("not this one")
    return number * 2


@dg.op
def follow(value: int) -> int:
    return value


@dg.op
def gather(values: list[int]) -> list[int]:
    return values


@dg.op
def fail() -> int:
    raise ValueError("broken")


@dg.op
def succeed() -> int:
    return 1


@dg.op(out={"value": dg.Out(int, is_required=False)})
def give_nothing():
    yield from ()


@dg.job
def mapped():
    gather(numbers().map(double).collect())


@dg.job
def collected():
    gather(numbers().collect())


@dg.job
def far_away():
    gather([follow(follow(fail())), succeed()])


@dg.job
def by_design():
    gather([follow(give_nothing()), succeed()])


def _run(job, count=None):
    run_config = None if count is None else {"ops": {"numbers": {"config": count}}}
    return job.execute_in_process(run_config=run_config, raise_on_error=False)


def _skipped(result):
    return {event.step_key for event in result.filter_events(dg.EventType.STEP_SKIPPED)}


@pytest.mark.parametrize("job", [mapped, collected])
def test_nothing_is_collected_of_a_dynamic_output_that_failed(job):
    result = _run(job, count=-1)
    assert not result.success
    assert "gather" in _skipped(result)


@pytest.mark.parametrize("job", [mapped, collected])
def test_an_empty_dynamic_output_is_collected_as_an_empty_list(job):
    result = _run(job, count=0)
    assert result.success
    assert result.output_for_node("gather") == []


def test_one_failed_copy_leaves_out_what_collects_them():
    result = _run(mapped, count=3)
    assert not result.success
    assert result.get_failed_step_keys() == {"double[n1]"}
    assert "gather" in _skipped(result)


def test_a_failure_reaches_a_list_through_steps_between():
    result = _run(far_away)
    assert not result.success
    assert "gather" in _skipped(result)


def test_what_is_left_out_by_design_is_missing_from_a_list():
    result = _run(by_design)
    assert result.success
    assert result.output_for_node("gather") == [1]
