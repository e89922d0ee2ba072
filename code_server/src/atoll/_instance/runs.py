"""The part of an instance that knows runs.

Called by users through `Instance`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import runs
from atoll._instance import asking
from atoll._instance import backend as backends

# What runs may be ordered by, and whether that is the last change of their status.
_ORDERS: Mapping[str | None, bool] = {
    None: False,
    "id": False,
    "create_timestamp": False,
    "update_timestamp": True,
}


class RunQuestions(asking.Asker):
    """Questions about runs."""

    def get_run_by_id(self, run_id: str) -> runs.Run | None:
        """Return a run, None where there is none of that id."""
        record = self._backend.run_record(run_id)
        return record.run if record is not None else None

    def get_run_record_by_id(self, run_id: str) -> runs.RunRecord | None:
        """Return a run with its times, None where there is none of that id."""
        return self._backend.run_record(run_id)

    def has_run(self, run_id: str) -> bool:
        """Tell whether there is a run of that id."""
        return self._backend.run_record(run_id) is not None

    def get_run_records(
        self,
        filters: runs.RunsFilter | None = None,
        limit: int | None = None,
        order_by: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
        cursor: str | None = None,
        bucket_by: Any = None,
    ) -> Sequence[runs.RunRecord]:
        """Return runs with their times, newest first where not said otherwise.

        Args:
            filters: Which runs; None means all.
            limit: How many at the most; None means all.
            order_by: What they are ordered by: `create_timestamp` or `update_timestamp`.
            ascending: Whether the oldest comes first.
            cursor: The id of the run after which to go on.
            bucket_by: Not supported.

        Raises:
            InvalidInvocationError: The limit or the order makes no sense.
        """
        if bucket_by is not None:
            raise errors.UnsupportedParameterError(
                f"Runs are not put into buckets, got bucket_by={bucket_by!r}. Leave it out and "
                "group what is returned.",
                "bucket_by",
            )
        if order_by not in _ORDERS:
            raise errors.InvalidInvocationError(
                f"Runs are not ordered by {order_by!r}. Give one of "
                f"{', '.join(repr(one) for one in _ORDERS if one is not None)}."
            )
        asking.check_limit(limit)

        def page(last: runs.RunRecord | None, size: int) -> tuple[Sequence[runs.RunRecord], bool]:
            return self._backend.run_records(
                backends.RunsQuery(
                    filters=filters if filters is not None else runs.RunsFilter(),
                    by_update=_ORDERS[order_by],
                    ascending=ascending,
                    after_run_id=last.run.run_id if last is not None else cursor,
                    limit=size,
                )
            )

        return asking.all_pages(page, limit)[0]

    def get_runs(
        self,
        filters: runs.RunsFilter | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        bucket_by: Any = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> Sequence[runs.Run]:
        """Return runs, newest first where not said otherwise.

        Args:
            filters: Which runs; None means all.
            cursor: The id of the run after which to go on.
            limit: How many at the most; None means all.
            bucket_by: Not supported.
            ascending: Whether the oldest comes first.
        """
        found = self.get_run_records(
            filters, limit, ascending=ascending, cursor=cursor, bucket_by=bucket_by
        )
        return [record.run for record in found]

    def get_run_ids(
        self,
        filters: runs.RunsFilter | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Sequence[str]:
        """Return the ids of runs, newest first.

        Args:
            filters: Which runs; None means all.
            cursor: The id of the run after which to go on.
            limit: How many at the most; None means all.
        """
        return [run.run_id for run in self.get_runs(filters, cursor, limit)]

    def get_runs_count(self, filters: runs.RunsFilter | None = None) -> int:
        """Return how many runs there are.

        Args:
            filters: Which runs; None means all.
        """
        return self._backend.runs_count(filters if filters is not None else runs.RunsFilter())
