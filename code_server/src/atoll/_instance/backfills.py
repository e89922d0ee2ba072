"""The part of an instance that knows backfills.

Called by users through `Instance`.
"""

from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._definitions import backfills
from atoll._instance import asking
from atoll._instance import backend as backends


class BackfillQuestions(asking.Asker):
    """Questions about backfills."""

    def get_backfill(self, backfill_id: str) -> backfills.PartitionBackfill | None:
        """Return a backfill, None where there is none of that id."""
        query = backends.BackfillsQuery(backfill_id=backfill_id, limit=1)
        found, _ = self._backend.backfills(query)
        return found[0] if found else None

    def get_backfills(
        self,
        filters: Any = None,
        cursor: str | None = None,
        limit: int | None = None,
        status: backfills.BulkActionStatus | None = None,
    ) -> Sequence[backfills.PartitionBackfill]:
        """Return backfills, newest first.

        Args:
            filters: Not supported.
            cursor: The id of the backfill after which to go on.
            limit: How many at the most; None means all.
            status: Only those in this state.

        Raises:
            InvalidInvocationError: The limit makes no sense.
        """
        if filters is not None:
            raise errors.UnsupportedParameterError(
                f"Backfills are chosen by status alone, got filters={filters!r}. Leave it out and "
                "look through what is returned.",
                "filters",
            )
        asking.check_limit(limit)

        def page(
            last: backfills.PartitionBackfill | None, size: int
        ) -> tuple[Sequence[backfills.PartitionBackfill], bool]:
            after = last.backfill_id if last is not None else cursor
            return self._backend.backfills(
                backends.BackfillsQuery(status=status, after_backfill_id=after, limit=size)
            )

        return asking.all_pages(page, limit)[0]

    def get_backfills_count(self, filters: Any = None) -> int:
        """Return how many backfills there are.

        Args:
            filters: Not supported.
        """
        return len(self.get_backfills(filters))
