"""What the parts of an instance have in common: the backend, and going through pages.

Called by the modules of this package only.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from atoll import errors
from atoll._instance import backend as backends

Item = TypeVar("Item")

PAGE_SIZE = 1000


class Asker:
    """A part of an instance.

    Args:
        backend: Whoever stores the log.
    """

    def __init__(self, backend: backends.Backend) -> None:
        self._backend = backend

    @property
    def backend(self) -> backends.Backend:
        """Whoever stores the log."""
        return self._backend


def check_limit(limit: int | None) -> None:
    """Refuse a limit that makes no sense.

    Raises:
        InvalidInvocationError: It is not positive.
    """
    if limit is not None and limit < 1:
        raise errors.InvalidInvocationError(f"The limit is a positive number, got {limit}.")


def position_of(cursor: str | int | None) -> int:
    """Return the position in the log that a cursor stands for; 0 for none.

    Raises:
        InvalidInvocationError: It comes from no earlier page.
    """
    if not cursor:
        return 0
    if not str(cursor).isdigit():
        raise errors.InvalidInvocationError(
            f"The cursor {cursor!r} does not come from an earlier page. Pass "
            "EventRecordsResult.cursor on."
        )
    return int(cursor)


def all_pages(
    fetch: Callable[[Item | None, int], tuple[Sequence[Item], bool]], limit: int | None
) -> tuple[list[Item], bool]:
    """Return items over as many pages as it takes, and whether there are more.

    Args:
        fetch: Returns the page after an item, of so many items, and whether there are more.
        limit: How many at the most; None means all.
    """
    found: list[Item] = []
    while True:
        size = PAGE_SIZE if limit is None else min(PAGE_SIZE, limit - len(found))
        page, has_more = fetch(found[-1] if found else None, size)
        found += page
        if not has_more or not page or (limit is not None and len(found) >= limit):
            return found, has_more
