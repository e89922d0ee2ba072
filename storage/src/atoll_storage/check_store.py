"""Evaluations of asset checks: the newest of each check, and all that the log still has.

Called by the host's API and by its answers to user code. Evaluations are written by `log_writer`,
in the transaction of their events. What must not come in: deciding what an evaluation means.
"""

from collections.abc import Sequence

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys, connections, event_rows, schema

CheckKey = tuple[tuple[str, ...], str]
"""The path of an asset's key, and the name of the check."""

_LAST_ID = 2**63 - 1
_STATE = "state.evaluation_id, state.payload, state.location_name, state.stored_time"
_KEYS = "unnest(%s::text[], %s::text[]) AS asked (asset_key, check_name)"
_LATEST = f"""
SELECT {_STATE} FROM {_KEYS} CROSS JOIN LATERAL (
    SELECT * FROM check_state WHERE check_state.asset_key = asked.asset_key
    AND check_state.check_name = asked.check_name ORDER BY evaluation_id DESC LIMIT 1
) AS state ORDER BY state.asset_key, state.check_name
"""  # noqa: S608 - put together from constants
_LATEST_OF_PARTITION = f"""
SELECT {_STATE} FROM {_KEYS} JOIN check_state AS state USING (asset_key, check_name)
WHERE state.partition = %s ORDER BY state.asset_key, state.check_name
"""  # noqa: S608
# The kind is spelled with a constant, as in the index, so that every plan can use it.
_LIST = f"""
SELECT id, payload, location_name, stored_time FROM events
WHERE kind = {schema.KIND_CHECK_EVALUATION} AND asset_key = %s AND check_name = %s AND id < %s
AND (%s::text[] IS NULL OR coalesce(partition, '') = ANY(%s::text[])) ORDER BY id DESC LIMIT %s
"""  # noqa: S608


class CheckStore:
    """What checks of assets found."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def latest_check_evaluations(
        self, keys: Sequence[CheckKey], *, partition: str | None = None
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest evaluation of each check that ever had one, even if pruned.

        Args:
            keys: The checks.
            partition: Only evaluations of this partition, empty for those without; None means the
                newest of whatever partition.
        """
        parameters: list[object] = [
            [_column(asset_keys.encode(path)) for path, _ in keys],
            [event_rows.indexed(name) for _, name in keys],
        ]
        statement = _LATEST
        if partition is not None:
            statement = _LATEST_OF_PARTITION
            parameters.append(event_rows.indexed(partition))
        rows = await connections.fetch(
            self._engine, "reading checks", statement.encode(), parameters
        )
        return [event_rows.stored_event(*row) for row in rows]

    async def list_check_evaluations(
        self,
        key: CheckKey,
        *,
        before_id: int = 0,
        limit: int = 100,
        partitions: Sequence[str] = (),
    ) -> tuple[list[events_pb2.StoredEvent], bool]:
        """Return stored evaluations of one check, newest first, and whether there are more.

        Args:
            key: The check.
            before_id: Only events before this id; 0 means no bound.
            limit: How many at the most.
            partitions: Only evaluations of these partitions, empty for those without; none given
                means all.
        """
        path, name = key
        wanted = [_column(partition) for partition in partitions] or None
        parameters: list[object] = [
            _column(asset_keys.encode(path)),
            event_rows.indexed(name),
            before_id or _LAST_ID,
            wanted,
            wanted,
            limit + 1,
        ]
        rows = await connections.fetch(
            self._engine, "reading evaluations of a check", _LIST.encode(), parameters
        )
        return [event_rows.stored_event(*row) for row in rows[:limit]], len(rows) > limit


def _column(text: str) -> str:
    return text.replace("\0", "\ufffd")
