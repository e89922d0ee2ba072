"""For how long each kind of thing is kept: the section `retention` of the host's settings.

Read by `sweeping` and the API. Ages are written as people say them, such as "30d", "12h" or
"forever".
"""

import datetime as dt
import re
from typing import Annotated, Any

import pydantic

from atoll_storage import log_groups

FOREVER = "forever"
_TEXT = re.compile(r"\s*(\d+)\s*(h|d|w|y)\s*")
_UNITS = {
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
    "y": dt.timedelta(days=365),
}
_SHORTEST = dt.timedelta(hours=1)
_LONGEST = dt.timedelta(days=36500)


def _read(value: Any) -> Any:
    if value == FOREVER:
        return None
    if isinstance(value, dt.timedelta):
        return value
    found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('is no age. Write such as "12h", "30d", "8w", "1y" or "forever".')
    try:
        return int(found[1]) * _UNITS[found[2]]
    except OverflowError:
        return _LONGEST * 2


def _check(value: dt.timedelta | None) -> dt.timedelta | None:
    if value is not None and not _SHORTEST <= value <= _LONGEST:
        raise ValueError('is out of bounds: from "1h" to "100y", or "forever".')
    return value


Keep = Annotated[
    dt.timedelta | None, pydantic.BeforeValidator(_read), pydantic.AfterValidator(_check)
]
"""An age, None for ever."""


def _days(days: int, description: str) -> Any:
    return pydantic.Field(default=dt.timedelta(days=days), description=description)


class RetentionSettings(pydantic.BaseModel):
    """For how long each kind of thing is kept."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    log_messages: Keep = _days(30, "Messages that user code logged.")
    step_events: Keep = _days(90, "What steps, resources, hooks and IO managers did.")
    run_events: Keep = _days(365, "What runs as a whole did and what they planned.")
    asset_events: Keep = pydantic.Field(
        default=None, description="Materializations, observations and evaluations of checks."
    )
    other_events: Keep = _days(365, "Everything else in the log: locations, freshness, the host.")
    output: Keep = _days(90, "Captured output of steps, from the end of their run on.")
    runs: Keep = _days(365, "Runs, from their end on.")
    ticks_success: Keep = _days(90, "Ticks that requested something, but the newest.")
    ticks_skipped: Keep = _days(7, "Ticks that requested nothing, but the newest.")
    ticks_failure: Keep = _days(90, "Ticks that failed, but the newest.")
    backfills: Keep = _days(365, "Backfills, from their end on.")
    alerts: Keep = _days(90, "Alerts and their deliveries.")
    audit: Keep = _days(730, "Entries of the audit log.")
    tokens: Keep = _days(365, "Tokens, from when they expired or were revoked on.")
    deliveries: Keep = _days(30, "Deliveries of subscriptions, from their end on.")
    servers: Keep = _days(30, "Code servers that are gone and were replaced.")
    snapshots: Keep = _days(30, "Definitions that no code server serves any more.")
    requests: Keep = _days(1, "Answers to changes, for callers that repeat them.")
    sweep_every_s: float = pydantic.Field(
        default=3600.0, ge=1.0, le=7 * 86_400.0, description="How long to rest between two sweeps."
    )

    def ages(self) -> dict[str, dt.timedelta | None]:
        """Return the age of each subject, None for ever."""
        return {name: getattr(self, name) for name in SUBJECTS}

    def ages_of_events(self) -> dict[str, dt.timedelta | None]:
        """Return the age of each group of events, None for ever."""
        return {name: getattr(self, name) for name in log_groups.NAMES}


SUBJECTS = {
    name: str(field.description)
    for name, field in RetentionSettings.model_fields.items()
    if name != "sweep_every_s"
}
"""What belongs to each subject, by its name."""
