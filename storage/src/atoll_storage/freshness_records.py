"""The rows of freshness that storage takes and gives, as plain frozen data.

Called by the host's term of freshness and by `freshness_store`, as `records` is by everybody.
"""

import dataclasses
import datetime as dt

from atoll.events.v1 import events_pb2
from atoll_storage import records


@dataclasses.dataclass(frozen=True, slots=True)
class FreshnessRecord:
    """How fresh an asset is, as it was decided last. `version` is raised by each change."""

    path: records.AssetPath
    state: events_pb2.FreshnessState.ValueType
    version: int
    event_id: int
    change_time: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class FreshnessChange:
    """A new freshness state of an asset, and what it was decided on.

    Attributes:
        path: The asset.
        state: The new state.
        previous_state: The state before.
        expected_version: The version of the state before; 0 where there was none.
        materialization_id: The newest materialization; 0 where there was none, None where it did
            not matter.
        materialization_time: When that was made, by the clock of whoever made it.
    """

    path: records.AssetPath
    state: events_pb2.FreshnessState.ValueType
    previous_state: events_pb2.FreshnessState.ValueType
    expected_version: int
    materialization_id: int | None
    materialization_time: dt.datetime | None = None
