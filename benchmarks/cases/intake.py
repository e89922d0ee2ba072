"""How many events a second one location can make durable, and what bare COPY does with the same.

The sender is a simulated location: what it sends is built beforehand, so that the host and Postgres
are measured. An event counts when its acknowledgement has arrived.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg import sql

from atoll.client import errors, runs
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import mesh_pb2, mesh_pb2_grpc
from benchmarks import report, rig, simulated_location

RUNS = 8
BATCH = 500
BATCHES = 120
BATCHES_IN_FLIGHT = 8
SINGLES = 6_000
SINGLES_IN_FLIGHT = 64
ROUNDS = 3
TIMEOUT_S = 120


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Append in batches, one by one, and by COPY."""
    location = simulated_location.SimulatedLocation("flood", snapshot())
    async with (
        place.mesh() as mesh,
        simulated_location.join(location, mesh.address) as channel,
        Sender.open(mesh, location, channel) as sender,
    ):
        await sender.rate(BATCHES // 4, BATCH, BATCHES_IN_FLIGHT)
        batches: list[float] = []
        copies: list[float] = []
        for _ in range(ROUNDS):  # in turns, so that a slow moment of the machine meets both
            batches.append(await sender.rate(BATCHES, BATCH, BATCHES_IN_FLIGHT))
            copies.append(await asyncio.to_thread(_bare_copy_rate, mesh.database_url))
        singles = [await sender.rate(SINGLES, 1, SINGLES_IN_FLIGHT) for _ in range(ROUNDS)]
        await asyncio.to_thread(_check_stored, mesh.database_url, sender)
    note = f"batches of {BATCH}, {BATCHES_IN_FLIGHT} in flight, {RUNS} runs, durable Postgres"
    shares = [batch / copy for batch, copy in zip(batches, copies, strict=True)]
    return [
        report.Measured("intake_batches", batches, note),
        report.Measured("bare_copy", copies, f"one connection, {BATCH} rows a commit"),
        report.Measured("intake_of_bare_copy", shares),
        report.Measured("intake_single", singles),
    ]


@dataclasses.dataclass
class Sender:
    """Appends events of some runs on one stream.

    Attributes:
        location: The location that appends.
        call: The stream.
        run_ids: The runs that were handed to the location.
        sequence: The next seq of each run.
    """

    location: simulated_location.SimulatedLocation
    call: Any
    run_ids: list[str]
    sequence: dict[str, Any]

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, mesh: rig.Mesh, location: simulated_location.SimulatedLocation, channel: Any
    ) -> AsyncIterator["Sender"]:
        """Launch the runs, take them over, and open the stream."""

        async def is_known() -> bool:
            with contextlib.suppress(errors.RpcError):
                return (await mesh.client.locations.get(location.name)).counts.jobs > 0
            return False

        await rig.until(is_known, "the host knows the job")
        for _ in range(RUNS):
            await mesh.client.runs.launch(runs.Launch("flood_job", location_name=location.name))
        async with asyncio.timeout(TIMEOUT_S):
            run_ids = [(await location.started.get()).run_id for _ in range(RUNS)]
        call = mesh_pb2_grpc.MeshServiceStub(channel).AppendEvents()
        sender = cls(location, call, run_ids, {run_id: itertools.count(1) for run_id in run_ids})
        try:
            yield sender
        finally:
            call.cancel()

    async def rate(self, requests: int, events: int, in_flight: int) -> float:
        """Send so many requests of so many events and return how many events a second that was."""
        prepared = [self._request(number, events) for number in range(requests)]
        window = asyncio.Semaphore(in_flight)

        async def send() -> None:
            for request in prepared:
                await window.acquire()
                await self.call.write(request)

        begun = time.perf_counter()
        async with asyncio.timeout(TIMEOUT_S):
            sending = asyncio.create_task(send())
            for request in prepared:
                answer = await self.call.read()
                _check(request, answer)
                window.release()
            await sending
        return requests * events / (time.perf_counter() - begun)

    def _request(self, number: int, events: int) -> mesh_pb2.AppendEventsRequest:
        run_id = self.run_ids[number % RUNS]
        return self.location.batch(
            [_event(run_id, next(self.sequence[run_id])) for _ in range(events)]
        )


def _check_stored(url: str, sender: Sender) -> None:
    """Make sure that everything acknowledged is there, each event once."""
    with psycopg.connect(url) as link:
        rows = link.execute(
            "SELECT run_id::text, count(*), count(DISTINCT seq), max(seq) FROM events "
            "WHERE seq > 0 GROUP BY 1"
        ).fetchall()
    sent = {run_id: next(numbers) - 1 for run_id, numbers in sender.sequence.items()}
    if {row[0]: row[1:] for row in rows} != {run: (n, n, n) for run, n in sent.items()}:
        raise RuntimeError(f"sent {sent}, stored {rows}")


def _check(request: mesh_pb2.AppendEventsRequest, answer: mesh_pb2.AppendEventsResponse) -> None:
    last = request.events[-1]
    acknowledged = {each.run_id: each for each in answer.acknowledgements}
    if acknowledged[last.run_id].acknowledged_seq < last.seq:
        raise RuntimeError(f"not all of a batch was stored: {answer}")


def _event(run_id: str, seq: int) -> events_pb2.Event:
    """Return an event of the usual size: mostly log messages, some of steps and of assets."""
    event = events_pb2.Event(run_id=run_id, seq=seq, step_key="load_orders", job_name="flood_job")
    event.timestamp.GetCurrentTime()
    event.message = f"Loaded part {seq} of the orders: 1,024 rows in 12.5 ms, none rejected."
    if seq == 1:
        event.run_started.build_id = "simulated"
    elif seq % 50 == 0:
        event.asset_materialization.asset_key.path.extend(["orders", f"part_{seq % 7}"])
        event.asset_materialization.metadata["rows"].int = seq
    else:
        event.log_message.level = events_pb2.LOG_LEVEL_INFO
        event.log_message.logger_name = "orders.load"
    return event


def _bare_copy_rate(url: str) -> float:
    """Copy rows of the event log into a table like it, a batch a commit, on one connection."""
    with psycopg.connect(url) as link:
        link.execute("DROP TABLE IF EXISTS bare_copy")
        link.execute("CREATE TABLE bare_copy (LIKE events INCLUDING ALL EXCLUDING IDENTITY)")
        columns = sql.SQL(", ").join(
            sql.Identifier(row[0])
            for row in link.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass "
                "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"
            ).fetchall()
        )
        link.commit()
        chunks = [_rows(link, columns, number) for number in range(BATCHES // 2)]
        link.commit()
        into = sql.SQL("COPY bare_copy ({}) FROM STDIN (FORMAT BINARY)").format(columns)
        begun = time.perf_counter()
        for chunk in chunks:
            with link.cursor() as cursor, cursor.copy(into) as copy:
                copy.write(chunk)
            link.commit()
        return len(chunks) * BATCH / (time.perf_counter() - begun)


def _rows(link: psycopg.Connection[Any], columns: sql.Composed, number: int) -> bytes:
    query = sql.SQL(
        "COPY (SELECT {} FROM events ORDER BY id LIMIT {} OFFSET {}) TO STDOUT (FORMAT BINARY)"
    ).format(columns, sql.Literal(BATCH), sql.Literal(number * BATCH))
    with link.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join(bytes(part) for part in copy)


def snapshot() -> snapshot_pb2.LocationSnapshot:
    """Return what the location defines: the job whose runs append."""
    snapshot = snapshot_pb2.LocationSnapshot()
    keys = [values_pb2.AssetKey(path=["orders", f"part_{number}"]) for number in range(7)]
    for key in keys:
        snapshot.assets.add(key=key, executable=True, op_name="__".join(key.path), group_name="g")
    snapshot.jobs.add(name="flood_job", asset_keys=keys)
    return snapshot
