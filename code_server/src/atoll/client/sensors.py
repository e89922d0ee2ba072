"""Sensors and their ticks, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import automation_pb2, automation_pb2_grpc
from atoll.client import calls


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

    def ticks(
        self,
        location_name: str,
        sensor_name: str,
        *,
        statuses: Sequence["automation_pb2.TickStatus.ValueType"] = (),
        limit: int | None = None,
    ) -> AsyncIterator[automation_pb2.Tick]:
        """Yield the evaluations of a sensor, newest first.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            statuses: Only evaluations with one of these outcomes; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[automation_pb2.Tick], str]:
            request = automation_pb2.ListTicksRequest(
                location_name=location_name,
                sensor_name=sensor_name,
                page_size=size,
                page_token=token,
                statuses=statuses,
            )
            answer = await self._caller.unary(self._stub.ListTicks, request)
            return answer.ticks, answer.next_page_token

        return calls.paged(fetch, limit)
