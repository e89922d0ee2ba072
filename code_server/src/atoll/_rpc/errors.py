"""Errors at the wire: one table from exception to status, and one back into exceptions for clients.

The tree, one class for each gRPC status that Atoll uses; the reason tells causes apart within it:

    RpcError
    ├── InvalidArgumentError     the request itself is wrong
    ├── NotFoundError            what it names is not there
    ├── AlreadyExistsError       what it makes is there
    ├── UnauthenticatedError     no credentials, or none that are valid
    ├── PermissionDeniedError    policy forbids it
    ├── FailedPreconditionError  not in this state; repeating does not help by itself
    ├── AbortedError             lost against somebody else; begin anew from a higher level
    ├── ResourceExhaustedError   a bound was reached; later it may work
    ├── UnavailableError         not now, or not reachable; repeat with back-off
    ├── DeadlineExceededError    not in the given time
    ├── CanceledError            the caller went away
    ├── UnimplementedError       this server does not know the call
    └── InternalError            the server failed

Domain exceptions stay free of gRPC: a server gives `ErrorTable` a `Mapped` for each base class of
its own, and the typed attributes of an exception become the metadata of its ErrorInfo. What no
table knows is an INTERNAL error whose text is only in the server's log, under an id that the
caller gets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import grpc
import grpc.aio
from google.protobuf import any_pb2, message

from atoll._rpc import connecting, reasons
from atoll.rpc.v1 import status_pb2

DETAILS_TRAILER = "grpc-status-details-bin"
ERROR_INFO_TYPE_URL = "type.googleapis.com/google.rpc.ErrorInfo"

# Trailers share one small budget (8 KiB with many clients); the message travels twice and escaped.
_MESSAGE_BYTES_MAX = 1500
_METADATA_VALUE_BYTES_MAX = 128
_METADATA_ENTRIES_MAX = 8


class RpcError(Exception):
    """The base of the errors that cross the wire.

    Attributes:
        message: What was wrong, with which value, and what to do.
        reason: The cause for programs, one of `atoll._rpc.reasons`.
        metadata: The values that the message speaks of, by name.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    default_reason: str = reasons.INTERNAL

    def __init__(
        self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})


class InvalidArgumentError(RpcError):
    """The request itself is wrong; repeating it does not help."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = reasons.INVALID_REQUEST


class NotFoundError(RpcError):
    """What the request names is not there."""

    code = grpc.StatusCode.NOT_FOUND
    default_reason = "NOT_FOUND"


class AlreadyExistsError(RpcError):
    """What the request would make is there already."""

    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"


class UnauthenticatedError(RpcError):
    """The caller gave no credentials, or none that are valid."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = reasons.CREDENTIALS_INVALID


class PermissionDeniedError(RpcError):
    """Policy forbids the request."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = reasons.POLICY_FORBIDS


class FailedPreconditionError(RpcError):
    """The server is not in the state that the request needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"


class AbortedError(RpcError):
    """The request lost against somebody else's."""

    code = grpc.StatusCode.ABORTED
    default_reason = "ABORTED"


class ResourceExhaustedError(RpcError):
    """A bound was reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = reasons.BUSY


class UnavailableError(RpcError):
    """The server cannot be reached, or cannot answer now."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = reasons.UNREACHABLE


class DeadlineExceededError(RpcError):
    """There was no answer in the given time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = reasons.DEADLINE_EXCEEDED


class CanceledError(RpcError):
    """The call was canceled."""

    code = grpc.StatusCode.CANCELLED
    default_reason = "CANCELED"


class UnimplementedError(RpcError):
    """The server does not know the call."""

    code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = reasons.UNSUPPORTED


class InternalError(RpcError):
    """The server failed."""

    code = grpc.StatusCode.INTERNAL
    default_reason = reasons.INTERNAL


_BY_CODE: dict[grpc.StatusCode, type[RpcError]] = {
    error.code: error
    for error in (
        InvalidArgumentError,
        NotFoundError,
        AlreadyExistsError,
        UnauthenticatedError,
        PermissionDeniedError,
        FailedPreconditionError,
        AbortedError,
        ResourceExhaustedError,
        UnavailableError,
        DeadlineExceededError,
        CanceledError,
        UnimplementedError,
        InternalError,
    )
}


@dataclasses.dataclass(frozen=True)
class Mapped:
    """What an exception becomes on the wire.

    Attributes:
        code: The gRPC status.
        reason: One of `atoll._rpc.reasons`.
    """

    code: grpc.StatusCode
    reason: str


@dataclasses.dataclass(frozen=True)
class WireError:
    """An error as it crosses the wire."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: Mapping[str, str]

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """Return the trailers that carry the details, readable as google.rpc.Status."""
        info = status_pb2.ErrorInfo(
            reason=self.reason, domain=reasons.DOMAIN, metadata=dict(self.metadata)
        )
        status = status_pb2.Status(
            # StatusCode.value is (number, text).
            code=self.code.value[0],
            message=self.message,
            details=[any_pb2.Any(type_url=ERROR_INFO_TYPE_URL, value=info.SerializeToString())],
        )
        return ((DETAILS_TRAILER, status.SerializeToString()),)


class ErrorTable:
    """Tells what an exception becomes on the wire; its nearest base class in the table decides."""

    def __init__(self, entries: Mapping[type[Exception], Mapped] | None = None) -> None:
        """Make a table.

        Args:
            entries: The server's own exceptions. `RpcError` and what derives from it need no entry.
        """
        self._entries = dict(entries or {})

    def describe(self, error: Exception) -> WireError | None:
        """Return what an exception becomes, or None for one that nobody expected."""
        if isinstance(error, RpcError):
            return _wire(error.code, error.message, error.reason, error.metadata)
        for base in type(error).__mro__:
            mapped = self._entries.get(base)
            if mapped is not None:
                return _wire(mapped.code, str(error), mapped.reason, _attributes(error))
        return None


def internal(error_id: str) -> WireError:
    """Return what a caller is told about an exception that nobody expected."""
    return _wire(
        grpc.StatusCode.INTERNAL,
        f"The server failed on this request. Its log has the details, error id {error_id}.",
        reasons.INTERNAL,
        {"error_id": error_id},
    )


def from_call(
    error: grpc.aio.AioRpcError, *, peer: str = "", secured: bool | None = None
) -> RpcError:
    """Return the typed exception for a failed call.

    Args:
        error: What the call raised.
        peer: What was called, for the message of errors that never reached a server.
        secured: Whether the channel speaks TLS; None where the caller does not know.
    """
    info = _error_info(error)
    details = error.details() or error.code().name
    kind = _BY_CODE.get(error.code(), RpcError)
    if info is not None:
        return kind(details, reason=info.reason, metadata=info.metadata)
    if kind is UnavailableError:
        if failed := connecting.explain(details, peer=peer, secured=secured):
            return UnavailableError(failed, reason=reasons.TLS_FAILED)
        where = f" at {peer}" if peer else ""
        return UnavailableError(
            f"No server answers{where}: {connecting.last_of(details)}. Check the address and that "
            "it runs."
        )
    return kind(details)


def _error_info(error: grpc.aio.AioRpcError) -> status_pb2.ErrorInfo | None:
    """Return the ErrorInfo of a failed call; None where there is none of this domain."""
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS_TRAILER or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                if detail.type_url == ERROR_INFO_TYPE_URL:
                    info = status_pb2.ErrorInfo.FromString(detail.value)
                    return info if info.domain == reasons.DOMAIN else None
        except message.DecodeError:
            return None
    return None


def _wire(code: grpc.StatusCode, text: str, reason: str, metadata: Mapping[str, str]) -> WireError:
    """Return an error cut to what fits into trailers."""
    entries = list(metadata.items())[:_METADATA_ENTRIES_MAX]
    return WireError(
        code=code,
        message=_cut(text or reason, _MESSAGE_BYTES_MAX),
        reason=reason,
        metadata={key: _cut(value, _METADATA_VALUE_BYTES_MAX) for key, value in entries},
    )


def _attributes(error: Exception) -> dict[str, str]:
    """Return the public plain attributes of an exception."""
    return {
        name: str(value)
        for name, value in vars(error).items()
        if not name.startswith("_") and name != "message" and isinstance(value, (str, int, float))
    }


def _cut(text: str, bytes_max: int) -> str:
    """Cut a text to a number of encoded bytes, never inside a character."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return encoded.decode("utf-8")
    return encoded[: bytes_max - 3].decode("utf-8", "ignore") + "…"
