"""Retry policies, requested retries, and failures that forbid them."""

import pytest

import atoll as dg

T = dg.EventType


def _job(op, **options):
    @dg.job(**options)
    def only():
        op()

    return only


def _failing(tries, **options):
    @dg.op(**options)
    def made(context):
        tries.append(context.retry_number)
        raise ValueError("broken")

    return made


def test_a_policy_tries_again_and_tells_of_it():
    tries = []

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
    def made(context):
        tries.append(context.retry_number)
        if len(tries) < 3:
            raise ValueError("broken")
        return "well"

    result = _job(made).execute_in_process()
    assert (result.output_for_node("made"), tries) == ("well", [0, 1, 2])
    assert result.retry_attempts_for_node("made") == 2
    told = [one.event_type for one in result.events_for_node("made")]
    assert told == [
        T.STEP_START,
        T.STEP_UP_FOR_RETRY,
        T.STEP_RESTARTED,
        T.STEP_UP_FOR_RETRY,
        T.STEP_RESTARTED,
        T.STEP_OUTPUT,
        T.STEP_SUCCESS,
    ]


def test_the_policy_of_a_call_comes_before_that_of_the_op_and_that_before_the_jobs():
    by_job, by_op, by_call = [], [], []
    one = _failing(by_job)
    two = _failing(by_op, name="two", retry_policy=dg.RetryPolicy(max_retries=2))
    three = _failing(by_call, name="three", retry_policy=dg.RetryPolicy(max_retries=2))

    @dg.job(op_retry_policy=dg.RetryPolicy(max_retries=1))
    def all_three():
        one()
        two()
        three.with_retry_policy(dg.RetryPolicy(max_retries=3))()

    all_three.execute_in_process(raise_on_error=False)
    assert (len(by_job), len(by_op), len(by_call)) == (2, 3, 4)


def test_a_retry_is_requested_and_its_cause_is_what_is_raised_in_the_end():
    tries = []

    @dg.op
    def made():
        tries.append(1)
        raise dg.RetryRequested(max_retries=2) from ValueError("inner")

    with pytest.raises(ValueError, match="inner"):
        _job(made).execute_in_process()
    assert len(tries) == 3


@pytest.mark.parametrize("error", [dg.Failure("never", allow_retries=False), None])
def test_failures_that_forbid_it_and_wrong_types_are_not_tried_again(error):
    tries = []

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=2))
    def made() -> int:
        tries.append(1)
        if error is not None:
            raise error
        return "text"

    assert not _job(made).execute_in_process(raise_on_error=False).success
    assert len(tries) == 1


def test_a_failure_brings_its_metadata():
    @dg.op
    def made():
        raise dg.Failure("bad rows", metadata={"rows": 3})

    failure = _job(made).execute_in_process(raise_on_error=False).failure_data_for_node("made")
    assert failure.metadata == {"rows": dg.IntMetadataValue(3)}
    with pytest.raises(dg.Failure, match="bad rows"):
        _job(made).execute_in_process()


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (None, [2, 2, 2]),
        (dg.Backoff.LINEAR, [2, 4, 6]),
        (dg.Backoff.EXPONENTIAL, [2, 6, 14]),
    ],
)
def test_delays_grow(backoff, delays):
    policy = dg.RetryPolicy(max_retries=3, delay=2, backoff=backoff)
    assert [policy.calculate_delay(number) for number in (1, 2, 3)] == delays


@pytest.mark.parametrize(
    ("jitter", "least", "most"), [(dg.Jitter.FULL, 0, 4), (dg.Jitter.PLUS_MINUS, 2, 6)]
)
def test_delays_are_spread(jitter, least, most):
    policy = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.LINEAR, jitter=jitter)
    found = {policy.calculate_delay(2) for _ in range(20)}
    assert len(found) > 1
    assert all(least <= one <= most for one in found)
