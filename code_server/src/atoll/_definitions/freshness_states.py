"""How fresh assets are, as data: the states, their changes, and what is stored of each asset.

Called by `events`, which carries changes, by the instance, which answers questions, and by users
who read either. What decides a state stands in the host.
"""

import datetime as dt
import enum

from atoll import _records as records
from atoll._definitions import keys


class FreshnessState(str, enum.Enum):
    """Whether an asset is as fresh as its policy asks."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class FreshnessStateChange(records.Record):
    """The freshness state of an asset changed.

    Attributes:
        key: The asset.
        new_state: The state from then on.
        previous_state: The state before, UNKNOWN where there was none.
        state_change_timestamp: When it was decided, in seconds since 1970.
        latest_materialization_timestamp: When the newest materialization was made that the state
            was decided by, None where there was none.
    """

    key: keys.AssetKey
    new_state: FreshnessState
    previous_state: FreshnessState = FreshnessState.UNKNOWN
    state_change_timestamp: float = 0.0
    latest_materialization_timestamp: float | None = None

    @property
    def asset_key(self) -> keys.AssetKey:
        """The asset."""
        return self.key


class FreshnessStateRecord(records.Record):
    """The freshness state of an asset, as it was decided last.

    Attributes:
        entity_key: The asset.
        freshness_state: The state.
        updated_at: When it was decided.
    """

    entity_key: keys.AssetKey
    freshness_state: FreshnessState
    updated_at: dt.datetime
