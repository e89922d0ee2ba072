"""Tells whether events that were read already are among those of a query. Pure.

Called by the host, which reads the end of the log once for many who follow it. What it says is what
the statements of `event_log` say for the conditions that an event itself answers; a test compares
the two.
"""

import dataclasses

from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys, event_rows, records

_ANSWERED = frozenset({"run_id", "location_name", "asset_key", "kinds", "partitions", "step_key"})
_NOTHING = records.EventQuery()


def answers(query: records.EventQuery) -> bool:
    """Return whether an event alone tells if it is among those of a query."""
    return all(
        field.name in _ANSWERED or getattr(query, field.name) == getattr(_NOTHING, field.name)
        for field in dataclasses.fields(query)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """An event, and what queries ask of it.

    Attributes:
        stored: The event.
        kind: The name of its body; empty for none that is known here.
        asset_key: The asset that it speaks of, as it is stored; None for none.
        partition: The partition that it speaks of; None where its kind speaks of none.
        size: How many bytes it takes on the wire.
    """

    stored: events_pb2.StoredEvent
    kind: str
    asset_key: str | None
    partition: str | None
    size: int

    @classmethod
    def of(cls, stored: events_pb2.StoredEvent) -> "Known":
        """Look at an event, once for all who ask."""
        kind = stored.event.WhichOneof("body") or ""
        asset_key = partition = None
        if kind in event_rows.WITH_ASSET:
            path = getattr(stored.event, kind).asset_key.path
            asset_key = asset_keys.encode(path) if path else None
        if kind in event_rows.WITH_PARTITION:
            partition = getattr(stored.event, kind).partition
        return cls(stored, kind, asset_key, partition, stored.ByteSize())

    def is_of(self, query: records.EventQuery) -> bool:
        """Return whether it is among those of a query that it answers alone."""
        event = self.stored.event
        return (
            (query.run_id is None or event.run_id == query.run_id)
            and (query.location_name is None or self.stored.location_name == query.location_name)
            and (query.step_key is None or event.step_key == query.step_key)
            and (not query.kinds or self.kind in query.kinds)
            and (not query.partitions or self.partition in query.partitions)
            and (query.asset_key is None or self.asset_key == asset_keys.encode(query.asset_key))
        )
