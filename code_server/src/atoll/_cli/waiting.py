"""Waiting for runs and backfills: what happens to them, from the event log, and how far they are.

Used by the commands of both nouns that wait or watch. The log wakes them; a slow look besides finds
what it does not tell, such as what a caller may not see of it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from atoll._cli import progress, rendering
from atoll.api.v1 import backfills_pb2, runs_pb2
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import backfills as client_backfills
from atoll.client import connection as client_connection
from atoll.client import documents, errors, narration
from atoll.client import runs as client_runs

LOOK_EVERY_S: Final = 10.0
"""So long nothing may be heard before it is looked anew."""

TOGETHER_S: Final = 0.5
"""What happens in so short a time is looked at together."""

_OF_RUNS: Final = ("run_enqueued", "run_started", *client_runs.FINAL_KINDS, "backfill_ended")
_OF_STEPS: Final = (
    "run_started",
    "step_started",
    "step_succeeded",
    "step_failed",
    "step_skipped",
    "step_up_for_retry",
)


async def backfill_states(
    client: client_connection.Client, backfill_id: str
) -> AsyncIterator[backfills_pb2.Backfill]:
    """Yield a backfill as it is, then whenever it may have changed, until it has ended."""
    now = await client.backfills.get(backfill_id)
    yield now
    changed = asyncio.Event()
    query = api_pb2.EventFilter(kinds=_OF_RUNS)
    listening = asyncio.ensure_future(_listen(client, query, changed))
    try:
        while now.status not in client_backfills.FINAL_STATUSES:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_EVERY_S)
                await asyncio.sleep(TOGETHER_S)
            changed.clear()
            now = await client.backfills.get(backfill_id)
            yield now
    finally:
        await _ended(listening)


async def run_end(
    client: client_connection.Client, run: runs_pb2.Run, timeout_s: float | None, *, as_json: bool
) -> runs_pb2.Run:
    """Return a run once it has ended, and show how far it is until then.

    Raises:
        errors.WaitTimeoutError: It did not end in time.
    """
    async with progress.line(as_json=as_json) as line:
        if not line.active:
            return await client.runs.wait(run.run_id, timeout_s=timeout_s)
        steps = Steps(run)
        line.text = steps.text
        showing = asyncio.ensure_future(_follow_steps(client, steps, line))
        try:
            return await client.runs.wait(run.run_id, timeout_s=timeout_s)
        finally:
            await _ended(showing)


class Steps:
    """How far the steps of a run are, by its events."""

    def __init__(self, run: runs_pb2.Run) -> None:
        self.run_id = run.run_id
        self._started = False
        self._under_way: dict[str, None] = {}
        self._done = 0
        self._failed = 0

    def take(self, kind: str, step_key: str) -> None:
        """Take note of an event."""
        self._started = True
        if kind == "step_started":
            self._under_way[step_key] = None
        elif kind.startswith("step_"):
            self._under_way.pop(step_key, None)
            self._done += kind in {"step_succeeded", "step_skipped"}
            self._failed += kind == "step_failed"

    def text(self) -> str:
        """Return that in words."""
        if not self._started:
            return f"Run {narration.short_run_id(self.run_id)} waits."
        parts = [
            f"Run {narration.short_run_id(self.run_id)}: {rendering.count(self._done, 'step')} done"
        ]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._under_way:
            first = next(iter(self._under_way))
            more = len(self._under_way) - 1
            parts.append(f"{first} is under way" + (f" and {more} more" if more else ""))
        return ", ".join(parts)


def backfill_text(of: backfills_pb2.Backfill) -> str:
    """Return how far a backfill is, in one line. Pure."""
    counts = of.counts
    drawn = progress.bar(counts.materialized, counts.total)
    parts = [f"{drawn} of {rendering.count(counts.total, 'partition')}"]
    for name in ("in_progress", "waiting", "failed", "blocked"):
        number = getattr(counts, name)
        if number:
            parts.append(f"{number} {name.replace('_', ' ')}")
    return f"{documents.enum_name(of, 'status')} {', '.join(parts)}"


async def _follow_steps(
    client: client_connection.Client, steps: Steps, line: progress.Line
) -> None:
    query = api_pb2.EventFilter(run_id=steps.run_id, kinds=_OF_STEPS)
    # It is decoration: whoever waits is told by the wait itself what is wrong.
    with contextlib.suppress(errors.RpcError):
        async with client.events.watch(query, from_beginning=True, patience_s=None) as watch:
            async for stored in watch:
                steps.take(stored.event.WhichOneof("body") or "", stored.event.step_key)
                line.show()


async def _listen(
    client: client_connection.Client, query: api_pb2.EventFilter, changed: asyncio.Event
) -> None:
    """Tell of events, however many, by one sign that they came."""
    # What it cannot hear, the slow look finds.
    with contextlib.suppress(errors.RpcError):
        async with client.events.watch(query, patience_s=None) as watch:
            await watch.opened()
            changed.set()
            async for _stored in watch:
                changed.set()


async def _ended(task: "asyncio.Future[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
