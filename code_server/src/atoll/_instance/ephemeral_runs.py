"""Runs in memory: the part of the ephemeral backend that keeps them.

Called through `ephemeral.EphemeralBackend`.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from atoll._definitions import backfills, runs
from atoll._instance import backend


class EphemeralRuns:
    """Keeps runs in memory.

    Args:
        clock: Tells the time, in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runs: dict[str, runs.RunRecord] = {}

    def record_run(self, run: runs.Run) -> None:
        """Store a run or its new status."""
        now = self._clock()
        moment = dt.datetime.fromtimestamp(now, dt.timezone.utc)
        before = self._runs.get(run.run_id)
        start_time = before.start_time if before is not None else None
        end_time = before.end_time if before is not None else None
        if start_time is None and (run.status is runs.RunStatus.STARTED or run.is_finished):
            start_time = now
        if end_time is None and run.is_finished:
            end_time = now
        self._runs[run.run_id] = runs.RunRecord(
            storage_id=before.storage_id if before is not None else len(self._runs) + 1,
            run=run,
            create_timestamp=before.create_timestamp if before is not None else moment,
            update_timestamp=moment,
            start_time=start_time,
            end_time=end_time,
        )

    def run_record(self, run_id: str) -> runs.RunRecord | None:
        """Return a run, None where there is none of that id."""
        return self._runs.get(run_id)

    def run_records(self, query: backend.RunsQuery) -> tuple[Sequence[runs.RunRecord], bool]:
        """Return runs in the order asked for, and whether there are more."""

        def place(record: runs.RunRecord) -> tuple[dt.datetime, int]:
            moment = record.update_timestamp if query.by_update else record.create_timestamp
            return moment, record.storage_id

        found = sorted(self._chosen(query.filters), key=place, reverse=not query.ascending)
        if query.after_run_id is not None:
            last = self._runs.get(query.after_run_id)
            bound = place(last) if last is not None else None
            found = [
                record
                for record in found
                if bound is not None
                and (place(record) > bound if query.ascending else place(record) < bound)
            ]
        return found[: query.limit], len(found) > query.limit

    def runs_count(self, filters: runs.RunsFilter) -> int:
        """Return how many runs there are."""
        return len(self._chosen(filters))

    def backfills(
        self, query: backend.BackfillsQuery
    ) -> tuple[Sequence[backfills.PartitionBackfill], bool]:
        """Return no backfill: only a host makes some."""
        del query
        return [], False

    def _chosen(self, filters: runs.RunsFilter) -> list[runs.RunRecord]:
        return [record for record in self._runs.values() if _fits(record, filters)]


def _fits(record: runs.RunRecord, filters: runs.RunsFilter) -> bool:
    run = record.run
    return (
        (filters.run_ids is None or run.run_id in filters.run_ids)
        and (filters.job_name is None or run.job_name == filters.job_name)
        and (not filters.statuses or run.status in filters.statuses)
        and all(_has_tag(run, key, value) for key, value in filters.tags.items())
        and not (filters.exclude_subruns and runs.BACKFILL_TAG in run.tags)
        and _lies_in(record.create_timestamp, filters.created_after, filters.created_before)
        and _lies_in(record.update_timestamp, filters.updated_after, filters.updated_before)
    )


def _has_tag(run: runs.Run, key: str, value: str | Sequence[str]) -> bool:
    values = (value,) if isinstance(value, str) else value
    return key in run.tags and run.tags[key] in values


def _lies_in(moment: dt.datetime, after: dt.datetime | None, before: dt.datetime | None) -> bool:
    return (after is None or moment > after) and (before is None or moment < before)
