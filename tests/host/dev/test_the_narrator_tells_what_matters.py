"""What `atoll dev` says of locations: which went away, which is back, what one claims in vain."""

import asyncio
import io

import pytest

from atoll.api.v1 import automation_pb2, locations_pb2, schedules_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_host.dev import console, narrator
from tests.code_server.cli_client import scripted_host

SERVING = events_pb2.LOCATION_STATE_SERVING
UNREACHABLE = events_pb2.LOCATION_STATE_UNREACHABLE


class Screen(io.StringIO):
    """Takes what is printed, and wakes whoever waits for a line."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self._news.set()
        return written

    async def line(self, part: str) -> None:
        async with asyncio.timeout(10):
            while part not in self.getvalue():
                self._news.clear()
                await self._news.wait()


def changed(event_id: int, state: int, message: str) -> events_pb2.StoredEvent:
    body = events_pb2.LocationChanged(location_name="sales", state=state)
    event = events_pb2.Event(message=message, location_changed=body)
    return events_pb2.StoredEvent(id=event_id, location_name="sales", event=event)


@pytest.fixture
def host() -> scripted_host.ScriptedHost:
    scripted = scripted_host.ScriptedHost()
    scripted.locations = [locations_pb2.Location(name="sales", state=SERVING)]
    return scripted


async def told(host: scripted_host.ScriptedHost, last: str) -> list[str]:
    """What is printed until this line has come."""
    screen = Screen()
    async with scripted_host.serving_host(host) as address:
        narrating = narrator.Narrator(address, console.Console(["sales"], screen))
        await narrating.start()
        try:
            await screen.line(last)
        finally:
            await narrating.stop()
    return [line.partition("| ")[2] for line in screen.getvalue().splitlines()]


async def test_a_location_that_went_away_and_came_back_is_told(host):
    host.events = [
        changed(1, SERVING, "it serves build 1"),
        changed(2, UNREACHABLE, "it is away"),
        changed(3, SERVING, "it is back"),
        changed(4, SERVING, "it serves build 2"),
        changed(5, UNREACHABLE, "it is away again"),
    ]
    assert await told(host, "away again") == ["it is away", "it is back", "it is away again"]


async def test_an_asset_that_is_claimed_in_vain_is_told_once(host):
    host.locations[0].conflicts.add(
        asset_key=values_pb2.AssetKey(path=["a", "b"]), owner_location_name="reports"
    )
    host.events = [
        changed(1, SERVING, "it serves build 1"),
        changed(2, SERVING, "it serves build 2"),
        changed(3, UNREACHABLE, "it is away"),
    ]
    assert await told(host, "it is away") == [
        "asset a/b belongs to location reports: it is not materialized here",
        "it is away",
    ]


async def test_what_a_schedule_decided_is_told_and_the_same_reason_once(host):
    def tick(number: int, status: int, **fields) -> automation_pb2.Tick:
        return automation_pb2.Tick(tick_id=str(number), status=status, **fields)

    skipped = [tick(2, 2, skip_reason="a holiday"), tick(3, 2, skip_reason="a holiday")]
    failed = tick(4, 3, failure=values_pb2.Failure(type="ValueError", message="no calendar"))
    nightly = schedules_pb2.Schedule(
        location_name="sales",
        definition=snapshot_pb2.ScheduleDefinition(name="nightly"),
        latest_tick=tick(1, 1, run_ids=["r"]),
    )
    host.schedules, host.schedule_ticks = [nightly], [tick(1, 1, run_ids=["r"])]
    screen = Screen()
    async with scripted_host.serving_host(host) as address:
        narrating = narrator.Narrator(address, console.Console(["sales"], screen))
        await narrating.start()
        try:
            async with asyncio.timeout(10):
                while not narrating._ticks:  # noqa: ASYNC110 - the first look tells nothing
                    await asyncio.sleep(0.01)
            last = tick(5, 1, run_ids=["r", "s"])
            host.schedule_ticks = [last, failed, *reversed(skipped), *host.schedule_ticks]
            nightly.latest_tick.CopyFrom(last)
            await screen.line("requested 2 runs")
        finally:
            await narrating.stop()
    lines = [line.partition("| ")[2] for line in screen.getvalue().splitlines()]
    assert lines[0] == "schedule nightly skipped: a holiday"
    assert lines[1].endswith("ValueError: no calendar")
    assert lines[2].startswith("schedule nightly requested 2 runs")
