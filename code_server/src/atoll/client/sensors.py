"""Sensors and their ticks, as a host knows them."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal, cast

import grpc.aio

from atoll.api.v1 import automation_pb2, automation_pb2_grpc
from atoll.client import calls, errors
from atoll.location.v1 import location_pb2

DRY_RUN_DEADLINE_S: Final = 660.0
"""How long a dry run may take: user code has its own bound, which is the host's."""


class Sensors:
    """Lists, starts and stops sensors and shows what they decided."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "automation_pb2_grpc.SensorsServiceAsyncStub",
            automation_pb2_grpc.SensorsServiceStub(channel),
        )
        self._caller = caller

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> AsyncIterator[automation_pb2.Sensor]:
        """Yield the sensors, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[automation_pb2.Sensor], str]:
            request = automation_pb2.ListSensorsRequest(
                page_size=size, page_token=token, location_name=location_name
            )
            answer = await self._caller.unary(self._stub.ListSensors, request)
            return answer.sensors, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Return one sensor."""
        request = automation_pb2.GetSensorRequest(
            location_name=location_name, sensor_name=sensor_name
        )
        return (await self._caller.unary(self._stub.GetSensor, request)).sensor

    async def start(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Make the host evaluate a sensor from now on."""
        request = automation_pb2.StartSensorRequest(
            location_name=location_name, sensor_name=sensor_name
        )
        return (await self._caller.unary(self._stub.StartSensor, request)).sensor

    async def stop(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Make the host leave a sensor alone; its cursor stays."""
        request = automation_pb2.StopSensorRequest(
            location_name=location_name, sensor_name=sensor_name
        )
        return (await self._caller.unary(self._stub.StopSensor, request)).sensor

    async def reset(
        self,
        location_name: str,
        sensor_name: str,
        *,
        cursor: str | None = None,
        start_at: Literal["latest", "earliest"] | dt.datetime | None = None,
    ) -> automation_pb2.Sensor:
        """Set or clear the cursor of a sensor, or where an event-driven one goes on.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            cursor: The cursor. That of a sensor on one asset, or on the status of runs, is the
                position of the last event that it has seen.
            start_at: Where in the log it goes on; not with a cursor. Without either the cursor is
                cleared, and an event-driven sensor goes on with what comes from now on.
        """
        request = automation_pb2.ResetSensorCursorRequest(
            location_name=location_name, sensor_name=sensor_name
        )
        if cursor is not None and start_at is not None:
            raise errors.InvalidArgumentError(
                f"Give either cursor or start_at, got {cursor!r} and {start_at!r}."
            )
        if cursor is not None:
            request.cursor = cursor
        elif isinstance(start_at, dt.datetime):
            request.start_position.time.FromDatetime(start_at)
        elif start_at is not None:
            setattr(request.start_position, start_at, True)
        return (await self._caller.unary(self._stub.ResetSensorCursor, request)).sensor

    async def create_webhook_secret(
        self, location_name: str, sensor_name: str
    ) -> automation_pb2.CreateWebhookSecretResponse:
        """Make the secret of a webhook sensor, in place of the one before; it is told this once."""
        request = automation_pb2.CreateWebhookSecretRequest(
            location_name=location_name, sensor_name=sensor_name
        )
        return await self._caller.unary(self._stub.CreateWebhookSecret, request)

    async def dry_run(
        self,
        location_name: str,
        sensor_name: str,
        *,
        cursor: str | None = None,
        event_id: int = 0,
        webhook_delivery: location_pb2.WebhookDelivery | None = None,
    ) -> automation_pb2.DryRun:
        """Have a sensor evaluated once and return what the tick would decide; nothing is stored.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            cursor: The cursor to evaluate it with; None means the one that it has.
            event_id: For a sensor on an asset or on runs, the position of the event to evaluate it
                for; 0 means the newest.
            webhook_delivery: For a webhook sensor, the delivery to evaluate it for.
        """
        request = automation_pb2.DryRunSensorRequest(
            location_name=location_name,
            sensor_name=sensor_name,
            cursor=cursor,
            event_id=event_id,
            webhook_delivery=webhook_delivery,
        )
        answer = await self._caller.unary(
            self._stub.DryRunSensor, request, deadline_s=DRY_RUN_DEADLINE_S, repeatable=False
        )
        return answer.dry_run

    async def tick(self, location_name: str, sensor_name: str, tick_id: str) -> automation_pb2.Tick:
        """Return one evaluation of a sensor.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            tick_id: The evaluation; the first digits are enough.
        """
        request = automation_pb2.GetTickRequest(
            location_name=location_name, sensor_name=sensor_name, tick_id=tick_id
        )
        return (await self._caller.unary(self._stub.GetTick, request)).tick

    def ticks(
        self,
        location_name: str,
        sensor_name: str,
        *,
        statuses: Sequence["automation_pb2.TickStatus.ValueType"] = (),
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[automation_pb2.Tick]:
        """Yield the evaluations of a sensor, newest first.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            statuses: Only evaluations with one of these outcomes; empty means all.
            started_from: Only evaluations that began then or later; None means all.
            started_before: Only evaluations that began before; None means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[automation_pb2.Tick], str]:
            request = automation_pb2.ListTicksRequest(
                location_name=location_name,
                sensor_name=sensor_name,
                page_size=size,
                page_token=token,
                statuses=statuses,
                started_from=calls.timestamp(started_from),
                started_before=calls.timestamp(started_before),
            )
            answer = await self._caller.unary(self._stub.ListTicks, request)
            return answer.ticks, answer.next_page_token

        return calls.paged(fetch, limit)
