"""Schedules and their ticks, as a host knows them."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import automation_pb2, schedules_pb2, schedules_pb2_grpc
from atoll.client import calls, sensors


class Schedules:
    """Lists, starts and stops schedules and shows what they decided."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "schedules_pb2_grpc.SchedulesServiceAsyncStub",
            schedules_pb2_grpc.SchedulesServiceStub(channel),
        )
        self._caller = caller

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> AsyncIterator[schedules_pb2.Schedule]:
        """Yield the schedules, by location and name, each with the time when it is due next.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[schedules_pb2.Schedule], str]:
            request = schedules_pb2.ListSchedulesRequest(
                page_size=size, page_token=token, location_name=location_name
            )
            answer = await self._caller.unary(self._stub.ListSchedules, request)
            return answer.schedules, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(
        self, location_name: str, schedule_name: str, *, next_times_max: int = 0
    ) -> schedules_pb2.Schedule:
        """Return one schedule.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            next_times_max: How many of the next times to tell; 0 means five.
        """
        request = schedules_pb2.GetScheduleRequest(
            location_name=location_name,
            schedule_name=schedule_name,
            next_times_max=next_times_max,
        )
        return (await self._caller.unary(self._stub.GetSchedule, request)).schedule

    async def start(self, location_name: str, schedule_name: str) -> schedules_pb2.Schedule:
        """Make the host evaluate a schedule from now on."""
        request = schedules_pb2.StartScheduleRequest(
            location_name=location_name, schedule_name=schedule_name
        )
        return (await self._caller.unary(self._stub.StartSchedule, request)).schedule

    async def stop(self, location_name: str, schedule_name: str) -> schedules_pb2.Schedule:
        """Make the host leave a schedule alone."""
        request = schedules_pb2.StopScheduleRequest(
            location_name=location_name, schedule_name=schedule_name
        )
        return (await self._caller.unary(self._stub.StopSchedule, request)).schedule

    async def dry_run(
        self,
        location_name: str,
        schedule_name: str,
        *,
        scheduled_time: dt.datetime | None = None,
    ) -> automation_pb2.DryRun:
        """Have a schedule evaluated once and return what the tick would decide; nothing is stored.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            scheduled_time: The time that the tick is for; None means the next.
        """
        request = schedules_pb2.DryRunScheduleRequest(
            location_name=location_name,
            schedule_name=schedule_name,
            scheduled_time=calls.timestamp(scheduled_time),
        )
        answer = await self._caller.unary(
            self._stub.DryRunSchedule,
            request,
            deadline_s=sensors.DRY_RUN_DEADLINE_S,
            repeatable=False,
        )
        return answer.dry_run

    async def tick(
        self, location_name: str, schedule_name: str, tick_id: str
    ) -> automation_pb2.Tick:
        """Return one tick of a schedule.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            tick_id: The tick; the first digits are enough.
        """
        request = schedules_pb2.GetScheduleTickRequest(
            location_name=location_name, schedule_name=schedule_name, tick_id=tick_id
        )
        return (await self._caller.unary(self._stub.GetScheduleTick, request)).tick

    def ticks(
        self,
        location_name: str,
        schedule_name: str,
        *,
        statuses: Sequence["automation_pb2.TickStatus.ValueType"] = (),
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[automation_pb2.Tick]:
        """Yield the ticks of a schedule, newest first.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            statuses: Only ticks with one of these outcomes; empty means all.
            started_from: Only ticks that began then or later; None means all.
            started_before: Only ticks that began before; None means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[automation_pb2.Tick], str]:
            request = schedules_pb2.ListScheduleTicksRequest(
                location_name=location_name,
                schedule_name=schedule_name,
                page_size=size,
                page_token=token,
                statuses=statuses,
                started_from=calls.timestamp(started_from),
                started_before=calls.timestamp(started_before),
            )
            answer = await self._caller.unary(self._stub.ListScheduleTicks, request)
            return answer.ticks, answer.next_page_token

        return calls.paged(fetch, limit)
