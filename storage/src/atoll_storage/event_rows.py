"""Events as rows of the log: the encoding for binary COPY, single rows, and the way back.

Called by `log_writer` for every event that comes in, so it is written for speed: rows of a COPY are
packed here, since passing twelve values a row through the driver costs more than Postgres takes to
store them. Both ways store the same. Nothing that a producer writes into an event may make the row
unacceptable to Postgres: what does not fit a column is made to fit there, the payload keeps the
truth.
"""

import datetime as dt
import hashlib
import struct

from psycopg.types import numeric

from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys

COLUMNS = (
    "id, stored_time, timestamp, seq, kind, run_id, location_name, asset_key, partition, "
    "check_name, step_key, payload"
)
COPY_STATEMENT = f"COPY events ({COLUMNS}) FROM STDIN (FORMAT BINARY)"
INSERT_STATEMENT = """
INSERT INTO events (id, timestamp, seq, kind, run_id, location_name, asset_key, partition,
check_name, step_key, payload, stored_time)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %b, %s)
"""
"""Stores the row that `values` gives, followed by the stored time."""
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
COPY_TRAILER = struct.pack(">h", -1)

KIND_NUMBERS = {
    field.name: field.number for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields
}
"""The field number of each body; 0 stands for an event without one."""

INDEXED_BYTES_MAX = 512
"""Several columns of an index must fit a third of a page together."""

_POSTGRES_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_POSTGRES_EPOCH_S = 946684800
_FIRST_S, _LAST_S = -62135596800, 253402300799  # the years 1 to 9999
_WITH_CHECK = frozenset({"asset_check_evaluation_planned", "asset_check_evaluation"})
WITH_PARTITION = _WITH_CHECK | {
    "asset_materialization_planned",
    "asset_materialization",
    "asset_observation",
    "asset_failed_to_materialize",
}
"""The kinds that speak of a partition of an asset."""
WITH_ASSET = WITH_PARTITION | {"loaded_input", "freshness_state_change"}
"""The kinds that speak of one asset."""

_FIXED = struct.Struct(">hiqiqiqiqih")
_FIXED_WITHOUT_TIMESTAMP = struct.Struct(">hiqiqiiqih")
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_FIELDS = 12


def _text(value: str) -> bytes:
    """Encode a text for a column; an empty one is NULL. Postgres has no NUL characters in texts."""
    if not value:
        return _NULL
    data = value.replace("\0", "\ufffd").encode()
    return _LENGTH.pack(len(data)) + data


def _name(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


def _cleaned(value: str) -> str | None:
    return value.replace("\0", "\ufffd") or None


def indexed(value: str) -> str:
    """Return a text as columns of an index hold it: a long one as its digest."""
    text = value.replace("\0", "\ufffd")
    data = text.encode()
    if len(data) <= INDEXED_BYTES_MAX:
        return text
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def values(
    event_id: int, event: events_pb2.Event, location_name: str, payload: bytes
) -> tuple[object, ...]:
    """Return the row of one event for `INSERT_STATEMENT`. `payload` is the encoded event."""
    kind = event.WhichOneof("body")
    asset_key = partition = check_name = None
    if kind in WITH_ASSET:
        body = getattr(event, kind)
        if body.asset_key.path:
            asset_key = _cleaned(asset_keys.encode(body.asset_key.path))
        if kind in WITH_PARTITION:
            partition = _cleaned(body.partition)
        if kind in _WITH_CHECK:
            check_name = indexed(body.check_name) or None
    # Numbers of one type, whatever their size, so that one plan serves all.
    return (
        numeric.Int8(event_id),
        producer_time(event),
        numeric.Int8(event.seq),
        numeric.Int2(KIND_NUMBERS[kind] if kind else 0),
        _cleaned(event.run_id),
        location_name,
        asset_key,
        partition,
        check_name,
        _cleaned(event.step_key),
        payload,
    )


def check_state_key(told: events_pb2.AssetCheckEvaluation) -> tuple[str, str, str]:
    """Return what names a check and a partition in the table of the newest evaluations."""
    asset_key = asset_keys.encode(told.asset_key.path).replace("\0", "\ufffd")
    return asset_key, indexed(told.check_name), indexed(told.partition)


def microseconds(moment: dt.datetime) -> int:
    """Return a moment as Postgres counts it in binary."""
    return (moment - _POSTGRES_EPOCH) // dt.timedelta(microseconds=1)


def producer_time(event: events_pb2.Event) -> dt.datetime | None:
    """Return the time that the producer gave, None when it gave none or nonsense."""
    stamp = event.timestamp
    if not (stamp.seconds or stamp.nanos) or not _FIRST_S <= stamp.seconds < _LAST_S:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(
        seconds=stamp.seconds, microseconds=min(max(stamp.nanos, 0), 999_999_999) // 1000
    )


class RowEncoder:
    """Encodes rows of one transaction, in which all are stored at the same time."""

    def __init__(self, stored_time: dt.datetime) -> None:
        self._stored_us = microseconds(stored_time)
        # The run and the location are the same for hundreds of rows in a row.
        self._owners: dict[tuple[str, str], bytes] = {}

    def encode(
        self, event_id: int, event: events_pb2.Event, location_name: str, payload: bytes
    ) -> bytes:
        """Return the row of an event. `payload` is the encoded event."""
        run_id, kind = event.run_id, event.WhichOneof("body")
        owner = self._owners.get((run_id, location_name))
        if owner is None:
            owner = self._owners[run_id, location_name] = _text(run_id) + _name(location_name)
        asset_key = partition = check_name = _NULL
        if kind in WITH_ASSET:
            body = getattr(event, kind)
            if body.asset_key.path:
                asset_key = _text(asset_keys.encode(body.asset_key.path))
            if kind in WITH_PARTITION:
                partition = _text(body.partition)
            if kind in _WITH_CHECK:
                check_name = _text(indexed(body.check_name))
        return b"".join(
            (
                self._fixed(event_id, event, KIND_NUMBERS[kind] if kind else 0),
                owner,
                asset_key,
                partition,
                check_name,
                _text(event.step_key),
                _LENGTH.pack(len(payload)),
                payload,
            )
        )

    def _fixed(self, event_id: int, event: events_pb2.Event, kind: int) -> bytes:
        stamp = event.timestamp
        seconds, nanos = stamp.seconds, stamp.nanos
        if not (seconds or nanos) or not _FIRST_S <= seconds < _LAST_S:
            return _FIXED_WITHOUT_TIMESTAMP.pack(
                _FIELDS, 8, event_id, 8, self._stored_us, -1, 8, event.seq, 2, kind
            )
        us = (seconds - _POSTGRES_EPOCH_S) * 1_000_000 + min(max(nanos, 0), 999_999_999) // 1000
        return _FIXED.pack(_FIELDS, 8, event_id, 8, self._stored_us, 8, us, 8, event.seq, 2, kind)


def stored_event(
    event_id: int, payload: bytes, location_name: str, stored_time: dt.datetime
) -> events_pb2.StoredEvent:
    """Build the message of a row."""
    stored = events_pb2.StoredEvent(id=event_id, location_name=location_name)
    stored.event.MergeFromString(payload)
    stored.stored_time.FromDatetime(stored_time)
    return stored
