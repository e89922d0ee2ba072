"""Reports on assets that no run of the host made.

Every report has a request id of its own, so that one which is sent again because the host was away
is stored once.
"""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Mapping
from typing import TypeVar, cast

import grpc.aio

from atoll.api.v1 import reports_pb2, reports_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

_Request = TypeVar(
    "_Request",
    reports_pb2.ReportMaterializationRequest,
    reports_pb2.ReportObservationRequest,
    reports_pb2.ReportCheckEvaluationRequest,
    reports_pb2.ReportMaterializationStartedRequest,
    reports_pb2.ReportMaterializationFailureRequest,
)


@dataclasses.dataclass(frozen=True)
class Told:
    """What a report tells beside the asset.

    Attributes:
        partition: The partition; empty for none.
        description: What happened, in words.
        metadata: What is known of it.
        tags: Labels of the event.
        data_version: The version of the data; empty for not known.
        code_version: The version of the code that made it; empty for not known. Materializations
            alone have one.
        event_time: When it happened; None means now.
        allow_undefined: Whether it may be about something that no location defines.
        request_id: Makes the report idempotent; empty takes a new one.
    """

    partition: str = ""
    description: str = ""
    metadata: Mapping[str, values_pb2.MetadataValue] = dataclasses.field(
        default_factory=dict[str, values_pb2.MetadataValue]
    )
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    data_version: str = ""
    code_version: str = ""
    event_time: dt.datetime | None = None
    allow_undefined: bool = False
    request_id: str = ""


NOTHING_MORE = Told()


class Reports:
    """Reports what happened outside."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "reports_pb2_grpc.ReportsServiceAsyncStub", reports_pb2_grpc.ReportsServiceStub(channel)
        )
        self._caller = caller

    async def materialization(self, key: values_pb2.AssetKey, told: Told = NOTHING_MORE) -> int:
        """Tell that an asset was materialized; return the id of the event.

        Args:
            key: The asset.
            told: What is known of it.
        """
        request = reports_pb2.ReportMaterializationRequest(
            asset_key=key,
            description=told.description,
            metadata=told.metadata,
            tags=told.tags,
            data_version=told.data_version,
            code_version=told.code_version,
        )
        _complete(request, told)
        return (await self._caller.unary(self._stub.ReportMaterialization, request)).event_id

    async def observation(self, key: values_pb2.AssetKey, told: Told = NOTHING_MORE) -> int:
        """Tell something about an asset; return the id of the event.

        Args:
            key: The asset.
            told: What was observed.
        """
        request = reports_pb2.ReportObservationRequest(
            asset_key=key,
            description=told.description,
            metadata=told.metadata,
            tags=told.tags,
            data_version=told.data_version,
        )
        _complete(request, told)
        return (await self._caller.unary(self._stub.ReportObservation, request)).event_id

    async def check_evaluation(
        self,
        key: values_pb2.AssetCheckKey,
        told: Told = NOTHING_MORE,
        *,
        passed: bool,
        severity: "events_pb2.AssetCheckSeverity.ValueType" = (
            events_pb2.ASSET_CHECK_SEVERITY_ERROR
        ),
    ) -> int:
        """Tell what a check found; return the id of the event.

        Args:
            key: The check.
            told: What was found.
            passed: Whether the asset is as it should be.
            severity: How bad it is if not.
        """
        request = reports_pb2.ReportCheckEvaluationRequest(
            check_key=key,
            passed=passed,
            severity=severity,
            description=told.description,
            metadata=told.metadata,
        )
        _complete(request, told)
        return (await self._caller.unary(self._stub.ReportCheckEvaluation, request)).event_id

    async def started(self, key: values_pb2.AssetKey, told: Told = NOTHING_MORE) -> int:
        """Tell that an asset is being materialized; return the id of the event.

        Args:
            key: The asset.
            told: The partition and the time; the rest is not told.
        """
        request = reports_pb2.ReportMaterializationStartedRequest(asset_key=key)
        _complete(request, told)
        return (await self._caller.unary(self._stub.ReportMaterializationStarted, request)).event_id

    async def failure(self, key: values_pb2.AssetKey, told: Told = NOTHING_MORE) -> int:
        """Tell that an asset could not be materialized; return the id of the event.

        Args:
            key: The asset.
            told: The partition, the time, and why, as description; the rest is not told.
        """
        request = reports_pb2.ReportMaterializationFailureRequest(
            asset_key=key, reason=told.description
        )
        _complete(request, told)
        return (await self._caller.unary(self._stub.ReportMaterializationFailure, request)).event_id


def _complete(request: _Request, told: Told) -> None:
    """Fill in what all reports have."""
    request.request_id = told.request_id or str(uuid.uuid4())
    request.partition = told.partition
    request.allow_undefined = told.allow_undefined
    if told.event_time is not None:
        request.event_time.FromDatetime(told.event_time.astimezone(dt.timezone.utc))
