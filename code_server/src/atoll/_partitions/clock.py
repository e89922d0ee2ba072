"""The time, for callers that do not say which.

Called where a partition is asked for without `current_time`: the only wall clock of this package.
"""

import datetime as dt
import time


def now() -> dt.datetime:
    """Return the current time, in UTC."""
    return dt.datetime.fromtimestamp(time.time(), dt.timezone.utc)
