"""The gRPC server of the host: its services, and what its errors become on the wire."""

import dataclasses

import grpc

from atoll._rpc import errors as rpc_errors
from atoll._rpc import info, reasons
from atoll._rpc import serving as rpc_serving
from atoll.api.v1 import (
    access_pb2_grpc,
    alerts_pb2_grpc,
    assets_pb2_grpc,
    audit_pb2_grpc,
    automation_pb2_grpc,
    backfills_pb2_grpc,
    builds_pb2_grpc,
    checks_pb2_grpc,
    conditions_pb2_grpc,
    events_pb2_grpc,
    freshness_pb2_grpc,
    graph_pb2_grpc,
    impact_pb2_grpc,
    jobs_pb2_grpc,
    locations_pb2_grpc,
    partitions_pb2_grpc,
    policy_pb2_grpc,
    pools_pb2_grpc,
    reports_pb2_grpc,
    retention_pb2_grpc,
    runs_pb2_grpc,
    schedules_pb2_grpc,
    server_pb2_grpc,
    subscriptions_pb2_grpc,
)
from atoll.mesh.v1 import mesh_pb2_grpc
from atoll.rpc.v1 import server_info_pb2
from atoll_host import errors
from atoll_host.access import gate
from atoll_host.servicers import (
    access,
    alerts,
    assets,
    audit,
    backfills,
    builds,
    checks,
    conditions,
    events,
    freshness,
    graph,
    guarding,
    impact,
    instance,
    jobs,
    locations,
    mesh,
    partitions,
    policy,
    pools,
    reports,
    retention,
    runs,
    schedules,
    sensors,
    server_limits,
    subscriptions,
)
from atoll_storage import errors as storage_errors

FEATURES = (
    "mesh",
    "sensors",
    "schedules",
    "conditions",
    "backfills",
    "runs",
    "events",
    "checks",
    "partitions",
    "pools",
    "graph",
    "reports",
    "jobs",
    "builds",
    "staleness",
    "asset_partitions",
    "limits",
    "policy",
    "impact",
    "freshness",
    "retention",
    "alerts",
    "access",
    "audit",
    "subscriptions",
    "control_tokens",
    "run_credentials",
)

_Code = grpc.StatusCode
_Mapped = rpc_errors.Mapped

ERROR_TABLE = rpc_errors.ErrorTable(
    {
        errors.InvalidRequest: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_REQUEST),
        errors.InvalidRunConfig: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_RUN_CONFIG),
        errors.InvalidPageToken: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_PAGE_TOKEN),
        errors.UnknownLocation: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_LOCATION),
        errors.UnknownBuild: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_BUILD),
        errors.UnknownJob: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_JOB),
        errors.UnknownAsset: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_ASSET),
        errors.UnknownCheck: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_CHECK),
        errors.UnknownSensor: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_SENSOR),
        errors.UnknownSchedule: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_SCHEDULE),
        errors.UnknownTick: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_TICK),
        errors.UnknownRun: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_RUN),
        errors.UnknownCondition: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_CONDITION),
        errors.UnknownEvaluation: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_EVALUATION),
        errors.UnknownBackfill: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_BACKFILL),
        errors.UnknownPool: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_POOL),
        errors.UnknownToken: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_TOKEN),
        errors.CredentialsMissing: _Mapped(_Code.UNAUTHENTICATED, reasons.CREDENTIALS_MISSING),
        errors.CredentialsInvalid: _Mapped(_Code.UNAUTHENTICATED, reasons.CREDENTIALS_INVALID),
        errors.RunCredentialInvalid: _Mapped(_Code.UNAUTHENTICATED, reasons.RUN_CREDENTIAL_INVALID),
        errors.UnknownSubscription: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_SUBSCRIPTION),
        errors.UnknownDelivery: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_DELIVERY),
        errors.SubscriptionExists: _Mapped(_Code.ALREADY_EXISTS, reasons.SUBSCRIPTION_EXISTS),
        errors.RequestIdReused: _Mapped(_Code.ALREADY_EXISTS, reasons.REQUEST_ID_REUSED),
        errors.RunNotEnded: _Mapped(_Code.FAILED_PRECONDITION, reasons.RUN_NOT_ENDED),
        errors.RunNeeded: _Mapped(_Code.FAILED_PRECONDITION, reasons.RUN_NEEDED),
        errors.EventsCompacted: _Mapped(_Code.OUT_OF_RANGE, reasons.RESUME_TOKEN_TOO_OLD),
        errors.PolicyForbids: _Mapped(_Code.PERMISSION_DENIED, reasons.POLICY_FORBIDS),
        errors.NotAllowed: _Mapped(_Code.PERMISSION_DENIED, reasons.NOT_ALLOWED),
        errors.Stopping: _Mapped(_Code.UNAVAILABLE, reasons.HOST_UNAVAILABLE),
        errors.LocationUnavailable: _Mapped(_Code.UNAVAILABLE, reasons.UNREACHABLE),
        errors.LocationRefused: _Mapped(_Code.FAILED_PRECONDITION, reasons.DRAINING),
        storage_errors.StorageUnavailable: _Mapped(_Code.UNAVAILABLE, reasons.STORAGE_UNAVAILABLE),
        storage_errors.InvalidValue: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_REQUEST),
        storage_errors.StaleEpoch: _Mapped(_Code.ABORTED, reasons.STALE_EPOCH),
        storage_errors.RunFenced: _Mapped(_Code.FAILED_PRECONDITION, reasons.STALE_ATTEMPT),
    }
)
"""What every error of the host and of storage that a caller may see becomes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Servicers:
    """Everything the host serves."""

    mesh: mesh.MeshServicer
    instance: instance.InstanceServicer
    locations: locations.LocationsServicer
    assets: assets.AssetsServicer
    checks: checks.ChecksServicer
    runs: runs.RunsServicer
    sensors: sensors.SensorsServicer
    schedules: schedules.SchedulesServicer
    events: events.EventsServicer
    partitions: partitions.PartitionsServicer
    conditions: conditions.ConditionsServicer
    backfills: backfills.BackfillsServicer
    freshness: freshness.FreshnessServicer
    retention: retention.RetentionServicer
    alerts: alerts.AlertsServicer
    subscriptions: subscriptions.SubscriptionsServicer
    pools: pools.PoolsServicer
    access: access.AccessServicer
    audit: audit.AuditServicer
    graph: graph.GraphServicer
    reports: reports.ReportsServicer
    jobs: jobs.JobsServicer
    builds: builds.BuildsServicer
    server: server_limits.ServerServicer
    policy: policy.PolicyServicer
    impact: impact.ImpactServicer


def reason_of(error: Exception) -> str:
    """Return the reason that callers are told of an exception."""
    described = ERROR_TABLE.describe(error)
    return reasons.INTERNAL if described is None else described.reason


def of_api(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return what is served to everybody, over gRPC and over HTTP."""
    return (
        *_of_everyone(servicers),
        *_of_definitions(servicers),
        *_of_automation(servicers),
        *_of_access(servicers),
    )


def server(
    listen: str,
    *,
    version: str,
    instance_id: str,
    servicers: Servicers,
    through: gate.Gate,
    security: rpc_serving.Security | None = None,
) -> rpc_serving.GrpcServer:
    """Return the server of a host, not started yet.

    Args:
        listen: Where to listen.
        version: The version of the distribution.
        instance_id: Identifies the host.
        servicers: What answers.
        through: What lets calls through.
        security: How connections are protected; None means not at all.

    Raises:
        atoll._rpc.errors.InvalidArgumentError: The address is none, or not loopback although
            nothing protects connections.
    """
    return rpc_serving.GrpcServer(
        listen,
        facts=info.ServerFacts(
            kind=server_info_pb2.SERVER_KIND_HOST,
            version=version,
            instance_id=instance_id,
            features=FEATURES,
        ),
        services=(*_of_locations(servicers), *of_api(servicers)),
        table=ERROR_TABLE,
        interceptors=(guarding.AccessInterceptor(through),),
        security=security,
    )


def _of_locations(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return what code servers speak to."""
    served = rpc_serving.Service
    return (
        served(
            "atoll.mesh.v1.MeshService",
            mesh_pb2_grpc.add_MeshServiceServicer_to_server,
            servicers.mesh,
        ),
        served(
            "atoll.mesh.v1.InstanceService",
            mesh_pb2_grpc.add_InstanceServiceServicer_to_server,
            servicers.instance,
        ),
    )


def _of_everyone(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return the API, but for what the host does by itself."""
    served = rpc_serving.Service
    return (
        served(
            "atoll.api.v1.LocationsService",
            locations_pb2_grpc.add_LocationsServiceServicer_to_server,
            servicers.locations,
        ),
        served(
            "atoll.api.v1.AssetsService",
            assets_pb2_grpc.add_AssetsServiceServicer_to_server,
            servicers.assets,
        ),
        served(
            "atoll.api.v1.ChecksService",
            checks_pb2_grpc.add_ChecksServiceServicer_to_server,
            servicers.checks,
        ),
        served(
            "atoll.api.v1.RunsService",
            runs_pb2_grpc.add_RunsServiceServicer_to_server,
            servicers.runs,
        ),
        served(
            "atoll.api.v1.EventsService",
            events_pb2_grpc.add_EventsServiceServicer_to_server,
            servicers.events,
        ),
        served(
            "atoll.api.v1.PartitionsService",
            partitions_pb2_grpc.add_PartitionsServiceServicer_to_server,
            servicers.partitions,
        ),
        served(
            "atoll.api.v1.PoolsService",
            pools_pb2_grpc.add_PoolsServiceServicer_to_server,
            servicers.pools,
        ),
        served(
            "atoll.api.v1.PolicyService",
            policy_pb2_grpc.add_PolicyServiceServicer_to_server,
            servicers.policy,
        ),
        served(
            "atoll.api.v1.ImpactService",
            impact_pb2_grpc.add_ImpactServiceServicer_to_server,
            servicers.impact,
        ),
    )


def _of_definitions(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return the API to the graph and the builds of locations, and to reports on assets."""
    served = rpc_serving.Service
    return (
        served(
            "atoll.api.v1.GraphService",
            graph_pb2_grpc.add_GraphServiceServicer_to_server,
            servicers.graph,
        ),
        served(
            "atoll.api.v1.ReportsService",
            reports_pb2_grpc.add_ReportsServiceServicer_to_server,
            servicers.reports,
        ),
        served(
            "atoll.api.v1.JobsService",
            jobs_pb2_grpc.add_JobsServiceServicer_to_server,
            servicers.jobs,
        ),
        served(
            "atoll.api.v1.BuildsService",
            builds_pb2_grpc.add_BuildsServiceServicer_to_server,
            servicers.builds,
        ),
        served(
            "atoll.api.v1.ServerService",
            server_pb2_grpc.add_ServerServiceServicer_to_server,
            servicers.server,
        ),
    )


def _of_automation(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return the API to what the host does by itself."""
    served = rpc_serving.Service
    return (
        served(
            "atoll.api.v1.SensorsService",
            automation_pb2_grpc.add_SensorsServiceServicer_to_server,
            servicers.sensors,
        ),
        served(
            "atoll.api.v1.SchedulesService",
            schedules_pb2_grpc.add_SchedulesServiceServicer_to_server,
            servicers.schedules,
        ),
        served(
            "atoll.api.v1.ConditionsService",
            conditions_pb2_grpc.add_ConditionsServiceServicer_to_server,
            servicers.conditions,
        ),
        served(
            "atoll.api.v1.BackfillsService",
            backfills_pb2_grpc.add_BackfillsServiceServicer_to_server,
            servicers.backfills,
        ),
        served(
            "atoll.api.v1.FreshnessService",
            freshness_pb2_grpc.add_FreshnessServiceServicer_to_server,
            servicers.freshness,
        ),
        served(
            "atoll.api.v1.AlertsService",
            alerts_pb2_grpc.add_AlertsServiceServicer_to_server,
            servicers.alerts,
        ),
        served(
            "atoll.api.v1.SubscriptionsService",
            subscriptions_pb2_grpc.add_SubscriptionsServiceServicer_to_server,
            servicers.subscriptions,
        ),
        served(
            "atoll.api.v1.RetentionService",
            retention_pb2_grpc.add_RetentionServiceServicer_to_server,
            servicers.retention,
        ),
    )


def _of_access(servicers: Servicers) -> tuple[rpc_serving.Service, ...]:
    """Return the API to who may call, and who did."""
    served = rpc_serving.Service
    return (
        served(
            "atoll.api.v1.AccessService",
            access_pb2_grpc.add_AccessServiceServicer_to_server,
            servicers.access,
        ),
        served(
            "atoll.api.v1.AuditService",
            audit_pb2_grpc.add_AuditServiceServicer_to_server,
            servicers.audit,
        ),
    )
