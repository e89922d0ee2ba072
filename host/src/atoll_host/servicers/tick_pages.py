"""Pages of ticks, newest first, whosever ticks they are.

Used by the servicers of sensors and schedules.
"""

import datetime as dt
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll_host import errors
from atoll_host.api import pages


class Read(Protocol):
    """Reads the ticks of one sensor or schedule, newest first."""

    def __call__(
        self,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None,
        statuses: Sequence[automation_pb2.TickStatus],
    ) -> Awaitable[list[automation_pb2.Tick]]:
        """Read them, from the (start time, tick id) of the last seen on."""
        ...


async def answer(
    request: automation_pb2.ListTicksRequest | schedules_pb2.ListScheduleTicksRequest,
    page: pages.Page,
    read: Read,
) -> tuple[list[automation_pb2.Tick], str]:
    """Return the ticks of a page, and the token of the next.

    Args:
        request: What is asked for.
        page: The page as the request asks for it.
        read: Reads the ticks.

    Raises:
        InvalidRequest: It names an outcome that there is not.
    """
    before = None
    if page.after:
        before = (dt.datetime.fromisoformat(str(page.after[0])), str(page.after[1]))
    for status in request.statuses:
        if status not in automation_pb2.TickStatus.values() or not status:
            raise errors.InvalidRequest(
                f"{status} is no outcome of a tick. Name one of atoll.api.v1.TickStatus.",
                field="statuses",
            )
    statuses: Any = tuple(request.statuses)  # the stubs know enum values by another type
    found = await read(limit=page.size + 1, before=before, statuses=statuses)
    shown = found[: page.size]
    if len(found) <= page.size:
        return shown, ""
    began = shown[-1].start_time.ToDatetime(dt.UTC)
    return shown, page.token(began.isoformat(), shown[-1].tick_id)
