"""Which runs a query chooses, and in which order they come. Statements only; no I/O.

Called by `run_store`.
"""

from typing import Any

import sqlalchemy as sa

from atoll_storage import records, schema

_RUNS = schema.runs.c


def conditions(query: records.RunQuery) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that the runs of a query fulfil."""
    found: list[sa.ColumnElement[bool]] = []
    if query.location_name is not None:
        found.append(_RUNS.location_name == query.location_name)
    if query.job_name is not None:
        found.append(_RUNS.job_name == query.job_name)
    if query.statuses:
        found.append(_RUNS.status.in_([status.value for status in query.statuses]))
    if query.run_ids is not None:
        found.append(_RUNS.run_id.in_(query.run_ids))
    # By containment, which the index over the tags answers.
    found += [
        sa.or_(*(_RUNS.tags.contains({key: value}) for value in values))
        for key, values in query.tags.items()
    ]
    found += [~_RUNS.tags.has_key(key) for key in query.absent_tags]
    if query.created_after is not None:
        found.append(_RUNS.create_time > query.created_after)
    if query.created_before is not None:
        found.append(_RUNS.create_time < query.created_before)
    if query.updated_after is not None:
        found.append(_RUNS.update_time > query.updated_after)
    if query.updated_before is not None:
        found.append(_RUNS.update_time < query.updated_before)
    return found


def ordered(
    statement: sa.Select[Any], order: records.RunOrder, *, ascending: bool, after_run_id: str
) -> sa.Select[Any]:
    """Return the statement with an order, beginning after a run where one is given.

    Runs of one tick have one create time; what tells them apart is their place in the queue.
    """
    columns = (_RUNS[order.value], _RUNS.queue_order)
    if after_run_id:
        last = schema.runs.alias("last")
        place = sa.select(last.c[order.value], last.c.queue_order).where(
            last.c.run_id == after_run_id
        )
        position = sa.tuple_(*columns)
        bound = place.scalar_subquery()
        statement = statement.where(position > bound if ascending else position < bound)
    if ascending:
        return statement.order_by(*columns)
    return statement.order_by(*(column.desc() for column in columns))
