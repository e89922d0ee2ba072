"""ImpactService: what new definitions of a location would break, for everyone."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from google.protobuf import message as protobuf_message

from atoll.api.v1 import impact_pb2, impact_pb2_grpc
from atoll_host import errors
from atoll_host.impact import collecting, findings
from atoll_host.locations import definitions
from atoll_host.servicers import contexts

SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES_MAX = 1024 * 1024
AT_ONCE_MAX = 2
"""So many are compared at a time; each holds a whole snapshot."""

IMPACTS_MAX = 2000
_RECEIVE_TIMEOUT_S = 60.0
_TURN_TIMEOUT_S = 120.0


class ImpactServicer(impact_pb2_grpc.ImpactServiceServicer):
    """Compares definitions that are not served yet with what runs."""

    def __init__(self, impact: collecting.Impact) -> None:
        self._impact = impact
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def CheckImpact(
        self,
        request_iterator: AsyncIterator[impact_pb2.CheckImpactRequest],
        context: contexts.Context,
    ) -> impact_pb2.CheckImpactResponse:
        """Tell what definitions would break if they were served."""
        try:
            async with asyncio.timeout(_TURN_TIMEOUT_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise errors.InvalidRequest(
                f"{AT_ONCE_MAX} comparisons are under way already. Try again later."
            ) from error
        try:
            location_name, encoded = await _received(request_iterator)
            digest = hashlib.sha256(encoded).hexdigest()
            try:
                new = await asyncio.to_thread(definitions.decode, digest, encoded)
            except protobuf_message.DecodeError as error:
                raise errors.InvalidRequest(
                    "The chunks together are no atoll.definitions.v1.LocationSnapshot. Send the "
                    "encoded message whole and in order.",
                    field="chunk",
                ) from error
            build_id, found = await self._impact.of(location_name, new)
        finally:
            self._turns.release()
        return impact_pb2.CheckImpactResponse(
            impacts=[_impact(each) for each in found[:IMPACTS_MAX]],
            compared=bool(build_id),
            build_id=build_id,
            has_more=len(found) > IMPACTS_MAX,
        )


async def _received(
    requests: AsyncIterator[impact_pb2.CheckImpactRequest],
) -> tuple[str, bytes]:
    """Return the location and the snapshot that the pieces of a question make."""
    location_name = ""
    encoded = bytearray()
    ends_at = asyncio.get_running_loop().time() + _RECEIVE_TIMEOUT_S
    while True:
        try:
            async with asyncio.timeout_at(ends_at):
                request = await anext(requests)
        except StopAsyncIteration:
            break
        except TimeoutError as error:
            raise errors.InvalidRequest(
                f"Not all pieces came within {_RECEIVE_TIMEOUT_S:g} s. Send them at once."
            ) from error
        location_name = location_name or request.location_name
        if request.location_name != location_name:
            raise errors.InvalidRequest(
                f"The pieces name the locations {location_name!r} and {request.location_name!r}. "
                "Name one.",
                field="location_name",
            )
        if len(request.chunk) > CHUNK_BYTES_MAX:
            raise errors.InvalidRequest(
                f"A piece has {len(request.chunk)} bytes; {CHUNK_BYTES_MAX} is the most.",
                field="chunk",
            )
        encoded += request.chunk
        if len(encoded) > SNAPSHOT_BYTES_MAX:
            raise errors.InvalidRequest(
                f"The definitions have more than {SNAPSHOT_BYTES_MAX} bytes.", field="chunk"
            )
    if not location_name:
        raise errors.InvalidRequest(
            "Nothing names a location. Name it in each piece.", field="location_name"
        )
    return location_name, bytes(encoded)


def _impact(finding: findings.Finding) -> impact_pb2.Impact:
    return impact_pb2.Impact(
        severity=impact_pb2.ImpactSeverity.ValueType(finding.severity),
        rule=finding.rule.value,
        subject=finding.subject,
        affected_location=finding.location_name,
        affected=finding.affected,
        message=finding.message,
        renamed_to_guess=finding.renamed_to,
    )
