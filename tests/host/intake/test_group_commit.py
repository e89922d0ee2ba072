"""What waits together is stored together, and acknowledged only when it is stored."""

import asyncio
from typing import Any

import pytest

from atoll.events.v1 import events_pb2
from atoll_host import errors
from atoll_host.intake import appending
from atoll_storage import errors as storage_errors
from atoll_storage import records


class Log:
    """An event log in memory that keeps the rules of the real one for a single producer."""

    def __init__(self) -> None:
        self.transactions: list[list[records.EventBatch]] = []
        self.away = 0
        self.poison: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.called = asyncio.Event()
        self.high: dict[str, int] = {}
        self.head = 0

    async def append(self, batches):
        self.called.set()
        await self.gate.wait()
        if self.away:
            self.away -= 1
            raise storage_errors.StorageUnavailable("away")
        if self.poison is not None:
            for batch in batches:
                if any(event.run_id == self.poison for event in batch.events):
                    raise storage_errors.InvalidValue("a NUL")
        self.transactions.append(list(batches))
        return [self._store(batch) for batch in batches]

    def _store(self, batch):
        before = self.head
        for event in batch.events:
            if event.seq == self.high.get(event.run_id, 0) + 1:
                self.high[event.run_id] = event.seq
                self.head += 1
        runs = {event.run_id for event in batch.events}
        return records.BatchOutcome(
            acknowledged={run: self.high[run] for run in runs},
            fenced={},
            last_event_id=self.head if self.head > before else 0,
        )


def batch(location: str, run_id: str, first: int, count: int, **last_body) -> records.EventBatch:
    events = [events_pb2.Event(run_id=run_id, seq=first + number) for number in range(count)]
    if last_body:
        events[-1].MergeFrom(events_pb2.Event(**last_body))
    return records.EventBatch(location, "server", 1, events)


@pytest.fixture
async def log():
    return Log()


@pytest.fixture
async def intake(log: Any):
    service = appending.Intake(log)
    await service.start()
    yield service
    log.gate.set()
    await service.stop()


async def test_batches_that_arrive_during_a_commit_share_the_next(log, intake):
    log.gate.clear()
    first = await intake.submit(batch("a", "r0", 1, 1))
    await log.called.wait()
    waiting = [await intake.submit(batch("a", f"r{n}", 1, 1)) for n in range(1, 65)]
    log.gate.set()
    await asyncio.wait_for(
        asyncio.gather(*(f for futures in [first, *waiting] for f in futures)), 5
    )
    assert [len(transaction) for transaction in log.transactions] == [1, 64]


async def test_nothing_is_lost_while_storage_is_away(log, intake):
    log.away = 2
    (done,) = await intake.submit(batch("a", "r", 1, 3))
    outcome = await asyncio.wait_for(done, 5)
    assert outcome.acknowledged == {"r": 3}
    assert len(log.transactions) == 1


async def test_a_batch_that_storage_refuses_fails_alone(log, intake):
    log.poison = "bad"
    log.gate.clear()
    (first,) = await intake.submit(batch("a", "first", 1, 1))
    await log.called.wait()
    (bad,) = await intake.submit(batch("a", "bad", 1, 1))
    (good,) = await intake.submit(batch("b", "good", 1, 1))
    log.gate.set()
    await first
    assert (await asyncio.wait_for(good, 5)).acknowledged == {"good": 1}
    with pytest.raises(storage_errors.InvalidValue):
        await bad


async def test_long_batches_are_stored_in_slices_and_acknowledged_as_one(log, intake):
    sent = batch("a", "r", 1, 1201)
    outcomes = [await done for done in await intake.submit(sent)]
    assert len(outcomes) == 3
    assert appending.acknowledgements(sent.events, outcomes) == {"r": (1201, "")}


async def test_an_event_without_a_run_is_refused(intake):
    with pytest.raises(errors.InvalidRequest, match="without a run id"):
        await intake.submit(batch("a", "", 1, 1))


async def test_a_flooding_location_is_made_to_wait(log, intake):
    log.gate.clear()

    async def flood():
        for number in range(100):
            await intake.submit(batch("flood", f"r{number}", 1, 500))

    flooding = asyncio.create_task(flood())
    await log.called.wait()
    await asyncio.sleep(0)
    assert not flooding.done()
    (done,) = await asyncio.wait_for(intake.submit(batch("small", "s", 1, 1)), 1)
    log.gate.set()
    await asyncio.wait_for(done, 5)
    sizes = [sum(len(each.events) for each in transaction) for transaction in log.transactions]
    assert max(sizes) <= 2500
    assert any(each.location_name == "small" for each in log.transactions[1])
    await asyncio.wait_for(flooding, 5)


async def test_what_waits_is_told_when_the_host_stops(log):
    intake = appending.Intake(log)
    await intake.start()
    log.away = 10**6
    (done,) = await intake.submit(batch("a", "r", 1, 1))
    await log.called.wait()
    await intake.stop()
    with pytest.raises(errors.Stopping):
        await done
    with pytest.raises(errors.Stopping):
        await intake.submit(batch("a", "r", 1, 1))
