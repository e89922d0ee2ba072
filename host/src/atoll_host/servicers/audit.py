"""AuditService: who changed what, and who was refused."""

from atoll.api.v1 import audit_pb2, audit_pb2_grpc
from atoll_host import moments
from atoll_host.api import pages
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
            start_time=moments.of(request, "start_time"),
            end_time=moments.of(request, "end_time"),
        )
        found = await self._store.page(query, before_id=page.after_id or None, limit=page.size + 1)
        shown, token = page.fitting(found, lambda each: (each.entry_id,))
        return audit_pb2.ListAuditEntriesResponse(
            entries=[_entry(each) for each in shown], next_page_token=token
        )


def _entry(record: access_records.EntryRecord) -> audit_pb2.AuditEntry:
    message = audit_pb2.AuditEntry(
        entry_id=record.entry_id,
        begin_time=moments.timestamp(record.begin_time),
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
