"""How services start, fail, go on and stop."""

import asyncio
import logging

import pytest

from atoll_host import services, signals

FAST = services.Backoff(first_s=0.001, max_s=0.002)


class Recorder(services.Loop):
    """Notes what happens to it."""

    def __init__(self, name: str, notes: list[str], *, fails: int = 0, **options) -> None:
        super().__init__(name, backoff=FAST, **options)
        self.notes = notes
        self.fails = fails
        self.runs = 0
        self.settled = asyncio.Event()

    async def prepare(self) -> None:
        self.notes.append(f"prepare {self.name}")

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self.fails:
            raise ValueError(f"life {self.runs}")
        self.settled.set()
        await asyncio.Event().wait()

    async def clean_up(self) -> None:
        self.notes.append(f"clean up {self.name}")


class Refusing(Recorder):
    async def prepare(self) -> None:
        raise ConnectionError("nobody there")


async def test_a_group_starts_in_order_and_stops_in_reverse():
    notes: list[str] = []
    group = services.ServiceGroup("all", [Recorder("a", notes), Recorder("b", notes)])
    await group.start()
    assert group.started.is_set()
    await group.stop()
    assert notes == ["prepare a", "prepare b", "clean up b", "clean up a"]


async def test_a_failed_start_stops_what_was_started_and_raises():
    notes: list[str] = []
    group = services.ServiceGroup("all", [Recorder("a", notes), Refusing("b", notes)])
    with pytest.raises(ConnectionError):
        await group.start()
    assert notes == ["prepare a", "clean up a"]
    assert not group.started.is_set()


async def test_a_loop_that_fails_is_run_again_and_others_do_not_notice(caplog):
    notes: list[str] = []
    failing, quiet = Recorder("failing", notes, fails=3), Recorder("quiet", notes)
    group = services.ServiceGroup("all", [failing, quiet])
    await group.start()
    async with asyncio.timeout(5):
        await failing.settled.wait()
    assert failing.runs == 4
    assert quiet.runs == 1
    assert failing.failures == 3
    failures = [each for each in caplog.records if getattr(each, "action", "") == "service_failed"]
    assert [each.failures for each in failures] == [1, 2, 3]
    await group.stop()


async def test_expected_errors_of_a_task_group_are_warnings_too(caplog):
    class Grouped(Recorder):
        async def run(self) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(super().run())

    loop = Grouped("held up", [], fails=1, expected=(ValueError,))
    await loop.start()
    async with asyncio.timeout(5):
        await loop.settled.wait()
    await loop.stop()
    (record,) = [each for each in caplog.records if hasattr(each, "action")]
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)


async def test_expected_errors_are_warnings_without_traceback(caplog):
    loop = Recorder("held up", [], fails=1, expected=(ValueError,))
    await loop.start()
    async with asyncio.timeout(5):
        await loop.settled.wait()
    await loop.stop()
    (record,) = [each for each in caplog.records if getattr(each, "action", "") == "service_failed"]
    assert record.levelno == logging.WARNING
    assert record.exc_info is None


async def test_a_loop_that_ignores_cancellation_is_abandoned_at_the_deadline(caplog):
    release = asyncio.Event()

    class Stubborn(services.Loop):
        async def run(self) -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    loop = Stubborn("stubborn", stop_deadline_s=0.02)
    await loop.start()
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await loop.stop()
    assert [each.phase for each in caplog.records if getattr(each, "action", "") == "service_stuck"]
    release.set()
    await asyncio.sleep(0)


async def test_a_loop_drains_before_it_is_cancelled():
    done: list[str] = []

    class Draining(services.Loop):
        async def run(self) -> None:
            await self.stopping.wait()
            done.append("drained")

    loop = Draining("draining", drain_s=5)
    await loop.start()
    await loop.stop()
    assert done == ["drained"]


async def test_a_loop_starts_once():
    loop = Recorder("once", [])
    await loop.start()
    with pytest.raises(RuntimeError, match="once"):
        await loop.start()
    await loop.stop()
    await loop.stop()


async def test_pokes_count_once_and_time_out():
    broadcast = signals.Broadcast()
    first, second = broadcast.subscribe(), broadcast.subscribe()
    broadcast.set()
    broadcast.set()
    assert await first.wait(1)
    assert not await first.wait(0.001)
    assert await second.wait(1)
