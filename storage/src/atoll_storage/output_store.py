"""Captured output of steps, in pieces.

Called by the host's intake and its API. The pieces of a stream follow each other without gap or
overlap, which is what makes sending one again harmless. What must not come in: understanding what
the output says.
"""

from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import acceptance, connections, errors, records, schema

_PAGE_PIECES = 32
_OUTPUT = schema.run_output.c
_SERVERS = schema.servers.c
_RUNS = schema.runs.c
_PRODUCERS = schema.producers.c
_PLACE = (_OUTPUT.step_key, _OUTPUT.stream, _OUTPUT.offset)


class OutputStore:
    """Captured output, in pieces."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def append(
        self, piece: records.OutputPiece, *, location_name: str, server_id: str, epoch: int
    ) -> int:
        """Store a piece if it is the next one; return the offset that is expected next.

        A piece that repeats what is stored, or leaves a gap, stores nothing.

        Raises:
            StaleEpoch: The session was replaced.
            RunFenced: The run is bound to another code server, or unknown.
        """
        batch = records.EventBatch(location_name, server_id, epoch, ())
        async with connections.transaction(self._engine, "storing output") as connection:
            await _check_epoch(connection, batch)
            await _check_binding(connection, batch, piece.run_id)
            ours = (
                _OUTPUT.run_id == piece.run_id,
                _OUTPUT.step_key == piece.step_key,
                _OUTPUT.stream == piece.stream,
            )
            # Pieces of one run come one after the other: its row of producers is locked.
            end = _OUTPUT.offset + sa.func.length(_OUTPUT.data)
            newest = sa.select(end).where(*ours).order_by(_OUTPUT.offset.desc()).limit(1)
            expected = await connection.scalar(newest) or 0
            if piece.offset != expected or not piece.data:
                return expected
            await connection.execute(
                sa.insert(schema.run_output).values(
                    run_id=piece.run_id,
                    step_key=piece.step_key,
                    stream=piece.stream,
                    offset=piece.offset,
                    data=piece.data,
                )
            )
            return expected + len(piece.data)

    async def read(self, run_id: str, step_key: str | None) -> AsyncIterator[records.OutputPiece]:
        """Iterate over the pieces of a run or of one step, in order for each step and stream."""
        statement = sa.select(schema.run_output).where(_OUTPUT.run_id == run_id)
        if step_key is not None:
            statement = statement.where(_OUTPUT.step_key == step_key)
        statement = statement.order_by(*_PLACE).limit(_PAGE_PIECES)
        page = statement
        while True:
            async with connections.transaction(self._engine, "reading output") as connection:
                rows = (await connection.execute(page)).all()
            for row in rows:
                yield _piece_of(row)
            if len(rows) < _PAGE_PIECES:
                return
            last = rows[-1]
            page = statement.where(
                sa.tuple_(*_PLACE) > sa.tuple_(last.step_key, last.stream, last.offset)
            )

    async def arrived(
        self, run_id: str, step_key: str | None, after_position: int, *, limit: int
    ) -> list[records.OutputPiece]:
        """Return the next pieces of a run or of one step, in the order in which they arrived.

        Pieces of a run are stored one after the other, so going on after the last position misses
        none.
        """
        statement = sa.select(schema.run_output).where(
            _OUTPUT.run_id == run_id, _OUTPUT.position > after_position
        )
        if step_key is not None:
            statement = statement.where(_OUTPUT.step_key == step_key)
        statement = statement.order_by(_OUTPUT.position).limit(limit)
        async with connections.transaction(self._engine, "reading output") as connection:
            return [_piece_of(row) for row in (await connection.execute(statement)).all()]


def _piece_of(row: sa.Row[Any]) -> records.OutputPiece:
    return records.OutputPiece(
        row.run_id, row.step_key, row.stream, row.offset, row.data, row.position
    )


async def _check_epoch(connection: sa_asyncio.AsyncConnection, batch: records.EventBatch) -> None:
    statement = sa.select(_SERVERS.epoch).where(
        _SERVERS.location_name == batch.location_name, _SERVERS.server_id == batch.server_id
    )
    current = await connection.scalar(statement) or 0
    if current != batch.epoch:
        raise errors.StaleEpoch(batch.location_name, batch.server_id, batch.epoch, current)


async def _check_binding(
    connection: sa_asyncio.AsyncConnection, batch: records.EventBatch, run_id: str
) -> None:
    """Raise RunFenced unless the run is bound to the server of a batch; lock the binding."""
    statement = (
        sa.select(_RUNS.location_name, _RUNS.status, _PRODUCERS.server_id, _PRODUCERS.attempt)
        .join(schema.producers, _PRODUCERS.run_id == _RUNS.run_id)
        .where(_RUNS.run_id == run_id)
        .with_for_update(of=schema.producers)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise errors.RunFenced(run_id, f"{acceptance.UNKNOWN_RUN}, or bound to no code server")
    status = records.RunStatus(row.status)
    producer = acceptance.Producer(run_id, row.location_name, status, row.server_id, row.attempt, 0)
    reason = producer.refusal(batch)
    if reason is not None:
        raise errors.RunFenced(run_id, reason)
