"""Errors as Connect tells them: a code, a message, and an ErrorInfo as detail.

Used by everything here that refuses something. The codes and statuses are those of gRPC; the detail
has the same reason and values as over gRPC, once encoded for clients of Connect and once readable
under `debug`.
"""

import base64
import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any, Final

import grpc
from connectrpc import code as connect_codes
from connectrpc import errors as connect_errors
from protobuf import wkt
from protobuf.wkt.google.protobuf import struct_pb

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll.rpc.v1 import status_pb2

_log = logging.getLogger(__name__)

_TYPE_NAME: Final = "google.rpc.ErrorInfo"

CODES: Final[Mapping[grpc.StatusCode, connect_codes.Code]] = {
    status: connect_codes.Code(
        "canceled" if status is grpc.StatusCode.CANCELLED else status.name.lower()
    )
    for status in grpc.StatusCode
    if status is not grpc.StatusCode.OK
}
"""What Connect calls the statuses of gRPC."""

STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""The statuses of HTTP that Connect answers with."""


class _Detail(connect_errors.ErrorDetail):
    """An ErrorInfo that is readable too: without it, `debug` would need a second protobuf."""

    def __init__(self, told: rpc_errors.WireError) -> None:
        super().__init__(
            wkt.Any(type_url=rpc_errors.ERROR_INFO_TYPE_URL, value=_info(told).SerializeToString())
        )
        self._readable = struct_pb.Struct.from_json(json.dumps(_readable(told)))

    def value(self, *_: object) -> Any:  # the base class has three forms of it
        """Return what is shown under `debug`."""
        return self._readable


def connect_error(told: rpc_errors.WireError) -> connect_errors.ConnectError:
    """Return an error for the Connect application to send."""
    return connect_errors.ConnectError(CODES[told.code], told.message, [_Detail(told)])


class Boundary:
    """Says what the exceptions of a call become; what nobody expected goes to the log only."""

    def __init__(self, table: rpc_errors.ErrorTable) -> None:
        """Make it.

        Args:
            table: What the host's own exceptions become, the same as over gRPC.
        """
        self._table = table

    def describe(self, error: Exception, method: str) -> rpc_errors.WireError:
        """Return what an exception is on the wire.

        Args:
            error: The exception.
            method: The path of the rpc.
        """
        told = self._table.describe(error)
        if told is None:
            error_id = secrets.token_hex(4)
            _log.error(
                "a call failed unexpectedly",
                extra={"action": "serve_http_call", "method": method, "error_id": error_id},
                exc_info=error,
            )
            told = rpc_errors.internal(error_id)
        return told

    def connect_error(self, error: Exception, method: str) -> connect_errors.ConnectError:
        """Return what an exception is for the Connect application."""
        return connect_error(self.describe(error, method))


def refusal(
    code: grpc.StatusCode, text: str, reason: str, values: Mapping[str, str] | None = None
) -> rpc_errors.WireError:
    """Return an error that needs no exception."""
    return rpc_errors.WireError(code, text, reason, dict(values or {}))


def invalid(text: str) -> rpc_errors.WireError:
    """Return the refusal of a request that is wrong in itself."""
    return refusal(grpc.StatusCode.INVALID_ARGUMENT, text, reasons.INVALID_REQUEST)


def content(told: rpc_errors.WireError) -> dict[str, Any]:
    """Return the body of an answer that does not come from the Connect application."""
    value = base64.b64encode(_info(told).SerializeToString()).decode().rstrip("=")
    detail = {"type": _TYPE_NAME, "value": value, "debug": _readable(told)}
    return {"code": CODES[told.code].value, "message": told.message, "details": [detail]}


def _info(told: rpc_errors.WireError) -> status_pb2.ErrorInfo:
    return status_pb2.ErrorInfo(
        reason=told.reason, domain=reasons.DOMAIN, metadata=dict(told.metadata)
    )


def _readable(told: rpc_errors.WireError) -> dict[str, Any]:
    return {"reason": told.reason, "domain": reasons.DOMAIN, "metadata": dict(told.metadata)}
