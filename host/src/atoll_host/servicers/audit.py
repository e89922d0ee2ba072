"""AuditService: who changed what, and who was refused."""

import datetime as dt

from google.protobuf import timestamp_pb2

from atoll.api.v1 import audit_pb2, audit_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages, rendering
from atoll_host.servicers import contexts
from atoll_storage import access_records, audit_store


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """Shows the audit log."""

    def __init__(self, store: audit_store.AuditStore) -> None:
        self._store = store

    async def ListAuditEntries(
        self, request: audit_pb2.ListAuditEntriesRequest, context: contexts.Context
    ) -> audit_pb2.ListAuditEntriesResponse:
        """Return entries, newest first."""
        page = pages.Page(request)
        query = access_records.EntryQuery(
            caller=request.caller,
            rpc=request.rpc,
            location_name=request.location_name,
            start_time=_moment(request, "start_time"),
            end_time=_moment(request, "end_time"),
        )
        before_id = int(page.after[0]) if page.after else None
        found = await self._store.page(query, before_id=before_id, limit=page.size + 1)
        shown = found[: page.size]
        token = page.token(shown[-1].entry_id) if len(found) > page.size else ""
        return audit_pb2.ListAuditEntriesResponse(
            entries=[_entry(each) for each in shown], next_page_token=token
        )


def _moment(request: audit_pb2.ListAuditEntriesRequest, field: str) -> dt.datetime | None:
    if not request.HasField(field):  # type: ignore[arg-type] # one of the two above
        return None
    given: timestamp_pb2.Timestamp = getattr(request, field)
    try:
        return given.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError) as error:
        raise errors.InvalidRequest(
            f"{field} is {given.seconds} s, which is no time. Give one from year 1 to 9999.",
            field=field,
        ) from error


def _entry(record: access_records.EntryRecord) -> audit_pb2.AuditEntry:
    message = audit_pb2.AuditEntry(
        entry_id=record.entry_id,
        begin_time=rendering.timestamp(record.begin_time),
        caller=record.caller,
        caller_kind=record.caller_kind,
        credential_id=record.credential_id,
        rpc=record.rpc,
        location_names=record.location_names,
        arguments=record.arguments,
        outcome=record.outcome,  # type: ignore[arg-type] # stored as its number
        reason=record.reason,
    )
    if record.end_time is not None:
        message.end_time.FromDatetime(record.end_time)
    return message
