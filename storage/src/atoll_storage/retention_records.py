"""The rows of retention that storage gives, as plain frozen data.

Called by the host's retention and by `retention_store`, as `records` is by everybody.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class LogFacts:
    """How far the log reaches, and what was taken out of it.

    Attributes:
        head: The id of the newest event.
        first_id: The smallest id that a partition exists for.
        partition_size: How many ids a partition holds.
        thinned: Up to which id the events of each group were taken out one by one.
        followed_through: How far the slowest follower is that keeps its position in storage; None
            where there is none.
        now: The time of the database.
    """

    head: int
    first_id: int
    partition_size: int
    thinned: Mapping[str, int]
    followed_through: int | None
    now: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that ended. `has_run_key`: a sensor that is still known asked for it under a key."""

    run_id: str
    end_time: dt.datetime
    has_run_key: bool
