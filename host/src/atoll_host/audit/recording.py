"""Writes calls into the audit log: before they change anything, and how they ended.

Called by `access.gate`. The entry of a call is durable before the call goes on, so no change is
without one; how it ended follows, and an entry without an end says that nobody knows. A call that
cannot be written down is not made. Refusals of callers without valid credentials cost anybody
nothing to cause, so only so many a second are written.
"""

import logging
from collections.abc import Callable, Sequence

from google.protobuf import message

from atoll.api.v1 import audit_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.audit import redaction
from atoll_storage import access_records, audit_store
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

NOBODYS_PER_S = 5
REASON_OF_CANCELED = "CANCELED"

Describe = Callable[[Exception], str]
"""Returns the reason that an exception has on the wire."""


class Recorder:
    """Writes the audit log."""

    def __init__(
        self, store: audit_store.AuditStore, clock: clocks.Clock, describe: Describe
    ) -> None:
        self._store = store
        self._clock = clock
        self._describe = describe
        self._nobodys = 0
        self._second = 0

    async def begun(
        self,
        caller: callers.Caller,
        rpc: str,
        locations: Sequence[str],
        request: message.Message,
    ) -> int:
        """Write down that a call is made; return the id of the entry.

        Raises:
            atoll_storage.errors.StorageUnavailable: It could not be written: do not go on.
        """
        entry = self._entry(caller, rpc, locations, request, audit_pb2.AUDIT_OUTCOME_BEGUN, "")
        return await self._store.add(entry, ended=False)

    async def ended(
        self, entry_id: int, error: BaseException | None, locations: Sequence[str]
    ) -> None:
        """Write down how a call ended, as far as that can be done now.

        Args:
            entry_id: The entry of the call.
            error: What ended it; None where it was done.
            locations: Further locations that it turned out to be about.
        """
        outcome, reason = self._outcome(error)
        named = redaction.locations(locations)
        try:
            await self._store.end(entry_id, outcome=outcome, reason=reason, locations=named)
        except storage_errors.StorageError as failure:
            _log.warning(
                "how a call ended could not be written into the audit log",
                extra={"action": "audit_end", "entry_id": entry_id, "error": str(failure)},
            )

    async def refused(
        self,
        caller: callers.Caller,
        rpc: str,
        locations: Sequence[str],
        request: message.Message,
        error: Exception,
    ) -> None:
        """Write down that a call was refused, as far as that can be done now."""
        if caller is callers.NOBODY and not self._may_write_of_nobody():
            return
        reason = self._describe(error)
        entry = self._entry(
            caller, rpc, locations, request, audit_pb2.AUDIT_OUTCOME_REFUSED, reason
        )
        try:
            await self._store.add(entry, ended=True)
        except storage_errors.StorageError as failure:
            _log.warning(
                "a refused call could not be written into the audit log",
                extra={"action": "audit_refused", "rpc": rpc, "error": str(failure)},
            )

    def _outcome(
        self, error: BaseException | None
    ) -> "tuple[audit_pb2.AuditOutcome.ValueType, str]":
        if error is None:
            return audit_pb2.AUDIT_OUTCOME_DONE, ""
        if isinstance(error, errors.NotAllowed | errors.PolicyForbids):
            return audit_pb2.AUDIT_OUTCOME_REFUSED, self._describe(error)
        reason = self._describe(error) if isinstance(error, Exception) else REASON_OF_CANCELED
        return audit_pb2.AUDIT_OUTCOME_FAILED, reason

    def _may_write_of_nobody(self) -> bool:
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._nobodys = second, 0
        self._nobodys += 1
        return self._nobodys <= NOBODYS_PER_S

    @staticmethod
    def _entry(
        caller: callers.Caller,
        rpc: str,
        locations: Sequence[str],
        request: message.Message,
        outcome: "audit_pb2.AuditOutcome.ValueType",
        reason: str,
    ) -> access_records.NewEntry:
        return access_records.NewEntry(
            caller=f"{caller.name} for run {caller.run_id}" if caller.run_id else caller.name,
            caller_kind=caller.kind.value,
            credential_id=caller.credential_id,
            rpc=rpc,
            location_names=redaction.locations(locations),
            arguments=redaction.arguments(request),
            outcome=outcome,
            reason=reason,
        )
