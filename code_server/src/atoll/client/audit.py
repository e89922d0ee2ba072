"""The audit log of a host: who changed what, and who was refused."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import audit_pb2, audit_pb2_grpc
from atoll.client import calls


class Audit:
    """Lists calls that changed something or were refused."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "audit_pb2_grpc.AuditServiceAsyncStub", audit_pb2_grpc.AuditServiceStub(channel)
        )
        self._caller = caller

    def entries(
        self,
        *,
        caller: str = "",
        rpc: str = "",
        location_name: str = "",
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[audit_pb2.AuditEntry]:
        """Yield calls, newest first.

        Args:
            caller: Only calls of this caller, by name or id of the credential; empty means all.
            rpc: Only this call, by its full name or the part after the last dot; empty means all.
            location_name: Only calls that were about this location; empty means all.
            started_from: Only calls that began at this time or later; None means no bound.
            started_before: Only calls that began before this time; None means no bound.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[audit_pb2.AuditEntry], str]:
            request = audit_pb2.ListAuditEntriesRequest(
                caller=caller,
                rpc=rpc,
                location_name=location_name,
                start_time=calls.timestamp(started_from),
                end_time=calls.timestamp(started_before),
                page_size=size,
                page_token=token,
            )
            answer = await self._caller.unary(self._stub.ListAuditEntries, request)
            return answer.entries, answer.next_page_token

        return calls.paged(fetch, limit)
