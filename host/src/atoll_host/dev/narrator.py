"""A line for each run, materialization, tick and location change of the mesh, for a developer.

It follows the event log with a watch and looks at sensors and schedules for new ticks, all through
the client. A narrator that fails must not end the session: it says so and begins anew.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from atoll._cli import rendering
from atoll.api.v1 import automation_pb2, locations_pb2
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import connection, documents, errors, narration
from atoll.client import events as event_log
from atoll.events.v1 import events_pb2
from atoll_host.dev import console

Follow = Callable[[connection.Client], Awaitable[None]]

KINDS: Final = (
    "run_enqueued",
    "run_started",
    "run_succeeded",
    "run_failed",
    "run_canceled",
    "step_failed",
    "step_up_for_retry",
    "asset_check_evaluation",
    "asset_materialization",
    "location_changed",
)
_CHECK: Final = "check "
TICKS_EVERY_S: Final = 1.0
RETRY_EVERY_S: Final = 1.0
TICKS_SHOWN_MAX: Final = 20

_COLOURS: Final[Mapping[narration.Severity, tuple[rendering.Colour, ...]]] = {
    "plain": (),
    "good": ("green",),
    "warning": ("yellow",),
    "bad": ("red",),
    "quiet": ("dim",),
}


_SCHEDULE_NAME_TAG = "atoll/schedule_name"


class _Source(NamedTuple):
    """What ticks are of: a sensor or a schedule of a location."""

    kind: str
    location: str
    name: str


class Narrator:
    """Follows the mesh and prints what happens."""

    def __init__(self, address: str, out: console.Console) -> None:
        self._address = address
        self._out = out
        self._tasks: list[asyncio.Task[None]] = []
        self._started = asyncio.Event()
        # The newest tick that was shown of each sensor and schedule, and the skip reason said last.
        self._ticks: dict[_Source, str] = {}
        self._skips: dict[_Source, str] = {}
        self._jobs: dict[str, str] = {}
        self._away: set[str] = set()
        # Location -> the assets and checks that it claims although others own them, and who does.
        self._conflicts: dict[str, dict[str, str]] = {}
        self._resume_token = ""

    async def start(self) -> None:
        """Begin to follow; returns once nothing that happens later is missed."""
        self._tasks = [
            asyncio.create_task(self._repeated(self._follow_events), name="dev events"),
            asyncio.create_task(self._repeated(self._follow_ticks), name="dev ticks"),
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._started.wait(), 5.0)

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeated(self, follow: Follow) -> None:
        while True:
            try:
                async with connection.connect(self._address) as client:
                    await follow(client)
            except (errors.ConnectError, errors.RpcError):
                # The host is being started again; what it has to say then is shown then.
                await asyncio.sleep(RETRY_EVERY_S)

    async def _follow_events(self, client: connection.Client) -> None:
        query = api_pb2.EventFilter(kinds=KINDS)
        watch: event_log.Watch
        async with client.events.watch(query, resume_token=self._resume_token) as watch:
            await watch.opened()
            self._started.set()
            async for stored in watch:
                self._resume_token = watch.resume_token
                await self._show_event(client, stored)

    async def _show_event(self, client: connection.Client, stored: events_pb2.StoredEvent) -> None:
        event = stored.event
        told = narration.tell(event)
        if told.kind == "location_changed":
            self._show_location(event.location_changed, told)
            await self._show_conflicts(client, event.location_changed.location_name)
            return
        name = stored.location_name or console.ATOLL
        subject = f"run {narration.short_run_id(event.run_id)}" if event.run_id else "event"
        if told.kind == "run_enqueued":
            run = await client.runs.get(event.run_id)
            asked = f" for sensor {run.sensor_name}" if run.sensor_name else ""
            if schedule_name := run.tags.get(_SCHEDULE_NAME_TAG):
                asked = f" for schedule {schedule_name}"
            self._jobs[event.run_id] = run.job_name
            self._out.line(run.location_name, f"{subject} of {run.job_name} queued{asked}")
            return
        job = self._jobs.get(event.run_id, event.job_name)
        if told.kind in ("run_succeeded", "run_failed", "run_canceled"):
            self._jobs.pop(event.run_id, None)
        about = f"{subject} of {job}" if job else subject
        step = f"{event.step_key}: " if event.step_key else ""
        self._out.line(name, f"{about}: {step}{told.text}", *_COLOURS[told.severity])

    def _show_location(self, change: events_pb2.LocationChanged, told: narration.Told) -> None:
        """Show that a location went away, and that it is back: how it loads, it says itself."""
        name = change.location_name
        if change.state == events_pb2.LOCATION_STATE_UNREACHABLE:
            self._away.add(name)
        elif name in self._away:
            self._away.discard(name)
        else:
            return
        self._out.line(name, told.text, *_COLOURS[told.severity])

    async def _show_conflicts(self, client: connection.Client, name: str) -> None:
        """Show which assets a location claims in vain, whenever these are others than before."""
        location = await client.locations.get(name)
        claimed = {_claimed(each): each.owner_location_name for each in location.conflicts}
        if claimed != self._conflicts.get(name, {}):
            self._conflicts[name] = claimed
            for what, owner in claimed.items():
                done = "evaluated" if what.startswith(_CHECK) else "materialized"
                text = f"{what} belongs to location {owner}: it is not {done} here"
                self._out.line(name, text, "yellow")

    async def _follow_ticks(self, client: connection.Client) -> None:
        first = not self._ticks
        while True:
            async for sensor in client.sensors.list():
                source = _Source("sensor", sensor.location_name, sensor.definition.name)
                if sensor.HasField("latest_tick"):
                    await self._look(client, source, sensor.latest_tick.tick_id, first=first)
            async for schedule in client.schedules.list():
                source = _Source("schedule", schedule.location_name, schedule.definition.name)
                if schedule.HasField("latest_tick"):
                    await self._look(client, source, schedule.latest_tick.tick_id, first=first)
            first = False
            await asyncio.sleep(TICKS_EVERY_S)

    async def _look(
        self, client: connection.Client, source: _Source, newest: str, *, first: bool
    ) -> None:
        if not first and self._ticks.get(source) != newest:
            await self._show_ticks(client, source)
        self._ticks[source] = newest

    async def _show_ticks(self, client: connection.Client, source: _Source) -> None:
        """Show the ticks since the one shown last, oldest first."""
        kind = client.sensors if source.kind == "sensor" else client.schedules
        new: list[automation_pb2.Tick] = []
        async for tick in kind.ticks(source.location, source.name, limit=TICKS_SHOWN_MAX):
            if tick.tick_id == self._ticks.get(source):
                break
            new.append(tick)
        for tick in reversed(new):
            self._show_tick(source, tick)

    def _show_tick(self, source: _Source, tick: automation_pb2.Tick) -> None:
        location, who = source.location, f"{source.kind} {source.name}"
        took = rendering.duration(documents.seconds(tick.evaluation_duration))
        if tick.status == automation_pb2.TICK_STATUS_SKIPPED:
            # The same reason every few seconds would bury everything else.
            if self._skips.get(source) != tick.skip_reason:
                self._skips[source] = tick.skip_reason
                self._out.line(location, f"{who} skipped: {tick.skip_reason}", "dim")
            return
        self._skips.pop(source, None)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            line = documents.failure_line(tick.failure)
            self._out.line(location, f"{who} failed after {took}: {line}", "red")
            return
        requested = rendering.count(len(tick.run_ids), "run")
        self._out.line(location, f"{who} requested {requested} ({took})")


def _claimed(conflict: locations_pb2.Conflict) -> str:
    key = documents.format_asset_key(conflict.asset_key)
    return f"{_CHECK}{conflict.check_name} of {key}" if conflict.check_name else f"asset {key}"
