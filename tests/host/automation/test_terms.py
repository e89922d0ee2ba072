"""The terms of a leader are served side by side: what breaks one holds up no other."""

import asyncio

import pytest

from atoll_host import clock, services
from atoll_host.automation import dispatching
from atoll_storage import database as databases
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]


class Steady:
    """A term that works until it is canceled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.canceled = asyncio.Event()

    async def run(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.canceled.set()


class Breaking:
    """A term that breaks off as soon as it begins, for as many terms as it is told."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks
        self.recovered = asyncio.Event()

    async def run(self) -> None:
        if self.breaks:
            self.breaks -= 1
            raise ValueError("broken on purpose")
        self.recovered.set()
        await asyncio.Event().wait()


async def test_a_term_that_breaks_begins_anew_and_leaves_the_others_alone(
    database: databases.Database, caplog: pytest.LogCaptureFixture
) -> None:
    steady, breaking = Steady(), Breaking(breaks=3)
    dispatcher = dispatching.Dispatcher(
        database,
        clock.SystemClock(),
        {"steady": lambda: steady, "breaking": lambda: breaking},
        backoff=services.Backoff(first_s=0.01, max_s=0.02),
    )
    async with simulated.running(dispatcher), asyncio.timeout(10):
        await steady.begun.wait()
        await breaking.recovered.wait()
        assert dispatcher.leads
        assert not steady.canceled.is_set()
    assert steady.canceled.is_set()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == (
        ["a term of automation broke off and begins anew"] * 3
    )
