"""A mesh of 100 simulated locations with 1,000 asset sensors that each watch the next location.

There are as many schedules, none of which is due while anything is measured.

Used by the cases that measure automation as a company has it. The locations speak the real
protocol; what they answer costs nothing, so that the host and Postgres are measured.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator
from typing import Any

from atoll.client import runs
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import mesh_pb2_grpc
from benchmarks import rig, simulated_location

LOCATIONS = 100
SENSORS_EACH = 10
SCHEDULES_EACH = 10
PRODUCER_JOB = "produce"
_TIMEOUT_S = 120


class SensingLocation(simulated_location.SimulatedLocation):
    """A location whose sensors look at their event and ask for nothing.

    Attributes:
        evaluated: When each event reached it, by the id of the event.
        heard: Set whenever one did.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"location{number}", snapshot(number))
        self.evaluated: dict[int, float] = {}
        self.heard = asyncio.Event()

    async def EvaluateSensor(  # noqa: N802
        self, request: location_pb2.EvaluateSensorRequest, _context: object
    ) -> location_pb2.EvaluateSensorResponse:
        """Note the event and skip."""
        event_id = request.triggering_event.id
        self.evaluated.setdefault(event_id, time.perf_counter())
        self.heard.set()
        return location_pb2.EvaluateSensorResponse(
            build_id=self.build_id, skip_reason="seen", cursor=str(event_id)
        )


class Producer:
    """Appends materializations in the name of one location, in a run of its own."""

    def __init__(self, location: SensingLocation, run_id: str, call: Any) -> None:
        self._location = location
        self._run_id = run_id
        self._call = call
        self._numbers = itertools.count(1)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, mesh: rig.Mesh, location: SensingLocation, channel: Any
    ) -> AsyncGenerator["Producer", None]:
        """Launch the run, take it over, and open the stream."""
        await mesh.client.runs.launch(runs.Launch(PRODUCER_JOB, location_name=location.name))
        async with asyncio.timeout(_TIMEOUT_S):
            run_id = (await location.started.get()).run_id
        call = mesh_pb2_grpc.MeshServiceStub(channel).AppendEvents()
        producer = cls(location, run_id, call)
        try:
            yield producer
        finally:
            call.cancel()

    async def materialize(self, paths: list[list[str]]) -> None:
        """Append one materialization for each path, and wait until they are durable."""
        events = [self._event(path) for path in paths]
        await self._call.write(self._location.batch(events))
        answer = await self._call.read()
        (acknowledged,) = answer.acknowledgements
        if acknowledged.acknowledged_seq != events[-1].seq:
            raise RuntimeError(f"not all of a batch was stored: {answer}")

    def _event(self, path: list[str]) -> events_pb2.Event:
        event = events_pb2.Event(
            run_id=self._run_id, seq=next(self._numbers), job_name=PRODUCER_JOB
        )
        event.timestamp.GetCurrentTime()
        event.asset_materialization.asset_key.path.extend(path)
        return event


@contextlib.asynccontextmanager
async def joined(mesh: rig.Mesh) -> AsyncGenerator[list[tuple[SensingLocation, Any]], None]:
    """Have all locations join; gives each with its channel, once the host knows all sensors."""
    async with contextlib.AsyncExitStack() as stack:
        locations = [SensingLocation(number) for number in range(LOCATIONS)]
        channels = [
            await stack.enter_async_context(simulated_location.join(each, mesh.address))
            for each in locations
        ]

        async def all_known() -> bool:
            sensors = len([s async for s in mesh.client.sensors.list()])
            schedules = len([s async for s in mesh.client.schedules.list()])
            return (sensors, schedules) == (LOCATIONS * SENSORS_EACH, LOCATIONS * SCHEDULES_EACH)

        await rig.until(all_known, "the host knows all sensors and schedules")
        yield list(zip(locations, channels, strict=True))


def asset_path(number: int, index: int) -> list[str]:
    """Return the key of an asset of a location."""
    return [f"location{number % LOCATIONS}", f"asset{index}"]


def snapshot(number: int) -> snapshot_pb2.LocationSnapshot:
    """Return sensors that each watch an asset of the next location, and schedules."""
    made = snapshot_pb2.LocationSnapshot()
    for index in range(SENSORS_EACH):
        own = values_pb2.AssetKey(path=asset_path(number, index))
        watched = values_pb2.AssetKey(path=asset_path(number + 1, index))
        made.assets.add(
            key=own, executable=True, op_name=f"location{number}__asset{index}", group_name="g"
        )
        made.jobs.add(name=f"job{index}", asset_keys=[own])
        made.sensors.add(
            name=f"sensor{index}",
            kind=snapshot_pb2.SENSOR_KIND_ASSET,
            job_names=[f"job{index}"],
            monitored_assets=[watched],
            default_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
        )
    made.jobs.add(name=PRODUCER_JOB)
    for index in range(SCHEDULES_EACH):
        made.schedules.add(
            name=f"schedule{index}",
            job_name=PRODUCER_JOB,
            cron_schedules=[f"{number % 60} {_hour_far_from_now(index)} * * *"],
            execution_timezone="UTC",
            default_status=snapshot_pb2.SCHEDULE_STATUS_RUNNING,
        )
    return made


def _hour_far_from_now(index: int) -> int:
    """Return an hour of the day, by UTC, that does not come soon."""
    return (time.gmtime().tm_hour + 6 + index) % 24
