"""What a schedule says of times that are not as they should be: daylight saving, and missed ticks.

Called by schedule definitions, which check it, and by whoever describes a location. What follows
from it is decided by the host.
"""

from typing import Any, Literal, TypeAlias, get_args

from atoll import _records as records
from atoll import errors

SkippedTimes: TypeAlias = Literal["shift", "skip"]
RepeatedTimes: TypeAlias = Literal["first", "last", "both"]

CATCHUP_RUNS_MAX = 1000
TICK_RETRIES_MAX = 100


class SchedulePolicies(records.Record):
    """What a schedule says of times that are not as they should be.

    Attributes:
        skipped_times: What becomes of a time of the day that daylight saving skips.
        repeated_times: What becomes of one that it repeats.
        max_catchup_runs: How many missed ticks are made up for; None leaves it to the host.
        max_tick_retries: How often a failed tick is tried again; None leaves it to the host.
    """

    skipped_times: SkippedTimes = "shift"
    repeated_times: RepeatedTimes = "first"
    max_catchup_runs: int | None = None
    max_tick_retries: int | None = None


def checked(name: str, given: SchedulePolicies) -> SchedulePolicies:
    """Return policies that can be.

    Args:
        name: The schedule, for errors.
        given: What the user gave.

    Raises:
        InvalidDefinitionError: One of them cannot be.
    """
    _check_word(name, "skipped_times", given.skipped_times, get_args(SkippedTimes))
    _check_word(name, "repeated_times", given.repeated_times, get_args(RepeatedTimes))
    _check_number(name, "max_catchup_runs", given.max_catchup_runs, CATCHUP_RUNS_MAX)
    _check_number(name, "max_tick_retries", given.max_tick_retries, TICK_RETRIES_MAX)
    return given


def _check_word(name: str, what: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        words = ", ".join(repr(one) for one in allowed)
        raise errors.InvalidDefinitionError(
            f"The {what} of the schedule {name!r} is {value!r}. Give one of {words}."
        )


def _check_number(name: str, what: str, value: Any, most: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise errors.InvalidDefinitionError(
            f"The {what} of the schedule {name!r} is {value!r}. Give a number from 0 to {most}, or "
            "leave it out for what the host says."
        )
