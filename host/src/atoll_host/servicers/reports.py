"""ReportsService: takes reports on assets from outside, for everyone."""

from google.protobuf import timestamp_pb2

from atoll.api.v1 import reports_pb2, reports_pb2_grpc
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import errors
from atoll_host.api import reporting
from atoll_host.servicers import contexts

FAILURE_REASON = "It failed outside."


class ReportsServicer(reports_pb2_grpc.ReportsServiceServicer):
    """Takes reports."""

    def __init__(self, reports: reporting.Reporting) -> None:
        self._reports = reports

    async def ReportMaterialization(
        self, request: reports_pb2.ReportMaterializationRequest, context: contexts.Context
    ) -> reports_pb2.ReportMaterializationResponse:
        """Take note that an asset was materialized."""
        event = _event(request.event_time if request.HasField("event_time") else None)
        event.asset_materialization.CopyFrom(
            events_pb2.AssetMaterialization(
                asset_key=request.asset_key,
                partition=request.partition,
                description=request.description,
                metadata=request.metadata,
                tags=reporting.checked_tags(
                    request.tags, request.data_version, request.code_version
                ),
            )
        )
        report = _report(event, request.asset_key, request)
        event_id = await self._reports.report(report)
        return reports_pb2.ReportMaterializationResponse(event_id=event_id)

    async def ReportObservation(
        self, request: reports_pb2.ReportObservationRequest, context: contexts.Context
    ) -> reports_pb2.ReportObservationResponse:
        """Take note of what was observed of an asset."""
        event = _event(request.event_time if request.HasField("event_time") else None)
        event.asset_observation.CopyFrom(
            events_pb2.AssetObservation(
                asset_key=request.asset_key,
                partition=request.partition,
                description=request.description,
                metadata=request.metadata,
                tags=reporting.checked_tags(request.tags, request.data_version),
            )
        )
        report = _report(event, request.asset_key, request, needs_partition=False)
        event_id = await self._reports.report(report)
        return reports_pb2.ReportObservationResponse(event_id=event_id)

    async def ReportCheckEvaluation(
        self, request: reports_pb2.ReportCheckEvaluationRequest, context: contexts.Context
    ) -> reports_pb2.ReportCheckEvaluationResponse:
        """Take note of what a check found."""
        key = request.check_key
        if not key.name:
            raise errors.InvalidRequest(
                "The key of a check names the asset and the check. Give both.", field="check_key"
            )
        event = _event(request.event_time if request.HasField("event_time") else None)
        event.asset_check_evaluation.CopyFrom(
            events_pb2.AssetCheckEvaluation(
                asset_key=key.asset_key,
                partition=request.partition,
                check_name=key.name,
                passed=request.passed,
                severity=_severity(request.severity),
                description=request.description,
                metadata=request.metadata,
            )
        )
        report = _report(event, key.asset_key, request, check_name=key.name)
        event_id = await self._reports.report(report)
        return reports_pb2.ReportCheckEvaluationResponse(event_id=event_id)

    async def ReportMaterializationStarted(
        self, request: reports_pb2.ReportMaterializationStartedRequest, context: contexts.Context
    ) -> reports_pb2.ReportMaterializationStartedResponse:
        """Take note that an asset is being materialized."""
        event = _event(request.event_time if request.HasField("event_time") else None)
        event.asset_materialization_planned.CopyFrom(
            events_pb2.AssetMaterializationPlanned(
                asset_key=request.asset_key, partition=request.partition
            )
        )
        event_id = await self._reports.report(_report(event, request.asset_key, request))
        return reports_pb2.ReportMaterializationStartedResponse(event_id=event_id)

    async def ReportMaterializationFailure(
        self, request: reports_pb2.ReportMaterializationFailureRequest, context: contexts.Context
    ) -> reports_pb2.ReportMaterializationFailureResponse:
        """Take note that an asset could not be materialized."""
        event = _event(request.event_time if request.HasField("event_time") else None)
        event.asset_failed_to_materialize.CopyFrom(
            events_pb2.AssetFailedToMaterialize(
                asset_key=request.asset_key,
                partition=request.partition,
                reason=request.reason or FAILURE_REASON,
            )
        )
        event_id = await self._reports.report(_report(event, request.asset_key, request))
        return reports_pb2.ReportMaterializationFailureResponse(event_id=event_id)


_Request = (
    reports_pb2.ReportMaterializationRequest
    | reports_pb2.ReportObservationRequest
    | reports_pb2.ReportCheckEvaluationRequest
    | reports_pb2.ReportMaterializationStartedRequest
    | reports_pb2.ReportMaterializationFailureRequest
)


def _event(moment: timestamp_pb2.Timestamp | None) -> events_pb2.Event:
    event = events_pb2.Event()
    if moment is not None:
        event.timestamp.CopyFrom(moment)
    return event


def _report(
    event: events_pb2.Event,
    key: values_pb2.AssetKey,
    request: _Request,
    *,
    check_name: str = "",
    needs_partition: bool = True,
) -> reporting.Report:
    return reporting.Report(
        event=event,
        path=tuple(key.path),
        partition=request.partition,
        check_name=check_name,
        needs_partition=needs_partition,
        allow_undefined=request.allow_undefined,
        request_id=request.request_id,
    )


def _severity(
    given: "events_pb2.AssetCheckSeverity.ValueType",
) -> "events_pb2.AssetCheckSeverity.ValueType":
    if given not in events_pb2.AssetCheckSeverity.values():
        raise errors.InvalidRequest(
            f"{given} is no severity. Name one of atoll.events.v1.AssetCheckSeverity.",
            field="severity",
        )
    return given or events_pb2.ASSET_CHECK_SEVERITY_ERROR
