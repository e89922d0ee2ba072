"""Follows single runs: what becomes of one, and what its steps write.

Called by the runs servicer. Both end by themselves once the run has ended. The state of a run is
read when the log says that it changed; its output lies in Postgres, in the order in which it
arrived, so a reader that is slow is asked later and nothing is kept for it.
"""

import datetime as dt
from collections.abc import AsyncIterator

from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.api import pages, watching
from atoll_storage import database, event_log, output_store, records, run_changes, run_store
from atoll_storage import errors as storage_errors

BOOKMARK_EVERY_S = watching.BOOKMARK_EVERY_S
OUTPUT_GRACE_S = 2.0
"""So long after the last piece of output, a run that has ended is taken to have written all."""

_PIECES_MAX = 8
# A run that waits again is told by an event of the engine.
_TELLING = (*run_changes.KINDS.values(), "engine_event")
_RUN_SCOPE = b"run"
_OUTPUT_SCOPE = b"output"
_OLD = dt.timedelta(seconds=30)


class RunStreams:
    """Follows runs for readers."""

    def __init__(
        self,
        store: database.Database,
        watches: watching.Watching,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        *,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
        output_grace_s: float = OUTPUT_GRACE_S,
    ) -> None:
        self._runs: run_store.RunStore = store.runs
        self._outputs: output_store.OutputStore = store.outputs
        self._log: event_log.EventLog = store.events
        self._watches = watches
        self._changes = changes
        self._clock = clock
        self._bookmark_every_s = bookmark_every_s
        self._output_grace_s = output_grace_s

    async def states(
        self, run_id: str, resume_token: str
    ) -> AsyncIterator[tuple[records.RunRecord | None, str]]:
        """Yield a run whenever its status changed, None for a bookmark; and the token after each.

        Raises:
            errors.InvalidPageToken: The token is none.
            errors.UnknownRun: There is no such run, or no longer.
        """
        scope = _RUN_SCOPE + run_id.encode()
        seen = str(pages.decode(resume_token, scope)[0]) if resume_token else ""
        query = records.EventQuery(run_id=run_id, kinds=_TELLING)
        with self._watches.following(query, await self._log.head()) as follower:
            spoke_at = self._clock.monotonic()
            while True:
                run = await self._get(run_id)
                if _version(run) != seen:
                    seen = _version(run)
                    yield run, pages.encode((seen,), scope)
                    spoke_at = self._clock.monotonic()
                if run.status.is_final:
                    return
                while not await follower.next():
                    left_s = self._bookmark_every_s - (self._clock.monotonic() - spoke_at)
                    if left_s <= 0:
                        yield None, pages.encode((seen,), scope)
                        spoke_at = self._clock.monotonic()
                        break
                    await follower.wait(left_s)

    async def output(
        self, run_id: str, step_key: str, resume_token: str
    ) -> AsyncIterator[tuple[list[records.OutputPiece], str]]:
        """Yield pieces of output as they arrive, none for a bookmark; and the token after each.

        Raises:
            errors.InvalidPageToken: The token is none.
            errors.UnknownRun: There is no such run, or no longer.
        """
        scope = _OUTPUT_SCOPE + run_id.encode()
        position = int(pages.decode(resume_token, scope)[0]) if resume_token else 0
        poke = self._changes.outputs.subscribe()
        spoke_at = heard_at = self._clock.monotonic()
        while True:
            # Read first: what was stored before the run is known to have ended is found then.
            run = await self._get(run_id)
            pieces = await self._outputs.arrived(
                run_id, step_key or None, position, limit=_PIECES_MAX
            )
            now = self._clock.monotonic()
            if pieces:
                position = pieces[-1].position
                yield pieces, pages.encode((position,), scope)
                spoke_at = heard_at = self._clock.monotonic()
                continue
            left_s = self._bookmark_every_s - (now - spoke_at)
            if run.status.is_final:
                left_s = self._output_grace_s - (now - heard_at)
                if left_s <= 0 or self._ended_long_ago(run):
                    return
            elif left_s <= 0:
                yield [], pages.encode((position,), scope)
                spoke_at = self._clock.monotonic()
                continue
            await poke.wait(min(host_changes.BACKSTOP_S, left_s))

    def _ended_long_ago(self, run: records.RunRecord) -> bool:
        return run.update_time is not None and self._clock.now() - run.update_time > _OLD

    async def _get(self, run_id: str) -> records.RunRecord:
        failures = 0
        while True:
            try:
                run = await self._runs.get(run_id)
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._clock.sleep(watching.RETRY.delay_s(failures))
                continue
            if run is None:
                raise errors.UnknownRun(run_id)
            return run


def _version(run: records.RunRecord) -> str:
    """Return what tells one state of a run from the others."""
    changed = "" if run.update_time is None else run.update_time.isoformat()
    return f"{run.status.value} {changed}"
