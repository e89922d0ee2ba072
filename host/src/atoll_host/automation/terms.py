"""What the terms of all kinds of automation have in common.

Called by `dispatching`, which runs terms, and by the terms. What one kind of automation does stays
out.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from atoll_host import clock as clocks
from atoll_host import services
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

_RETRY = services.Backoff(first_s=0.1, max_s=2.0)


class Term(Protocol):
    """What one kind of automation does while its host leads."""

    async def run(self) -> None:
        """Do everything. Ends only by cancellation, or by an error."""
        ...


async def persist(step: Callable[[], Awaitable[_T]], clock: clocks.Clock) -> _T:
    """Do a step, again and again for as long as storage is away.

    Args:
        step: What to do; doing it again does no harm.
        clock: Tells when to try again.
    """
    failures = 0
    while True:
        try:
            return await step()
        except storage_errors.StorageUnavailable as error:
            failures += 1
            _log.warning(
                "storage is away, automation waits",
                extra={"action": "automation_waits", "failures": failures, "cause": str(error)},
            )
            await clock.sleep(_RETRY.delay_s(failures))
