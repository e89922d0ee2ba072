"""Tags by which runs tell the host how to treat them."""

import pytest

from atoll_host import errors
from atoll_host.runs import run_tags


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("atoll/priority", "high", "'high'. Give a whole number"),
        ("atoll/priority", "1.5", "'1.5'"),
        ("atoll/priority", "1" * 10, "up to 9 digits"),
        ("atoll/max_retries", "-1", "from 0 to 100"),
        ("atoll/max_retries", "101", "from 0 to 100"),
        ("atoll/retry_strategy", "SOME", "FROM_FAILURE or ALL_STEPS"),
        ("atoll/retry_on_asset_or_op_failure", "maybe", "true or false"),
        ("atoll/max_runtime", "0", "seconds, more than 0"),
        ("atoll/max_runtime", "nan", "seconds, more than 0"),
        ("k" * 257, "v", "257 characters"),
        ("k", "v\0", "NUL"),
    ],
)
def test_a_value_that_says_nothing_is_refused(key, value, words):
    with pytest.raises(errors.InvalidRequest, match=words):
        run_tags.check({key: value})


def test_good_values_are_read():
    tags = run_tags.check(
        {
            "atoll/priority": "-7",
            "atoll/max_retries": "3",
            "atoll/retry_strategy": "ALL_STEPS",
            "atoll/retry_on_asset_or_op_failure": "False",
            "atoll/max_runtime": "1.5",
            "atoll/retry_number": "2",
        }
    )
    assert run_tags.priority(tags) == -7
    assert run_tags.max_retries(tags, 0) == 3
    assert run_tags.retry_strategy(tags) == "ALL_STEPS"
    assert run_tags.retries_step_failures(tags, default=True) is False
    assert run_tags.max_runtime_s(tags, None) == 1.5
    assert run_tags.retry_number(tags) == 2


def test_what_is_stored_and_wrong_counts_as_absent():
    tags = dict.fromkeys(
        ("atoll/priority", "atoll/max_retries", "atoll/retry_strategy", "atoll/max_runtime"), "x"
    )
    assert run_tags.priority(tags) == 0
    assert run_tags.max_retries(tags, 4) == 4
    assert run_tags.retry_strategy(tags) == "FROM_FAILURE"
    assert run_tags.max_runtime_s(tags, 9.0) == 9.0
