"""The part of an instance that reads the log: events of assets, of runs, of all.

Called by users through `Instance`.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import TypeAlias

from atoll import errors
from atoll._definitions import event_filters, events, keys
from atoll._instance import asking
from atoll._instance import backend as backends

RecordsFilter: TypeAlias = keys.AssetKey | events.AssetRecordsFilter
StatusChanges: TypeAlias = events.EventType | event_filters.RunStatusChangeRecordsFilter


class LogQuestions(asking.Asker):
    """Questions about the log."""

    def fetch_materializations(
        self,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return materializations of an asset, page by page.

        Args:
            records_filter: The asset, or a filter over its records.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        query = _of_asset(events.EventType.ASSET_MATERIALIZATION, records_filter)
        return self._fetch(query, limit, cursor, ascending=ascending)

    def fetch_planned_materializations(
        self,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return plans of runs to materialize an asset, page by page.

        Args:
            records_filter: The asset, or a filter over its records.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        query = _of_asset(events.EventType.ASSET_MATERIALIZATION_PLANNED, records_filter)
        return self._fetch(query, limit, cursor, ascending=ascending)

    def fetch_observations(
        self,
        records_filter: RecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return observations of an asset, page by page.

        Args:
            records_filter: The asset, or a filter over its records.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        query = _of_asset(events.EventType.ASSET_OBSERVATION, records_filter)
        return self._fetch(query, limit, cursor, ascending=ascending)

    def fetch_run_status_changes(
        self,
        records_filter: StatusChanges,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return records that tell of a new status of runs, page by page.

        Args:
            records_filter: The kind of event that stands for the status, or a filter.
            limit: How many at the most.
            cursor: The cursor of the page before.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.

        Raises:
            InvalidInvocationError: The kind tells of no status.
        """
        chosen = (
            records_filter
            if isinstance(records_filter, event_filters.RunStatusChangeRecordsFilter)
            else event_filters.RunStatusChangeRecordsFilter(records_filter)
        )
        query = _Chosen(
            backends.EventsQuery(
                event_types=(chosen.event_type,),
                job_names=tuple(chosen.job_names or ()),
                after_id=chosen.after_storage_id or 0,
                before_id=chosen.before_storage_id or 0,
                after_timestamp=chosen.after_timestamp,
                before_timestamp=chosen.before_timestamp,
                storage_ids=tuple(chosen.storage_ids or ()),
            ),
            is_empty=_empty(chosen.storage_ids, chosen.job_names),
        )
        return self._fetch(query, limit, cursor, ascending=ascending)

    def get_event_records(
        self,
        event_records_filter: event_filters.EventRecordsFilter,
        limit: int | None = None,
        ascending: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> Sequence[events.EventLogRecord]:
        """Return records of one kind.

        Args:
            event_records_filter: Which records.
            limit: How many at the most; None means all.
            ascending: Whether the oldest comes first.

        Returns:
            The records.
        """
        chosen = event_records_filter
        query = _Chosen(
            backends.EventsQuery(
                event_types=(chosen.event_type,),
                asset_key=chosen.asset_key,
                partitions=tuple(chosen.asset_partitions or ()),
                after_id=chosen.after_cursor or 0,
                before_id=chosen.before_cursor or 0,
                after_timestamp=chosen.after_timestamp,
                before_timestamp=chosen.before_timestamp,
                storage_ids=tuple(chosen.storage_ids or ()),
            ),
            is_empty=_empty(chosen.storage_ids, chosen.asset_partitions),
        )
        return self._fetch(query, limit, None, ascending=ascending).records

    def get_records_for_run(
        self,
        run_id: str,
        cursor: str | None = None,
        of_type: events.EventType | Collection[events.EventType] | None = None,
        limit: int | None = None,
        ascending: bool = True,  # noqa: FBT001, FBT002 - the field's signature
    ) -> events.EventRecordsResult:
        """Return what a run told, page by page.

        Args:
            run_id: The run.
            cursor: The cursor of the page before.
            of_type: Only events of this kind, or of these.
            limit: How many at the most; None means all.
            ascending: Whether the oldest comes first.

        Returns:
            A page of records.
        """
        query = backends.EventsQuery(event_types=_kinds(of_type), run_id=run_id)
        return self._fetch(_Chosen(query), limit, cursor, ascending=ascending)

    def all_logs(
        self,
        run_id: str,
        of_type: events.EventType | Collection[events.EventType] | None = None,
    ) -> Sequence[events.EventLogEntry]:
        """Return everything that a run told, oldest first.

        Args:
            run_id: The run.
            of_type: Only events of this kind, or of these.
        """
        found = self.get_records_for_run(run_id, of_type=of_type).records
        return [record.event_log_entry for record in found]

    def logs_after(
        self,
        run_id: str,
        cursor: int | None = None,
        of_type: events.EventType | Collection[events.EventType] | None = None,
        limit: int | None = None,
    ) -> Sequence[events.EventLogEntry]:
        """Return what a run told after a position in the log, oldest first.

        Args:
            run_id: The run.
            cursor: The position.
            of_type: Only events of this kind, or of these.
            limit: How many at the most; None means all.
        """
        position = None if cursor is None else str(cursor)
        found = self.get_records_for_run(run_id, position, of_type, limit).records
        return [record.event_log_entry for record in found]

    def _fetch(
        self, chosen: "_Chosen", limit: int | None, cursor: str | None, *, ascending: bool
    ) -> events.EventRecordsResult:
        asking.check_limit(limit)
        position = asking.position_of(cursor)
        if chosen.is_empty:
            return events.EventRecordsResult([], cursor or "", has_more=False)
        query = _after(dataclasses.replace(chosen.query, ascending=ascending), position)

        def page(
            last: events.EventLogRecord | None, size: int
        ) -> tuple[Sequence[events.EventLogRecord], bool]:
            later = query if last is None else _after(query, last.storage_id)
            return self._backend.log_records(dataclasses.replace(later, limit=size))

        found, has_more = asking.all_pages(page, limit)
        next_cursor = str(found[-1].storage_id) if found else (cursor or "")
        return events.EventRecordsResult(found, next_cursor, has_more)


@dataclasses.dataclass(frozen=True)
class _Chosen:
    """A query, and whether nothing can fulfil it: an empty list in a query means any."""

    query: backends.EventsQuery
    is_empty: bool = False


def _of_asset(event_type: events.EventType, records_filter: RecordsFilter) -> _Chosen:
    chosen = (
        records_filter
        if isinstance(records_filter, events.AssetRecordsFilter)
        else events.AssetRecordsFilter(keys.AssetKey.from_coercible(records_filter))
    )
    query = backends.EventsQuery(
        event_types=(event_type,),
        asset_key=chosen.asset_key,
        partitions=tuple(chosen.asset_partitions or ()),
        after_id=chosen.after_storage_id or 0,
        before_id=chosen.before_storage_id or 0,
        after_timestamp=chosen.after_timestamp,
        before_timestamp=chosen.before_timestamp,
        storage_ids=tuple(chosen.storage_ids or ()),
    )
    return _Chosen(query, is_empty=_empty(chosen.storage_ids, chosen.asset_partitions))


def _empty(*lists: Sequence[object] | None) -> bool:
    return any(one is not None and not one for one in lists)


def _after(query: backends.EventsQuery, position: int) -> backends.EventsQuery:
    """Return the query that goes on after a position, in its direction."""
    if not position:
        return query
    if query.ascending:
        return dataclasses.replace(query, after_id=max(query.after_id, position))
    before = min(query.before_id, position) if query.before_id else position
    return dataclasses.replace(query, before_id=before)


def _kinds(
    of_type: events.EventType | Collection[events.EventType] | None,
) -> tuple[events.EventType, ...]:
    if of_type is None:
        return ()
    if isinstance(of_type, events.EventType):
        return (of_type,)
    if not of_type:
        raise errors.InvalidInvocationError(
            "of_type is an empty collection, which would choose nothing. Give kinds of events, or "
            "leave it out."
        )
    return tuple(sorted(of_type))
