"""The audit log of a host: who changed what, and who was refused.

For programs that do not await.
"""

import datetime as dt
from collections.abc import Iterator

from atoll.api.v1 import audit_pb2
from atoll.client import audit as original
from atoll.client.sync import portal as portals


class Audit:
    """Lists calls that changed something or were refused."""

    def __init__(self, portal: portals.Portal, inner: original.Audit) -> None:
        self._portal = portal
        self._inner = inner

    def entries(
        self,
        *,
        caller: str = "",
        rpc: str = "",
        location_name: str = "",
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[audit_pb2.AuditEntry]:
        """Yield calls, newest first.

        Args:
            caller: Only calls of this caller, by name or id of the credential; empty means all.
            rpc: Only this call, by its full name or the part after the last dot; empty means all.
            location_name: Only calls that were about this location; empty means all.
            started_from: Only calls that began at this time or later; None means no bound.
            started_before: Only calls that began before this time; None means no bound.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.entries(
                caller=caller,
                rpc=rpc,
                location_name=location_name,
                started_from=started_from,
                started_before=started_before,
                limit=limit,
            )
        )
