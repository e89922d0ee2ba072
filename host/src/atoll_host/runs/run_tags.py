"""The tags by which a run tells the host how to treat it, and what any tag may be. Pure.

Called by `requests`, which refuses a wrong value before the run is stored, and by `retrying` and
`watching`, which read the tags of stored runs and take a wrong value for none.
"""

import math
import re
from collections.abc import Callable, Mapping

from atoll_host import errors
from atoll_host.runs import run_settings

PRIORITY_TAG = "atoll/priority"
MAX_RETRIES_TAG = "atoll/max_retries"
RETRY_STRATEGY_TAG = "atoll/retry_strategy"
RETRY_ON_STEP_FAILURE_TAG = "atoll/retry_on_asset_or_op_failure"
RETRY_NUMBER_TAG = "atoll/retry_number"
MAX_RUNTIME_TAG = "atoll/max_runtime"
DID_RETRY_TAG = "atoll/did_retry"
RETRY_RUN_TAG = "atoll/auto_retry_run_id"

FROM_FAILURE = "FROM_FAILURE"
ALL_STEPS = "ALL_STEPS"
STRATEGIES = (FROM_FAILURE, ALL_STEPS)

TAGS_MAX = 1000
TAG_KEY_LENGTH_MAX = 256
TAG_VALUE_LENGTH_MAX = 65_536

_PRIORITY = re.compile(r"[+-]?[0-9]{1,9}")  # as storage reads it
_NUMBER = re.compile(r"[0-9]{1,9}")
_TRUTH = {"true": True, "false": False}


def priority(tags: Mapping[str, str]) -> int:
    """Return the priority of a run; 0 where it has none that is one."""
    text = tags.get(PRIORITY_TAG, "")
    return int(text) if _PRIORITY.fullmatch(text) else 0


def max_retries(tags: Mapping[str, str], default: int) -> int:
    """Return how often a run is run again."""
    text = tags.get(MAX_RETRIES_TAG, "")
    return min(int(text), run_settings.RETRIES_MAX) if _NUMBER.fullmatch(text) else default


def retry_number(tags: Mapping[str, str]) -> int:
    """Return how often the first of a row of runs was run again, this run included."""
    text = tags.get(RETRY_NUMBER_TAG, "")
    return int(text) if _NUMBER.fullmatch(text) else 0


def retry_strategy(tags: Mapping[str, str]) -> str:
    """Return what of a run runs again."""
    text = tags.get(RETRY_STRATEGY_TAG, "")
    return text if text in STRATEGIES else FROM_FAILURE


def retries_step_failures(tags: Mapping[str, str], *, default: bool) -> bool:
    """Return whether a run of which a step failed is run again."""
    return _TRUTH.get(tags.get(RETRY_ON_STEP_FAILURE_TAG, "").lower(), default)


def max_runtime_s(tags: Mapping[str, str], default: float | None) -> float | None:
    """Return how long a run may go on, None without limit."""
    seconds = _seconds(tags.get(MAX_RUNTIME_TAG, ""))
    return default if seconds is None else seconds


def check(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tags of a launch.

    Raises:
        errors.InvalidRequest: There are too many, one is malformed, or one that the host reads has
            a value that says nothing.
    """
    if len(tags) > TAGS_MAX:
        raise errors.InvalidRequest(
            f"The run has {len(tags)} tags; {TAGS_MAX} is the most.", field="tags"
        )
    for key, value in tags.items():
        _check_shape(key, value)
    _refuse_unless(tags, PRIORITY_TAG, _is_priority, "a whole number of up to 9 digits")
    _refuse_unless(
        tags, MAX_RETRIES_TAG, _is_retries, f"a whole number from 0 to {run_settings.RETRIES_MAX}"
    )
    _refuse_unless(
        tags, RETRY_STRATEGY_TAG, lambda text: text in STRATEGIES, " or ".join(STRATEGIES)
    )
    _refuse_unless(
        tags, RETRY_ON_STEP_FAILURE_TAG, lambda text: text.lower() in _TRUTH, "true or false"
    )
    _refuse_unless(
        tags, MAX_RUNTIME_TAG, lambda text: _seconds(text) is not None, "seconds, more than 0"
    )
    return tags


def check_text(field: str, text: str) -> None:
    """Refuse text that Postgres cannot store: better here than by a commit that never succeeds.

    Raises:
        errors.InvalidRequest: It holds a NUL.
    """
    if "\x00" in text:
        raise errors.InvalidRequest(
            f"{field} holds a NUL character: {text[:40]!r}. Leave it out.", field=field
        )


def _check_shape(key: str, value: str) -> None:
    check_text("tags", key)
    check_text("tags", value)
    if not 1 <= len(key) <= TAG_KEY_LENGTH_MAX:
        raise errors.InvalidRequest(
            f"The tag {key[:40]!r} has a key of {len(key)} characters; 1 to "
            f"{TAG_KEY_LENGTH_MAX} are allowed.",
            field="tags",
        )
    if len(value) > TAG_VALUE_LENGTH_MAX:
        raise errors.InvalidRequest(
            f"The value of tag {key!r} has {len(value)} characters; {TAG_VALUE_LENGTH_MAX} is "
            "the most.",
            field="tags",
        )


def _refuse_unless(
    tags: Mapping[str, str], key: str, fits: Callable[[str], bool], allowed: str
) -> None:
    if key in tags and not fits(tags[key]):
        raise errors.InvalidRequest(
            f"The tag {key!r} is {tags[key][:40]!r}. Give {allowed}, or leave it out.",
            field="tags",
        )


def _is_priority(text: str) -> bool:
    return _PRIORITY.fullmatch(text) is not None


def _is_retries(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and int(text) <= run_settings.RETRIES_MAX


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
