# ruff: noqa: N802 - the names of rpcs
"""A host for tests of the client: real gRPC on loopback, answers from lists, faults on request.

It keeps what it was asked, so that a test can say what reached the host. It decides nothing.
"""

import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

from atoll._rpc import errors, info, reasons, serving
from atoll.api.v1 import (
    assets_pb2,
    assets_pb2_grpc,
    automation_pb2,
    automation_pb2_grpc,
    backfills_pb2_grpc,
    checks_pb2,
    checks_pb2_grpc,
    conditions_pb2,
    conditions_pb2_grpc,
    events_pb2_grpc,
    locations_pb2,
    locations_pb2_grpc,
    partitions_pb2,
    partitions_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
    schedules_pb2,
    schedules_pb2_grpc,
)
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.rpc.v1 import server_info_pb2
from tests.code_server.cli_client import scripted_backfills


def away() -> errors.UnavailableError:
    return errors.UnavailableError("The storage is away.", reason=reasons.STORAGE_UNAVAILABLE)


class ScriptedHost(
    locations_pb2_grpc.LocationsServiceServicer,
    assets_pb2_grpc.AssetsServiceServicer,
    checks_pb2_grpc.ChecksServiceServicer,
    automation_pb2_grpc.SensorsServiceServicer,
    schedules_pb2_grpc.SchedulesServiceServicer,
    runs_pb2_grpc.RunsServiceServicer,
    events_pb2_grpc.EventsServiceServicer,
    partitions_pb2_grpc.PartitionsServiceServicer,
    conditions_pb2_grpc.ConditionsServiceServicer,
):
    """Answers from its attributes."""

    def __init__(self) -> None:
        self.locations: list[locations_pb2.Location] = []
        self.features = ("checks",)
        self.checks: list[checks_pb2.AssetCheck] = []
        self.asset_definition = snapshot_pb2.AssetDefinition()
        self.job = locations_pb2.GetJobResponse()
        self.conditions: list[conditions_pb2.ConditionTarget] = []
        self.evaluations: list[conditions_pb2.ConditionEvaluation] = []
        self.asked_entities: list[str] = []
        self.sensors: list[automation_pb2.Sensor] = []
        self.ticks: list[automation_pb2.Tick] = []
        self.schedules: list[schedules_pb2.Schedule] = []
        self.schedule_ticks: list[automation_pb2.Tick] = []
        self.webhook_address = ""
        self.resets: list[automation_pb2.ResetSensorCursorRequest] = []
        self.runs: dict[str, runs_pb2.Run] = {}
        self.run_by_request: dict[str, str] = {}
        self.events: list[events_pb2.StoredEvent] = []
        self.filters: list[runs_pb2.RunFilter] = []
        self.run_counts: list[runs_pb2.RunCount] = []
        # What a watch of a run tells, and after how many states its connection breaks once.
        self.run_states: list[int] = []
        self.run_watch_breaks_after: int | None = None
        self.reexecutions: list[runs_pb2.ReexecuteRunRequest] = []
        self.dry_run = automation_pb2.DryRun()
        self.dry_runs: list = []
        self.output: list[runs_pb2.GetRunOutputResponse] = []
        self.launches: list[runs_pb2.LaunchRunRequest] = []
        self.watches: list[api_pb2.WatchEventsRequest] = []
        self.page_sizes: list[int] = []
        # How often the next launches are answered with "away" after they were carried out.
        self.launch_answers_lost = 0
        # How often the next looks at a run are answered with "away".
        self.looks_lost = 0
        # How many events a watch sends before its connection breaks; None means all.
        self.watch_breaks_after: int | None = None
        self.watch_error: errors.RpcError | None = None
        self.partitions: dict[str, list[str]] = {}
        self.request_ids: list[str] = []
        # How often the next changes of partitions are answered with "away" after they were made.
        self.partition_answers_lost = 0
        self.backfills = scripted_backfills.ScriptedBackfills()
        self.assets: list[assets_pb2.Asset] = []

    def add_partitions(self, name: str, keys: list[str]) -> int:
        known = self.partitions.setdefault(name, [])
        new = [key for key in keys if key not in known]
        known += new
        return len(new)

    async def ListDynamicPartitions(self, request, context):
        keys = self.partitions.get(request.partitions_def_name, [])
        found = [partitions_pb2.DynamicPartition(partition_key=key) for key in keys]
        for each in found:
            each.create_time.FromJsonString("2026-01-02T03:04:05Z")
        return partitions_pb2.ListDynamicPartitionsResponse(partitions=found)

    async def AddDynamicPartitions(self, request, context):
        self.request_ids.append(request.request_id)
        count = self.add_partitions(request.partitions_def_name, list(request.partition_keys))
        if self.partition_answers_lost:
            self.partition_answers_lost -= 1
            raise away()
        return partitions_pb2.AddDynamicPartitionsResponse(added_count=count)

    async def DeleteDynamicPartitions(self, request, context):
        self.request_ids.append(request.request_id)
        known = self.partitions.setdefault(request.partitions_def_name, [])
        gone = [key for key in request.partition_keys if key in known]
        for key in gone:
            known.remove(key)
        return partitions_pb2.DeleteDynamicPartitionsResponse(deleted_count=len(gone))

    async def ListLocations(self, request, context):
        begin = int(request.page_token or 0)
        self.page_sizes.append(request.page_size)
        end = begin + min(request.page_size, 2)
        more = str(end) if end < len(self.locations) else ""
        return locations_pb2.ListLocationsResponse(
            locations=self.locations[begin:end], next_page_token=more
        )

    async def GetLocation(self, request, context):
        for location in self.locations:
            if location.name == request.name:
                return locations_pb2.GetLocationResponse(location=location)
        raise errors.NotFoundError("No such location.", reason=reasons.UNKNOWN_LOCATION)

    async def GetJob(self, request, context):
        return self.job

    async def GetAsset(self, request, context):
        asset = assets_pb2.Asset(owner_location_name="sales")
        asset.definition.CopyFrom(self.asset_definition)
        asset.definition.key.CopyFrom(request.asset_key)
        return assets_pb2.GetAssetResponse(asset=asset)

    async def ListMaterializations(self, request, context):
        return assets_pb2.ListMaterializationsResponse()

    async def ListAssets(self, request, context):
        return assets_pb2.ListAssetsResponse(assets=self.assets)

    async def ListAssetChecks(self, request, context):
        return checks_pb2.ListAssetChecksResponse(checks=self.checks)

    async def GetAssetCheck(self, request, context):
        for check in self.checks:
            if check.definition.key == request.key:
                return checks_pb2.GetAssetCheckResponse(check=check)
        raise errors.NotFoundError("No such check.", reason=reasons.UNKNOWN_CHECK)

    async def ListAssetCheckEvaluations(self, request, context):
        return checks_pb2.ListAssetCheckEvaluationsResponse(evaluations=self.events)

    async def ListSensors(self, request, context):
        return automation_pb2.ListSensorsResponse(sensors=self.sensors)

    async def StartSensor(self, request, context):
        for sensor in self.sensors:
            if sensor.location_name == request.location_name:
                sensor.status = 1
                return automation_pb2.StartSensorResponse(sensor=sensor)
        raise errors.NotFoundError("No such sensor.", reason=reasons.UNKNOWN_SENSOR)

    async def GetSensor(self, request, context):
        return automation_pb2.GetSensorResponse(sensor=self.sensors[0])

    async def ResetSensorCursor(self, request, context):
        self.resets.append(request)
        self.sensors[0].cursor = request.cursor
        return automation_pb2.ResetSensorCursorResponse(sensor=self.sensors[0])

    async def CreateWebhookSecret(self, request, context):
        return automation_pb2.CreateWebhookSecretResponse(
            secret="s3cret",
            path=f"/webhooks/{request.location_name}/{request.sensor_name}",
            listen_address=self.webhook_address,
        )

    async def GetTick(self, request, context):
        for tick in self.ticks:
            if tick.tick_id.startswith(request.tick_id):
                return automation_pb2.GetTickResponse(tick=tick)
        raise errors.NotFoundError("No such tick.", reason=reasons.UNKNOWN_TICK)

    async def ListTicks(self, request, context):
        return automation_pb2.ListTicksResponse(ticks=self.ticks)

    async def ListSchedules(self, request, context):
        return schedules_pb2.ListSchedulesResponse(schedules=self.schedules)

    def schedule(self, location_name: str) -> schedules_pb2.Schedule:
        for schedule in self.schedules:
            if schedule.location_name == location_name:
                return schedule
        raise errors.NotFoundError("No such schedule.", reason=reasons.UNKNOWN_SCHEDULE)

    async def GetSchedule(self, request, context):
        return schedules_pb2.GetScheduleResponse(schedule=self.schedule(request.location_name))

    async def StartSchedule(self, request, context):
        found = self.schedule(request.location_name)
        found.status = snapshot_pb2.SCHEDULE_STATUS_RUNNING
        return schedules_pb2.StartScheduleResponse(schedule=found)

    async def StopSchedule(self, request, context):
        found = self.schedule(request.location_name)
        found.status = snapshot_pb2.SCHEDULE_STATUS_STOPPED
        return schedules_pb2.StopScheduleResponse(schedule=found)

    async def ListScheduleTicks(self, request, context):
        return schedules_pb2.ListScheduleTicksResponse(ticks=self.schedule_ticks)

    async def LaunchRun(self, request, context):
        self.launches.append(request)
        run_id = self.run_by_request.setdefault(request.request_id, str(uuid.uuid4()))
        run = self.runs.setdefault(
            run_id,
            runs_pb2.Run(
                run_id=run_id,
                job_name=request.job_name,
                location_name=request.location_name or "sales",
                status=runs_pb2.RUN_STATUS_QUEUED,
                tags=request.tags,
            ),
        )
        if self.launch_answers_lost:
            self.launch_answers_lost -= 1
            raise away()
        return runs_pb2.LaunchRunResponse(run=run)

    async def GetRun(self, request, context):
        if self.looks_lost:
            self.looks_lost -= 1
            raise away()
        if request.run_id not in self.runs:
            raise errors.NotFoundError(
                f"There is no run {request.run_id!r}. See them with 'atoll runs list'.",
                reason=reasons.UNKNOWN_RUN,
                metadata={"run_id": request.run_id},
            )
        return runs_pb2.GetRunResponse(run=self.runs[request.run_id])

    async def ListConditions(self, request, context):
        return conditions_pb2.ListConditionsResponse(targets=self.conditions)

    async def GetCondition(self, request, context):
        self.asked_entities.append(str(request.entity))
        found = [each for each in self.conditions if each.entity == request.entity]
        if not found:
            raise errors.NotFoundError(
                "No location gives it a condition.", reason=reasons.UNKNOWN_CONDITION
            )
        return conditions_pb2.GetConditionResponse(target=found[0])

    async def ListEvaluations(self, request, context):
        found = [each for each in self.evaluations if each.entity == request.entity]
        return conditions_pb2.ListEvaluationsResponse(
            evaluations=[
                each for each in found if each.requested.count or not request.requested_only
            ]
        )

    async def GetEvaluation(self, request, context):
        found = [
            each
            for each in self.evaluations
            if request.evaluation_id in {0, each.evaluation_id} and each.entity == request.entity
        ]
        return conditions_pb2.GetEvaluationResponse(evaluation=found[0])

    async def ListRuns(self, request, context):
        self.filters.append(request.filter)
        return runs_pb2.ListRunsResponse(runs=self.runs.values())

    async def CountRuns(self, request, context):
        self.filters.append(request.filter)
        return runs_pb2.CountRunsResponse(counts=self.run_counts)

    async def WatchRun(self, request, context) -> AsyncIterator[runs_pb2.WatchRunResponse]:
        begin = int(request.resume_token or 0)
        for number, status in enumerate(self.run_states[begin:], begin + 1):
            run = runs_pb2.Run(run_id=request.run_id, status=status)
            yield runs_pb2.WatchRunResponse(run=run, resume_token=str(number))
            if self.run_watch_breaks_after == number:
                self.run_watch_breaks_after = None
                raise away()

    async def ReexecuteRun(self, request, context):
        self.reexecutions.append(request)
        run = runs_pb2.Run(run_id="again", parent_run_id=request.run_id, tags=request.tags)
        return runs_pb2.ReexecuteRunResponse(run=run)

    async def CancelRuns(self, request, context):
        self.filters.append(request.filter)
        begin = int(request.page_token or 0)
        runs = list(self.runs.values())[begin : begin + 2]
        more = str(begin + 2) if begin + 2 < len(self.runs) else ""
        return runs_pb2.CancelRunsResponse(runs=runs, next_page_token=more)

    async def DeleteRun(self, request, context):
        del self.runs[request.run_id]
        return runs_pb2.DeleteRunResponse()

    async def WatchRunOutput(
        self, request, context
    ) -> AsyncIterator[runs_pb2.WatchRunOutputResponse]:
        for number, piece in enumerate(self.output, 1):
            if number > int(request.resume_token or 0):
                yield runs_pb2.WatchRunOutputResponse(pieces=[piece], resume_token=str(number))

    async def DryRunSensor(self, request, context):
        self.dry_runs.append(request)
        return automation_pb2.DryRunSensorResponse(dry_run=self.dry_run)

    async def DryRunSchedule(self, request, context):
        self.dry_runs.append(request)
        return schedules_pb2.DryRunScheduleResponse(dry_run=self.dry_run)

    async def GetScheduleTick(self, request, context):
        return schedules_pb2.GetScheduleTickResponse(tick=self.schedule_ticks[0])

    async def ListEvents(self, request, context):
        return api_pb2.ListEventsResponse(events=self.events)

    async def GetRunOutput(self, request, context) -> AsyncIterator[runs_pb2.GetRunOutputResponse]:
        for piece in self.output:
            yield piece

    async def WatchEvents(self, request, context) -> AsyncIterator[api_pb2.WatchEventsResponse]:
        self.watches.append(api_pb2.WatchEventsRequest.FromString(request.SerializeToString()))
        if self.watch_error is not None:
            raise self.watch_error
        after = int(request.resume_token or 0)
        sent = 0
        for stored in self.events:
            if stored.id <= after:
                continue
            if self.watch_breaks_after is not None and sent >= self.watch_breaks_after:
                raise away()
            yield api_pb2.WatchEventsResponse(events=[stored], resume_token=str(stored.id))
            sent += 1
        yield api_pb2.WatchEventsResponse(resume_token=str(max(after, len(self.events))))


_SERVICES = {
    "LocationsService": locations_pb2_grpc.add_LocationsServiceServicer_to_server,
    "AssetsService": assets_pb2_grpc.add_AssetsServiceServicer_to_server,
    "ChecksService": checks_pb2_grpc.add_ChecksServiceServicer_to_server,
    "SensorsService": automation_pb2_grpc.add_SensorsServiceServicer_to_server,
    "SchedulesService": schedules_pb2_grpc.add_SchedulesServiceServicer_to_server,
    "RunsService": runs_pb2_grpc.add_RunsServiceServicer_to_server,
    "EventsService": events_pb2_grpc.add_EventsServiceServicer_to_server,
    "PartitionsService": partitions_pb2_grpc.add_PartitionsServiceServicer_to_server,
    "ConditionsService": conditions_pb2_grpc.add_ConditionsServiceServicer_to_server,
}


@contextlib.asynccontextmanager
async def serving_host(
    host: ScriptedHost,
    *,
    kind: int = server_info_pb2.SERVER_KIND_HOST,
) -> AsyncGenerator[str, None]:
    """Serve a scripted host on a free port and yield its address."""
    server = serving.GrpcServer(
        "127.0.0.1:0",
        facts=info.ServerFacts(
            kind=kind, version="0.1.0", instance_id="test", features=host.features
        ),
        services=[
            *(
                serving.Service(f"atoll.api.v1.{name}", add, host)
                for name, add in _SERVICES.items()
            ),
            serving.Service(
                "atoll.api.v1.BackfillsService",
                backfills_pb2_grpc.add_BackfillsServiceServicer_to_server,
                host.backfills,
            ),
        ],
    )
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop(0.0)
