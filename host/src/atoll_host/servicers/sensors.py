"""SensorsService: sensors and their ticks, for everyone."""

import functools
import secrets
from collections.abc import Callable, Mapping, Sequence
from urllib import parse

from atoll.api.v1 import automation_pb2, automation_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import changes as host_changes
from atoll_host import errors
from atoll_host.api import dry_runs, pages, rendering
from atoll_host.automation.sensors import resetting
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts, tick_pages
from atoll_storage import database, records

_SECRET_BYTES = 32


class SensorsServicer(automation_pb2_grpc.SensorsServiceServicer):
    """Shows and steers sensors."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        changes: host_changes.Changes,
        webhook_address: Callable[[], str],
        dry: dry_runs.DryRuns,
    ) -> None:
        self._store = store.sensors
        self._events = store.events
        self._webhooks = store.webhooks
        self._registry = registry
        self._changes = changes
        self._webhook_address = webhook_address
        self._dry_runs = dry

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
        shown, token = page.of_sorted(sorted(defined))
        keys = [records.SensorKey(*name) for name in shown]
        states = {state.key: state for state in await self._store.states()} if keys else {}
        ticks = await self._store.latest_ticks(keys) if keys else {}
        webhooks = await self._webhooks.states(_hooks(keys, defined))
        return automation_pb2.ListSensorsResponse(
            sensors=[
                rendering.sensor(
                    key.location_name,
                    defined[key.location_name, key.sensor_name],
                    states.get(key),
                    ticks.get(key),
                    webhooks.get(key),
                )
                for key in keys
            ],
            next_page_token=token,
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

    async def ResetSensorCursor(
        self, request: automation_pb2.ResetSensorCursorRequest, context: contexts.Context
    ) -> automation_pb2.ResetSensorCursorResponse:
        """Set or clear a sensor's cursor, or where in the log it goes on."""
        definition, key = self._find(request.location_name, request.sensor_name)
        reset = resetting.reset_of(request, definition, await self._events.head())
        await self._store.ensure([key])
        state = await self._store.reset(key, reset)
        self._changes.sensors.set()
        return automation_pb2.ResetSensorCursorResponse(
            sensor=await self._rendered(definition, key, state)
        )

    async def CreateWebhookSecret(
        self, request: automation_pb2.CreateWebhookSecretRequest, context: contexts.Context
    ) -> automation_pb2.CreateWebhookSecretResponse:
        """Make the secret that deliveries to a webhook sensor are signed with."""
        definition, key = self._find(request.location_name, request.sensor_name)
        if definition.kind != snapshot_pb2.SENSOR_KIND_WEBHOOK:
            raise errors.InvalidRequest(
                f"Sensor {key.sensor_name!r} of location {key.location_name!r} takes no webhooks, "
                "so it needs no secret. Name one that @webhook_sensor made.",
                field="sensor_name",
            )
        await self._store.ensure([key])
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        await self._webhooks.set_secret(key, secret.encode())
        names = (parse.quote(name, safe="") for name in (key.location_name, key.sensor_name))
        return automation_pb2.CreateWebhookSecretResponse(
            secret=secret,
            path="/webhooks/" + "/".join(names),
            listen_address=self._webhook_address(),
        )

    async def GetTick(
        self, request: automation_pb2.GetTickRequest, context: contexts.Context
    ) -> automation_pb2.GetTickResponse:
        """Return one evaluation of a sensor."""
        _, key = self._find(request.location_name, request.sensor_name)
        tick = await tick_pages.one(
            request.tick_id,
            f"sensor {key.sensor_name!r}",
            functools.partial(self._store.find_ticks, key),
            errors.UnknownTick(request.tick_id, key.location_name, f"Sensor {key.sensor_name!r}"),
        )
        return automation_pb2.GetTickResponse(tick=tick)

    async def DryRunSensor(
        self, request: automation_pb2.DryRunSensorRequest, context: contexts.Context
    ) -> automation_pb2.DryRunSensorResponse:
        """Tell what a tick of a sensor would decide."""
        self._find(request.location_name, request.sensor_name)
        dry_run = await self._dry_runs.sensor(request)
        return automation_pb2.DryRunSensorResponse(dry_run=dry_run)

    async def ListTicks(
        self, request: automation_pb2.ListTicksRequest, context: contexts.Context
    ) -> automation_pb2.ListTicksResponse:
        """Return the evaluations of a sensor, newest first."""
        page = pages.Page(request)
        _, key = self._find(request.location_name, request.sensor_name)
        read = functools.partial(self._store.ticks, key)
        shown, token = await tick_pages.answer(request, page, read)
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
        name = (key.location_name, key.sensor_name)
        webhooks = await self._webhooks.states(_hooks([key], {name: definition}))
        return rendering.sensor(
            key.location_name, definition, state, ticks.get(key), webhooks.get(key)
        )


def _hooks(
    keys: Sequence[records.SensorKey],
    defined: Mapping[tuple[str, str], snapshot_pb2.SensorDefinition],
) -> list[records.SensorKey]:
    """Return those of the sensors that take webhooks."""
    webhook = snapshot_pb2.SENSOR_KIND_WEBHOOK
    return [key for key in keys if defined[key.location_name, key.sensor_name].kind == webhook]
