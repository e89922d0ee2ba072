"""Pages of ticks, newest first, whosever ticks they are.

Used by the servicers of sensors and schedules.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll_host import errors, moments
from atoll_host.api import pages
from atoll_storage import tick_queries


class Read(Protocol):
    """Reads the ticks of one sensor or schedule, newest first."""

    def __call__(
        self,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None,
        choice: tick_queries.Choice,
    ) -> Awaitable[list[automation_pb2.Tick]]:
        """Read them, from the (start time, tick id) of the last seen on."""
        ...


async def answer(
    request: automation_pb2.ListTicksRequest | schedules_pb2.ListScheduleTicksRequest,
    page: pages.Page,
    read: Read,
) -> tuple[Sequence[automation_pb2.Tick], str]:
    """Return the ticks of a page, and the token of the next.

    Args:
        request: What is asked for.
        page: The page as the request asks for it.
        read: Reads the ticks.

    Raises:
        InvalidRequest: It names an outcome that there is not, or what is no time.
    """
    for status in request.statuses:
        if status not in automation_pb2.TickStatus.values() or not status:
            raise errors.InvalidRequest(
                f"{status} is no outcome of a tick. Name one of atoll.api.v1.TickStatus.",
                field="statuses",
            )
    statuses: Any = tuple(request.statuses)  # the stubs know enum values by another type
    choice = tick_queries.Choice(
        statuses, moments.of(request, "started_from"), moments.of(request, "started_before")
    )
    found = await read(limit=page.size + 1, before=page.before, choice=choice)
    return page.fitting(found, _place)


def _place(tick: automation_pb2.Tick) -> tuple[str, str]:
    return tick.start_time.ToDatetime(dt.UTC).isoformat(), tick.tick_id


async def one(
    tick_id: str,
    whose: str,
    find: Callable[[str], Awaitable[list[automation_pb2.Tick]]],
    unknown: errors.UnknownTick,
) -> automation_pb2.Tick:
    """Return the tick that the beginning of an id names.

    Args:
        tick_id: The id, or its first digits.
        whose: Whose ticks, in words.
        find: Returns the ticks whose id begins so, two at the most.
        unknown: What is raised for none.

    Raises:
        InvalidRequest: It names none, or several.
        UnknownTick: There is none.
    """
    if not tick_id or "\x00" in tick_id:
        raise errors.InvalidRequest(
            f"The id of the tick is {tick_id!r}. Give its first digits at least.",
            field="tick_id",
        )
    found = await find(tick_id)
    if not found:
        raise unknown
    if len(found) > 1:
        raise errors.InvalidRequest(
            f"Several ticks of {whose} begin with {tick_id!r}. Give more digits.",
            field="tick_id",
        )
    return found[0]
