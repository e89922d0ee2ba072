"""The one place of a host that appends events of code locations to the log.

Called by the mesh servicer for every batch that arrives. Batches of all locations wait in a fair,
bounded queue; one loop takes a fair share of each and stores them in one short transaction (group
commit), one transaction at a time, since storage serialises appends anyway. A batch is acknowledged
only after the commit. While Postgres is away batches stay where they are and are tried again, the
queue fills, and streams are read no further.

Events are never looked at one by one here: that is what keeps a flood cheap.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence

from atoll.events.v1 import events_pb2
from atoll_host import errors, services, signals
from atoll_host.intake import fair_queue
from atoll_storage import errors as storage_errors
from atoll_storage import event_log, records

_log = logging.getLogger(__name__)

SLICE_EVENTS_MAX = 500
"""Longer batches are stored in slices, so that no transaction is held up by one batch."""

_LANE_EVENTS_MAX = 4_000
_COMMIT_EVENTS_MIN = 500
_COMMIT_EVENTS_MAX = 2_000
_COMMIT_TARGET_S = 0.020
_RETRY = services.Backoff(first_s=0.05, max_s=1.0)


@dataclasses.dataclass(slots=True, eq=False)
class _Submission:
    batch: records.EventBatch
    done: asyncio.Future[records.BatchOutcome]


class Intake(services.Loop):
    """Appends events with group commit. See the module."""

    def __init__(self, log: event_log.EventLog) -> None:
        super().__init__("intake", drain_s=2.0)
        self._event_log = log
        self._queue: fair_queue.FairQueue[_Submission] = fair_queue.FairQueue(
            lane_size_max=_LANE_EVENTS_MAX
        )
        self._arrived = signals.Poke()
        self._commit_events = _COMMIT_EVENTS_MAX
        self._retries = 0

    async def submit(
        self, batch: records.EventBatch
    ) -> Sequence[asyncio.Future[records.BatchOutcome]]:
        """Queue a batch; return when there was room for it.

        Returns:
            What becomes of each slice of the batch, in order. A future fails only when the host
            stops or storage refuses the events for good.

        Raises:
            errors.InvalidRequest: An event belongs to no run.
            errors.Stopping: The host is stopping.
        """
        events = batch.events
        return [
            await self._submit_slice(
                dataclasses.replace(batch, events=events[start : start + SLICE_EVENTS_MAX])
                if len(events) > SLICE_EVENTS_MAX
                else batch
            )
            for start in range(0, len(events), SLICE_EVENTS_MAX)
        ]

    async def _submit_slice(
        self, batch: records.EventBatch
    ) -> asyncio.Future[records.BatchOutcome]:
        if any(not event.run_id for event in batch.events):
            raise errors.InvalidRequest(
                f"Location {batch.location_name!r} appended an event without a run id. Events of "
                "code servers belong to runs.",
                field="events.run_id",
            )
        submission = _Submission(
            batch=batch,
            done=asyncio.get_running_loop().create_future(),
        )
        submission.done.add_done_callback(_take_exception)  # the stream may be gone by then
        await self._queue.put(batch.location_name, submission, len(batch.events))
        if self.stopping.is_set():
            raise errors.Stopping
        self._arrived.set()
        return submission.done

    async def run(self) -> None:
        """Store what arrives until the host stops."""
        while not self.stopping.is_set():
            taken = self._queue.take(self._commit_events)
            if not taken:
                await self._arrived.wait(1.0)
                continue
            await self._commit(taken)
            self.did_well()

    async def stop(self) -> None:
        """Finish the transaction under way; what waits is sent again by its sender."""
        self._arrived.set()
        await super().stop()

    async def clean_up(self) -> None:
        """Tell every waiting batch that the host stops."""
        while taken := self._queue.take(_LANE_EVENTS_MAX):
            self._fail(taken, errors.Stopping())
            await asyncio.sleep(0)  # lets those in who waited for room, so that they are told too

    async def _commit(self, taken: Sequence[_Submission]) -> None:
        try:
            while not await self._try_commit(taken):
                if self.stopping.is_set():
                    self._fail(taken, errors.Stopping())
                    return
        except asyncio.CancelledError:
            self._fail(taken, errors.Stopping())
            raise

    async def _try_commit(self, taken: Sequence[_Submission]) -> bool:
        """Store submissions in one transaction; return False when storage was away."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcomes = await self._event_log.append([each.batch for each in taken])
        except storage_errors.StorageUnavailable as error:
            self._retries += 1
            delay_s = _RETRY.delay_s(self._retries)
            _log.warning(
                "events wait because storage is away",
                extra={
                    "action": "append_retry",
                    "retries": self._retries,
                    "delay_s": delay_s,
                    "cause": str(error),
                },
            )
            await asyncio.sleep(delay_s)
            return False
        except Exception as error:  # noqa: BLE001 - the boundary that keeps one bad batch from all others
            self._retries = 0
            await self._isolate(taken, error)
            return True
        self._retries = 0
        self._adapt(sum(len(each.batch.events) for each in taken), loop.time() - began)
        self._acknowledge(taken, outcomes)
        return True

    async def _isolate(self, taken: Sequence[_Submission], error: Exception) -> None:
        """Find the batch that storage does not take, so that only it fails."""
        if len(taken) > 1:
            for submission in taken:
                await self._commit([submission])
            return
        batch = taken[0].batch
        _log.error(
            "events were refused by storage",
            exc_info=error,
            extra={
                "action": "append_refused",
                "location": batch.location_name,
                "runs": sorted({event.run_id for event in batch.events}),
            },
        )
        self._fail(taken, error)

    @staticmethod
    def _acknowledge(
        taken: Sequence[_Submission], outcomes: Sequence[records.BatchOutcome]
    ) -> None:
        for submission, outcome in zip(taken, outcomes, strict=True):
            if not submission.done.done():
                submission.done.set_result(outcome)

    def _adapt(self, events: int, took_s: float) -> None:
        """Keep transactions about as long as the target, whatever the machine."""
        if events < _COMMIT_EVENTS_MIN:
            return
        fitting = int(events / took_s * _COMMIT_TARGET_S)
        smoothed = (3 * self._commit_events + fitting) // 4
        self._commit_events = max(_COMMIT_EVENTS_MIN, min(_COMMIT_EVENTS_MAX, smoothed))

    @staticmethod
    def _fail(taken: Sequence[_Submission], error: Exception) -> None:
        for submission in taken:
            if not submission.done.done():
                submission.done.set_exception(error)


def acknowledgements(
    events: Sequence[events_pb2.Event], outcomes: Sequence[records.BatchOutcome]
) -> dict[str, tuple[int, str]]:
    """Return, for each run of a batch, the acknowledged seq and why it was refused, if it was."""
    merged: dict[str, tuple[int, str]] = {event.run_id: (0, "") for event in events}
    for outcome in outcomes:
        for run_id, seq in outcome.acknowledged.items():
            known = merged.get(run_id, (0, ""))
            merged[run_id] = (max(seq, known[0]), known[1])
        for run_id, reason in outcome.fenced.items():
            merged[run_id] = (merged.get(run_id, (0, ""))[0], reason)
    return merged


def _take_exception(done: asyncio.Future[records.BatchOutcome]) -> None:
    if not done.cancelled():
        done.exception()
