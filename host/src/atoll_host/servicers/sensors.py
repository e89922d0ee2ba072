"""SensorsService: sensors and their ticks, for everyone."""

import bisect
import datetime as dt
from typing import Any

from atoll.api.v1 import automation_pb2, automation_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import changes as host_changes
from atoll_host import errors
from atoll_host.api import pages, rendering
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import records, sensor_store


class SensorsServicer(automation_pb2_grpc.SensorsServiceServicer):
    """Shows and steers sensors."""

    def __init__(
        self,
        store: sensor_store.SensorStore,
        registry: registries.Registry,
        changes: host_changes.Changes,
    ) -> None:
        self._store = store
        self._registry = registry
        self._changes = changes

    async def ListSensors(
        self, request: automation_pb2.ListSensorsRequest, context: contexts.Context
    ) -> automation_pb2.ListSensorsResponse:
        """Return the sensors of all locations, by location and name."""
        page = pages.Page(request)
        views = self._registry.locations()
        if request.location_name:
            views = {request.location_name: self._registry.location(request.location_name)}
        defined = {
            (name, sensor_name): sensor
            for name, view in views.items()
            if view.definitions is not None
            for sensor_name, sensor in view.definitions.sensors.items()
        }
        names = sorted(defined)
        start = bisect.bisect_right(names, tuple(map(str, page.after))) if page.after else 0
        shown = names[start : start + page.size]
        keys = [records.SensorKey(*name) for name in shown]
        states = {state.key: state for state in await self._store.states()} if keys else {}
        ticks = await self._store.latest_ticks(keys) if keys else {}
        more = start + page.size < len(names)
        return automation_pb2.ListSensorsResponse(
            sensors=[
                rendering.sensor(
                    key.location_name,
                    defined[key.location_name, key.sensor_name],
                    states.get(key),
                    ticks.get(key),
                )
                for key in keys
            ],
            next_page_token=page.token(*shown[-1]) if more else "",
        )

    async def GetSensor(
        self, request: automation_pb2.GetSensorRequest, context: contexts.Context
    ) -> automation_pb2.GetSensorResponse:
        """Return one sensor."""
        definition, key = self._find(request.location_name, request.sensor_name)
        state = await self._store.state(key)
        return automation_pb2.GetSensorResponse(sensor=await self._rendered(definition, key, state))

    async def StartSensor(
        self, request: automation_pb2.StartSensorRequest, context: contexts.Context
    ) -> automation_pb2.StartSensorResponse:
        """Have the host evaluate a sensor from now on."""
        definition, key = self._find(request.location_name, request.sensor_name)
        state = await self._set_running(key, running=True)
        return automation_pb2.StartSensorResponse(
            sensor=await self._rendered(definition, key, state)
        )

    async def StopSensor(
        self, request: automation_pb2.StopSensorRequest, context: contexts.Context
    ) -> automation_pb2.StopSensorResponse:
        """Have the host leave a sensor alone; its cursor stays."""
        definition, key = self._find(request.location_name, request.sensor_name)
        state = await self._set_running(key, running=False)
        return automation_pb2.StopSensorResponse(
            sensor=await self._rendered(definition, key, state)
        )

    async def ListTicks(
        self, request: automation_pb2.ListTicksRequest, context: contexts.Context
    ) -> automation_pb2.ListTicksResponse:
        """Return the evaluations of a sensor, newest first."""
        page = pages.Page(request)
        _, key = self._find(request.location_name, request.sensor_name)
        before = None
        if page.after:
            before = (dt.datetime.fromisoformat(str(page.after[0])), str(page.after[1]))
        for status in request.statuses:
            if status not in automation_pb2.TickStatus.values() or not status:
                raise errors.InvalidRequest(
                    f"{status} is no outcome of a tick. Name one of atoll.api.v1.TickStatus.",
                    field="statuses",
                )
        statuses: Any = tuple(request.statuses)  # the stubs know enum values by another type
        found = await self._store.ticks(key, limit=page.size + 1, before=before, statuses=statuses)
        shown = found[: page.size]
        token = ""
        if len(found) > page.size:
            began = shown[-1].start_time.ToDatetime(dt.UTC)
            token = page.token(began.isoformat(), shown[-1].tick_id)
        return automation_pb2.ListTicksResponse(ticks=shown, next_page_token=token)

    def _find(
        self, location_name: str, sensor_name: str
    ) -> tuple[snapshot_pb2.SensorDefinition, records.SensorKey]:
        definition = self._registry.location(location_name).sensor(sensor_name)
        if definition is None:
            raise errors.UnknownSensor(location_name, sensor_name)
        return definition, records.SensorKey(location_name, sensor_name)

    async def _set_running(self, key: records.SensorKey, *, running: bool) -> records.SensorState:
        await self._store.ensure([key])
        state = await self._store.set_running(key, running)
        self._changes.sensors.set()
        return state

    async def _rendered(
        self,
        definition: snapshot_pb2.SensorDefinition,
        key: records.SensorKey,
        state: records.SensorState | None,
    ) -> automation_pb2.Sensor:
        ticks = await self._store.latest_ticks([key])
        return rendering.sensor(key.location_name, definition, state, ticks.get(key))
