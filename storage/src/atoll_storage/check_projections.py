"""What is known of asset checks without reading the log: kept in the transaction of the events.

Called by `log_writer`, for every event that it stores. The table `check_state` has the newest
evaluation of each check, and of each partition of it; it survives pruning.
"""

import datetime as dt
from collections.abc import Sequence

from atoll.events.v1 import events_pb2
from atoll_storage import connections, event_rows

# Evaluations of checks come by the dozen at the most: a statement each would cost as much.
_SET_CHECK_STATES = b"""
INSERT INTO check_state AS state (asset_key, check_name, partition, evaluation_id, location_name,
payload, stored_time)
SELECT asset_key, check_name, partition, id, location_name, payload, %s FROM unnest(%s::text[],
%s::text[], %s::text[], %s::bigint[], %s::text[], %b::bytea[])
AS new (asset_key, check_name, partition, id, location_name, payload)
ON CONFLICT (asset_key, check_name, partition) DO UPDATE SET
    evaluation_id = excluded.evaluation_id, location_name = excluded.location_name,
    stored_time = excluded.stored_time, payload = excluded.payload
"""

Change = tuple[connections.Statement, Sequence[object]]


class CheckProjections:
    """What the events of one transaction say of asset checks."""

    def __init__(self) -> None:
        self._evaluated: dict[tuple[str, str, str], tuple[int, str, bytes]] = {}

    def add(
        self, event_id: int, event: events_pb2.Event, location_name: str, payload: bytes
    ) -> None:
        """Take an event into account; later ones have higher ids."""
        if not event.HasField("asset_check_evaluation"):
            return
        told = event.asset_check_evaluation
        if told.asset_key.path:
            key = event_rows.check_state_key(told)
            self._evaluated[key] = (event_id, location_name, payload)

    def changes(self, now: dt.datetime) -> list[Change]:
        """Return the statements that bring the table up to date, and their parameters."""
        if not self._evaluated:
            return []
        rows = [(*key, *self._evaluated[key]) for key in sorted(self._evaluated)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return [(_SET_CHECK_STATES, [now, *columns])]
