"""The event log: appending, reading and pruning.

Called by the host's intake, dispatcher and watches. What is appended goes through `appending` (code
servers) or `log_writer` (the host itself). What must not come in: deciding what events mean.
"""

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import (
    appending,
    asset_keys,
    connections,
    errors,
    event_rows,
    log_writer,
    partitions,
    records,
    schema,
)

_EVENTS = schema.events.c
_LOG = schema.log_head.c
_STATE = schema.asset_state.c
_STORED = (_EVENTS.id, _EVENTS.payload, _EVENTS.location_name, _EVENTS.stored_time)
_LATEST = (_STATE.materialization_id, _STATE.payload, _STATE.location_name, _STATE.stored_time)
_KINDS = {
    "materialization": schema.KIND_MATERIALIZATION,
    "observation": schema.KIND_OBSERVATION,
}


class EventLog:
    """The one log of everything that happened; the order of ids is the order of commits.

    A reader that has seen an id has seen, or could have seen, every smaller one: `id > cursor`
    skips nothing.
    """

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine
        self._appender = appending.Appender(engine)

    async def close(self) -> None:
        """Wait for the appends under way."""
        await self._appender.close()

    async def append(self, batches: Sequence[records.EventBatch]) -> list[records.BatchOutcome]:
        """Store events of code servers exactly once; the outcomes are in the order of the batches.

        Repeats are dropped; a gap in the seq of a run ends what is accepted of that run. Concurrent
        calls share a transaction. When it raises, nothing may be taken as stored: send again.

        Raises:
            StorageUnavailable: Nothing is known of what was stored.
        """
        return await self._appender.append(batches)

    async def append_host_events(
        self, events: Sequence[events_pb2.Event], location_name: str = ""
    ) -> None:
        """Store events that the host itself writes."""
        async with connections.transaction(
            self._engine, "storing events of the host"
        ) as connection:
            writer = await log_writer.open_writer(connection)
            writer.add_all(events, location_name)
            await writer.write()

    async def head(self) -> int:
        """Return the id of the newest event, 0 when there never was one."""
        async with connections.transaction(self._engine, "reading the log") as connection:
            return await connection.scalar(sa.select(_LOG.head)) or 0

    async def oldest(self) -> int:
        """Return the smallest id that is still stored, 0 when there is none."""
        statement = sa.select(_EVENTS.id).order_by(_EVENTS.id).limit(1)
        async with connections.transaction(self._engine, "reading the log") as connection:
            return await connection.scalar(statement) or 0

    async def read(
        self, after_id: int, *, limit: int, query: records.EventQuery | None = None
    ) -> list[events_pb2.StoredEvent]:
        """Return the next matching events after `after_id`, ascending.

        Raises:
            Compacted: Some of them were pruned.
        """
        statement = sa.select(*_STORED).where(_EVENTS.id > after_id, *_conditions(query))
        statement = statement.order_by(_EVENTS.id).limit(limit)
        rows = await self._read_unpruned(after_id, statement)
        return [event_rows.stored_event(*row) for row in rows]

    async def materializations_after(
        self, after_id: int, *, limit: int
    ) -> tuple[list[tuple[int, tuple[str, ...]]], int]:
        """Return (event id, asset key) of the next materializations, and how far it looked.

        Going on after the second value neither misses nor repeats one.

        Raises:
            Compacted: Some of them were pruned.
        """
        # Read first: whatever it holds is visible to the statement after it.
        head = await self.head()
        # The payload of long keys only, which their column holds as a digest.
        payload = sa.case((_EVENTS.asset_key.like("sha256:%"), _EVENTS.payload), else_=None)
        statement = (
            sa.select(_EVENTS.id, _EVENTS.asset_key, payload)
            .where(_EVENTS.id > after_id, _EVENTS.id <= head, _is_materialization())
            .where(_EVENTS.asset_key.is_not(None))
            .order_by(_EVENTS.id)
            .limit(limit)
        )
        rows = await self._read_unpruned(after_id, statement)
        found = [(row[0], _path_of(row[1], row[2])) for row in rows]
        return found, found[-1][0] if len(found) == limit else max(head, after_id)

    async def next_materialization(
        self, asset_key: tuple[str, ...], after_id: int
    ) -> events_pb2.StoredEvent | None:
        """Return the oldest stored materialization of the asset after `after_id`."""
        events, _ = await self.list_asset_events(
            asset_key, kind="materialization", after_id=after_id, ascending=True, limit=1
        )
        return events[0] if events else None

    async def newest_materialization_after(
        self, asset_key: tuple[str, ...], after_id: int
    ) -> events_pb2.StoredEvent | None:
        """Return the newest materialization of the asset if it is after `after_id`."""
        for event in await self.latest_materializations([asset_key]):
            if event.id > after_id:
                return event
        return None

    async def list_asset_events(  # noqa: PLR0913 - the port has them
        self,
        asset_key: tuple[str, ...],
        *,
        kind: Literal["materialization", "observation"],
        after_id: int = 0,
        before_id: int = 0,
        ascending: bool = False,
        limit: int = 100,
        partitions: Sequence[str] = (),
    ) -> tuple[list[events_pb2.StoredEvent], bool]:
        """Return stored events of one asset, and whether there are more in the same direction.

        Args:
            asset_key: The path of the asset's key.
            kind: Which events.
            after_id: Only events after this id.
            before_id: Only events before this id; 0 means no bound.
            ascending: Oldest first.
            limit: How many at the most.
            partitions: Only events of these partitions; empty means all.
        """
        statement = sa.select(*_STORED).where(
            _EVENTS.asset_key == asset_keys.encode(asset_key),
            _EVENTS.kind == _KINDS[kind],
            _EVENTS.id > after_id,
        )
        if before_id:
            statement = statement.where(_EVENTS.id < before_id)
        if partitions:
            statement = statement.where(_EVENTS.partition.in_(partitions))
        order = _EVENTS.id.asc() if ascending else _EVENTS.id.desc()
        async with connections.transaction(
            self._engine, "reading events of an asset"
        ) as connection:
            found = await connection.execute(statement.order_by(order).limit(limit + 1))
            rows: list[tuple[Any, ...]] = [tuple(row) for row in found]
        return [event_rows.stored_event(*row) for row in rows[:limit]], len(rows) > limit

    async def latest_materializations(
        self, asset_keys: Sequence[tuple[str, ...]]
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest materialization of each asset that ever had one, even if pruned."""
        statement = sa.select(*_LATEST).where(_STATE.asset_key.in_(_encoded(asset_keys)))
        async with connections.transaction(self._engine, "reading assets") as connection:
            rows: list[tuple[Any, ...]] = [
                tuple(row) for row in await connection.execute(statement)
            ]
        return [event_rows.stored_event(*row) for row in rows]

    async def ensure_partitions(self) -> None:
        """Create the partitions that the next events need. Appends do so by themselves too."""
        async with connections.transaction(self._engine, "making partitions") as connection:
            writer = await log_writer.open_writer(connection)
            await writer.ensure_partitions()

    async def prune(self, before_id: int) -> int:
        """Drop the partitions that hold only ids below `before_id`; return how many.

        What projections hold stays. The partition of the head stays too.
        """
        dropped = 0
        while True:
            async with connections.transaction(self._engine, "pruning the log") as connection:
                writer = await log_writer.open_writer(connection)
                await writer.ensure_partitions()
                if not await partitions.drop_oldest(
                    await connections.raw_of(connection), before_id
                ):
                    return dropped
            dropped += 1

    async def _read_unpruned(
        self, after_id: int, statement: sa.Executable
    ) -> list[tuple[Any, ...]]:
        """Run a statement that reads the log from `after_id` on; raise if some was pruned."""
        async with connections.transaction(self._engine, "reading the log") as connection:
            rows = [tuple(row) for row in await connection.execute(statement)]
            # Looked at afterwards: a partition may be dropped before the first statement sees the
            # log.
            pruned_through = await connection.scalar(sa.select(_LOG.pruned_through))
        if pruned_through and after_id < pruned_through:
            raise errors.Compacted(after_id, pruned_through + 1)
        return rows


def _is_materialization() -> sa.ColumnElement[bool]:
    """Spelled with a constant, as in the index, so that every plan can use it."""
    return _EVENTS.kind == sa.literal_column(str(schema.KIND_MATERIALIZATION))


def _encoded(keys: Sequence[tuple[str, ...]]) -> list[str]:
    return [asset_keys.encode(key) for key in keys]


def _path_of(asset_key: str, payload: bytes | None) -> tuple[str, ...]:
    path = asset_keys.decode(asset_key)
    if path is not None or payload is None:
        return path or ()
    return tuple(events_pb2.Event.FromString(payload).asset_materialization.asset_key.path)


def _conditions(query: records.EventQuery | None) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if query is None:
        return conditions
    if query.run_id is not None:
        conditions.append(_EVENTS.run_id == query.run_id)
    if query.location_name is not None:
        conditions.append(_EVENTS.location_name == query.location_name)
    if query.asset_key is not None:
        conditions.append(_EVENTS.asset_key == asset_keys.encode(query.asset_key))
    if query.kinds:
        numbers = [event_rows.KIND_NUMBERS.get(kind, -1) for kind in query.kinds]
        conditions.append(_EVENTS.kind.in_(numbers))
    return conditions
