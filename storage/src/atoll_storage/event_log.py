"""The event log: appending, reading and pruning.

Called by the host's intake, dispatcher and watches. What is appended goes through `appending` (code
servers) or `log_writer` (the host itself). What must not come in: deciding what events mean.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    appending,
    asset_keys,
    connections,
    errors,
    event_rows,
    log_groups,
    log_positions,
    log_writer,
    partitions,
    records,
    request_rows,
    run_changes,
    schema,
)

_KINDS = {
    "materialization": schema.KIND_MATERIALIZATION,
    "observation": schema.KIND_OBSERVATION,
}
_LAST_ID = 2**63 - 1
RUN_CHANGES_PIECE = 500_000
"""So many ids are looked through at once for a change of a run."""

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_HEAD = "SELECT head FROM log_head"
_OLDEST = "SELECT id FROM events ORDER BY id LIMIT 1"
_PRUNED = """
SELECT greatest(pruned_through, (
    SELECT max(through_id) FROM log_thinned WHERE kind_group = ANY(%s)
)) FROM log_head
"""
_READ = "SELECT id, payload, location_name, stored_time FROM events WHERE "
# The payload of long keys only, which their column holds as a digest. The kind is spelled with a
# constant, as in the index, so that every plan can use it.
_MATERIALIZATIONS = (
    "SELECT id, asset_key, CASE WHEN asset_key LIKE 'sha256:%%' THEN payload END FROM events "
    f"WHERE id > %s AND kind = {schema.KIND_MATERIALIZATION} AND asset_key IS NOT NULL "
    "ORDER BY id LIMIT "
)
_OF_JOBS = "run_id IN (SELECT run_id FROM runs WHERE job_name = ANY(%s))"
_LATEST = (
    "SELECT materialization_id, payload, location_name, stored_time FROM asset_state "
    "WHERE asset_key = ANY(%s)"
)
_OBSERVED = (
    "SELECT found.* FROM unnest(%s::text[]) AS wanted (asset_key) CROSS JOIN LATERAL ("
    "SELECT id, payload, location_name, stored_time FROM events "
    f"WHERE asset_key = wanted.asset_key AND kind = {schema.KIND_OBSERVATION} "
    "ORDER BY id DESC LIMIT 1) AS found"
).encode()

_Condition = tuple[str, object]


class EventLog:
    """The one log of everything that happened; the order of ids is the order of commits.

    A reader that has seen an id has seen, or could have seen, every smaller one: `id > cursor`
    skips nothing.
    """

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer
        self._appender = appending.Appender(engine, announcer)

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
        async with connections.driver_connection(self._engine, "storing events of the host") as raw:
            writer = await log_writer.open_writer(raw)
            writer.add_all(events, location_name)
            await writer.commit(self._announcer)

    async def head(self) -> int:
        """Return the id of the newest event, 0 when there never was one."""
        return _number(await connections.fetch(self._engine, "reading the log", _HEAD))

    async def oldest(self) -> int:
        """Return the smallest id that is still stored, 0 when there is none."""
        return _number(await connections.fetch(self._engine, "reading the log", _OLDEST))

    async def read(
        self,
        after_id: int,
        *,
        limit: int,
        query: records.EventQuery | None = None,
        complete: bool = True,
    ) -> list[events_pb2.StoredEvent]:
        """Return the next matching events after `after_id`, ascending; as `follow` does.

        Raises:
            Compacted: Some of them were pruned.
        """
        events, _ = await self.follow(after_id, limit=limit, query=query, complete=complete)
        return events

    async def follow(
        self,
        after_id: int,
        *,
        limit: int,
        query: records.EventQuery | None = None,
        complete: bool = True,
    ) -> tuple[list[events_pb2.StoredEvent], int]:
        """Return the next matching events, ascending, and how far it looked.

        Going on after the second value neither misses nor repeats one.

        Args:
            after_id: Where to begin.
            limit: How many at the most.
            query: Which events.
            complete: Whether the reader has to see all that ever matched; otherwise it reads what
                is left.

        Raises:
            Compacted: Some of them were pruned, or taken out one by one where that matters.
        """
        conditions = [("id > %s", after_id), *_conditions(query)]
        order = f" ORDER BY id LIMIT {int(limit)}"
        kinds = [] if query is None else [event_rows.KIND_NUMBERS.get(k, -1) for k in query.kinds]
        groups = log_groups.groups_of(kinds) if complete else []
        statement = _select(_READ, conditions, order)
        rows, position = await self._follow(after_id, limit, statement, groups)
        return [event_rows.stored_event(*row) for row in rows], position

    async def materializations_after(
        self, after_id: int, *, limit: int
    ) -> tuple[list[tuple[int, tuple[str, ...]]], int]:
        """Return (event id, asset key) of the next materializations, and how far it looked.

        Going on after the second value neither misses nor repeats one.

        Raises:
            Compacted: Some of them were pruned.
        """
        statement = (f"{_MATERIALIZATIONS}{int(limit)}".encode(), [after_id])
        groups = [log_groups.ASSET_EVENTS]
        rows, position = await self._follow(after_id, limit, statement, groups)
        return [(row[0], _path_of(row[1], row[2])) for row in rows], position

    async def run_changes_after(
        self, after_id: int, *, limit: int
    ) -> tuple[list[tuple[int, records.RunChange]], int]:
        """Return (event id, change) of the next changes of runs, and how far it looked.

        Going on after the second value neither misses nor repeats one.

        Raises:
            Compacted: Some of them were pruned.
        """
        statement = run_changes.after(after_id, limit)
        groups = [log_groups.RUN_EVENTS]
        rows, position = await self._follow(after_id, limit, statement, groups)
        return [run_changes.of_row(row) for row in rows], position

    async def newest_run_changes(self) -> dict[records.RunStatus, int]:
        """Return the id of the newest stored event of each status that runs reached."""
        statement = run_changes.newest()
        rows = await connections.fetch(self._engine, "reading changes of runs", statement)
        return {run_changes.status_of(kind): newest for kind, newest in rows if newest}

    async def next_run_change(
        self, query: records.RunChangeQuery, after_id: int, *, through_id: int | None = None
    ) -> events_pb2.StoredEvent | None:
        """Return the oldest stored event after `after_id` by which a run reached a status.

        Args:
            query: Which runs.
            after_id: Only events after this id.
            through_id: Only events up to this id; to the end of the log where not given.
        """
        end = await self.head() if through_id is None else through_id
        while after_id < end:
            # In pieces: what is chosen may be rare, and no statement is to take long.
            piece_end = min(end, after_id + RUN_CHANGES_PIECE)
            statement, parameters = run_changes.next_one(query, after_id, piece_end)
            rows = await connections.fetch(
                self._engine, "reading changes of runs", statement, parameters
            )
            if rows:
                return event_rows.stored_event(*rows[0])
            after_id = piece_end
        return None

    async def position_at(self, moment: dt.datetime) -> int:
        """Return the id of the newest event that was stored before a time, 0 for none."""
        return await log_positions.before(self._engine, moment)

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
        conditions: list[_Condition] = [
            ("asset_key = %s", asset_keys.encode(asset_key)),
            ("id > %s", after_id),
            ("id < %s", before_id or _LAST_ID),
        ]
        if partitions:
            conditions.append(("partition = ANY(%s)", list(partitions)))
        order = f"AND kind = {_KINDS[kind]} ORDER BY id {'ASC' if ascending else 'DESC'}"
        statement, parameters = _select(_READ, conditions, f" {order} LIMIT {int(limit) + 1}")
        rows = await connections.fetch(
            self._engine, "reading events of an asset", statement, parameters
        )
        return [event_rows.stored_event(*row) for row in rows[:limit]], len(rows) > limit

    async def latest_materializations(
        self, asset_keys: Sequence[tuple[str, ...]]
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest materialization of each asset that ever had one, even if pruned."""
        rows = await connections.fetch(
            self._engine, "reading assets", _LATEST, [_encoded(asset_keys)]
        )
        return [event_rows.stored_event(*row) for row in rows]

    async def latest_observations(
        self, asset_keys: Sequence[tuple[str, ...]]
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest stored observation of each asset that has one."""
        rows = await connections.fetch(
            self._engine, "reading observations", _OBSERVED, [_encoded(asset_keys)]
        )
        return [event_rows.stored_event(*row) for row in rows]

    async def list_events(
        self,
        query: records.EventQuery,
        *,
        after_id: int = 0,
        before_id: int = 0,
        ascending: bool = False,
        limit: int = 100,
    ) -> tuple[list[events_pb2.StoredEvent], bool]:
        """Return stored events by position, and whether there are more in the same direction.

        Args:
            query: Which events.
            after_id: Only events after this id.
            before_id: Only events before this id; 0 means no bound.
            ascending: Oldest first.
            limit: How many at the most.
        """
        conditions = [
            ("id > %s", after_id),
            ("id < %s", before_id or _LAST_ID),
            *_conditions(query),
        ]
        order = f"ORDER BY id {'ASC' if ascending else 'DESC'} LIMIT {int(limit) + 1}"
        statement, parameters = _select(_READ, conditions, f" {_spelled(query.kinds)}{order}")
        rows = await connections.fetch(self._engine, "reading the log", statement, parameters)
        return [event_rows.stored_event(*row) for row in rows[:limit]], len(rows) > limit

    async def report(
        self, event: events_pb2.Event, location_name: str, *, request_id: str = ""
    ) -> int:
        """Store an event of no run and return its id.

        Args:
            event: The event.
            location_name: The location that reports it.
            request_id: Makes it exactly once: repeats store nothing and return the first answer.
        """
        async with connections.driver_connection(self._engine, "storing a report") as raw:
            async with raw.pipeline():
                earlier = await request_rows.find(raw, request_id)
                head = await log_writer.request_lock(raw)
            result = await request_rows.result_of(earlier)
            if result is not None:
                await raw.rollback()
                return result
            writer = await log_writer.LogWriter.of(raw, head)
            event_id = writer.add(event, location_name)
            for statement, parameters in request_rows.changes(request_id, event_id):
                writer.also(statement, parameters)
            await writer.commit(self._announcer)
            return event_id

    async def ensure_partitions(self) -> None:
        """Create the partitions that the next events need. Appends do so by themselves too."""
        async with connections.driver_connection(self._engine, "making partitions") as raw:
            writer = await log_writer.open_writer(raw)
            await writer.ensure_partitions()
            await raw.commit()

    async def prune(self, before_id: int) -> int:
        """Drop the partitions that hold only ids below `before_id`; return how many.

        What projections hold stays. The partition of the head stays too.
        """
        dropped = 0
        while True:
            async with connections.driver_connection(self._engine, "pruning the log") as raw:
                writer = await log_writer.open_writer(raw)
                await writer.ensure_partitions()
                more = await partitions.drop_oldest(raw, before_id)
                await raw.commit()
            if not more:
                return dropped
            dropped += 1

    async def _follow(
        self,
        after_id: int,
        limit: int,
        statement: tuple[connections.Statement, Sequence[object]],
        groups: list[str],
    ) -> tuple[connections.Rows, int]:
        """Run a statement that reads the log from `after_id` on; raise if some was pruned.

        The head is read first: up to there, what the statement does not find never appears. Whether
        something was pruned is read last: a partition may be dropped before the statement sees the
        log.
        """
        head, rows, pruned = await connections.fetch_each(
            self._engine, "reading the log", (_HEAD, ()), statement, (_PRUNED, [groups])
        )
        pruned_through = _number(pruned)
        if pruned_through and after_id < pruned_through:
            raise errors.Compacted(after_id, pruned_through + 1)
        seen = rows[-1][0] if rows else after_id
        return rows, seen if len(rows) == limit else max(seen, _number(head))


def _number(rows: connections.Rows) -> int:
    return rows[0][0] if rows else 0


def _select(
    select: str, conditions: Sequence[_Condition], rest: str
) -> tuple[connections.Statement, list[object]]:
    """Put a statement together; values are always parameters."""
    where = " AND ".join(text for text, _ in conditions)
    return f"{select}{where}{rest}".encode(), [value for _, value in conditions]


def _spelled(kinds: Sequence[str]) -> str:
    """Return the condition of the index that has the kinds, spelled as there, where one has."""
    numbers = [event_rows.KIND_NUMBERS.get(kind, -1) for kind in kinds]
    if not numbers:
        return ""
    if all(schema.KIND_RUN_FIRST <= number <= schema.KIND_RUN_LAST for number in numbers):
        bounds = f"kind >= {schema.KIND_RUN_FIRST} AND kind <= {schema.KIND_RUN_LAST}"
        return f"AND {bounds} {_exactly(numbers)}"
    return _exactly(numbers)


def _exactly(numbers: Sequence[int]) -> str:
    return f"AND kind = {numbers[0]} " if len(numbers) == 1 else ""


def _encoded(keys: Sequence[tuple[str, ...]]) -> list[str]:
    return [asset_keys.encode(key) for key in keys]


def _path_of(asset_key: str, payload: bytes | None) -> tuple[str, ...]:
    path = asset_keys.decode(asset_key)
    if path is not None or payload is None:
        return path or ()
    return tuple(events_pb2.Event.FromString(payload).asset_materialization.asset_key.path)


def _conditions(query: records.EventQuery | None) -> list[_Condition]:
    if query is None:
        return []
    conditions: list[_Condition] = [
        (text, value)
        for text, value in (
            ("run_id = %s", query.run_id),
            ("location_name = %s", query.location_name),
            ("step_key = %s", query.step_key),
            ("coalesce(timestamp, stored_time) > %s", query.after_time),
            ("coalesce(timestamp, stored_time) < %s", query.before_time),
        )
        if value is not None
    ]
    if query.asset_key is not None:
        conditions.append(("asset_key = %s", asset_keys.encode(query.asset_key)))
    if query.kinds:
        numbers = [event_rows.KIND_NUMBERS.get(kind, -1) for kind in query.kinds]
        conditions.append(("kind = ANY(%s::smallint[])", numbers))
    lists = (
        ("partition = ANY(%s)", query.partitions),
        (_OF_JOBS, query.job_names),
        ("id = ANY(%s)", query.event_ids),
    )
    return [*conditions, *((text, list(values)) for text, values in lists if values)]
