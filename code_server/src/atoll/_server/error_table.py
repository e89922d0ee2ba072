"""What the exceptions of the code server become on the wire."""

from __future__ import annotations

import grpc

from atoll._location import errors as location_errors
from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll._server import errors

_Code = grpc.StatusCode
_Mapped = rpc_errors.Mapped

TABLE = rpc_errors.ErrorTable(
    {
        errors.NoBuildError: _Mapped(_Code.FAILED_PRECONDITION, reasons.NO_BUILD),
        errors.UnknownBuildError: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_BUILD),
        errors.UnknownJobError: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_JOB),
        errors.UnknownSensorError: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_SENSOR),
        errors.UnknownScheduleError: _Mapped(_Code.NOT_FOUND, reasons.UNKNOWN_SCHEDULE),
        errors.DrainingError: _Mapped(_Code.FAILED_PRECONDITION, reasons.DRAINING),
        errors.EvaluatorsBusyError: _Mapped(_Code.RESOURCE_EXHAUSTED, reasons.BUSY),
        errors.InvalidPlanError: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_REQUEST),
        errors.InvalidTimeoutError: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_REQUEST),
        errors.ProcessUnavailableError: _Mapped(_Code.UNAVAILABLE, reasons.BUSY),
        location_errors.InvalidRunIdError: _Mapped(_Code.INVALID_ARGUMENT, reasons.INVALID_REQUEST),
        location_errors.PlanConflictError: _Mapped(
            _Code.FAILED_PRECONDITION, reasons.STALE_ATTEMPT
        ),
        location_errors.RunDirectoryError: _Mapped(
            _Code.UNAVAILABLE, reasons.STATE_DIRECTORY_UNUSABLE
        ),
        # A full disk, for example: nothing of the request was done.
        OSError: _Mapped(_Code.UNAVAILABLE, reasons.STATE_DIRECTORY_UNUSABLE),
    }
)
