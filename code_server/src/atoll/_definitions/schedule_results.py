"""What one evaluation of a schedule comes to.

Called by schedule definitions. Turns whatever a function returned or yielded into run requests or a
reason to skip, or says why it makes no sense.
"""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import run_config as run_configs
from atoll._definitions import run_requests

EMPTY_RESULT_MESSAGE = "Schedule function returned an empty result"
_DECISIONS = (run_requests.RunRequest, run_requests.SkipReason)
SINGLE = (*_DECISIONS, run_configs.RunConfig, Mapping)
"""What is one answer of a schedule's function."""


@contextlib.contextmanager
def user_code(schedule_name: str) -> Generator[None, None, None]:
    """Turn what a function of a schedule raises into a `UserCodeExecutionError`."""
    try:
        yield
    except (errors.UnknownResourceError, errors.InvalidDefinitionError):
        # Found by Atoll before the function was called, or told by Atoll to the function.
        raise
    except Exception as error:
        raise errors.UserCodeExecutionError(
            f"The schedule {schedule_name!r} raised {type(error).__name__}: {error}"
        ) from error


def collected(
    schedule_name: str, items: Sequence[Any], tags: Mapping[str, str]
) -> Sequence[run_requests.RunRequest] | run_requests.SkipReason:
    """Return the runs that a schedule asks for, or why it asks for none.

    Args:
        schedule_name: The schedule, for errors.
        items: What its function returned or yielded.
        tags: Labels of all runs of the schedule; those of a request come before them.

    Raises:
        InvariantViolationError: The combination makes no sense.
    """
    whose = f"The schedule {schedule_name!r}"
    decided = [_decision(whose, item) for item in items]
    requests = [one for one in decided if isinstance(one, run_requests.RunRequest)]
    skips = [one for one in decided if isinstance(one, run_requests.SkipReason)]
    if requests and skips:
        raise errors.InvariantViolationError(
            f"{whose} gave both RunRequest and SkipReason. Give one or the other."
        )
    if len(skips) > 1:
        raise errors.InvariantViolationError(f"{whose} gave {len(skips)} skip reasons. Give one.")
    if not requests:
        message = skips[0].skip_message if skips else None
        return run_requests.SkipReason(message or EMPTY_RESULT_MESSAGE)
    _check_run_keys(whose, requests)
    return [one.with_replaced_attrs(tags={**tags, **one.tags}) for one in requests]


def _decision(whose: str, item: Any) -> run_requests.RunRequest | run_requests.SkipReason:
    if isinstance(item, _DECISIONS):
        return item
    if isinstance(item, (run_configs.RunConfig, Mapping)):
        return run_requests.RunRequest(run_config=item)  # pyright: ignore[reportUnknownArgumentType]
    raise errors.InvariantViolationError(
        f"{whose} gave {item!r} of type {type(item).__name__}. Give RunRequest, a list of "
        "RunRequests, SkipReason, RunConfig, a dict of run configuration, or None."
    )


def _check_run_keys(whose: str, requests: Sequence[run_requests.RunRequest]) -> None:
    """Check that several requests of a tick can be told apart when the tick is repeated."""
    if len(requests) == 1:
        return
    run_keys = [one.run_key for one in requests]
    if None in run_keys:
        raise errors.InvariantViolationError(
            f"{whose} gave {len(requests)} run requests, of which {run_keys.count(None)} have no "
            "run_key. Give each its own, so that none is made twice when the tick is repeated."
        )
    twice = sorted({str(key) for key in run_keys if run_keys.count(key) > 1})
    if twice:
        raise errors.InvariantViolationError(
            f"{whose} gave several run requests with the run_key {', '.join(map(repr, twice))}. "
            "Only one run would be made of them; give each its own."
        )
