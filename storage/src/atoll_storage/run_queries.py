"""Which runs a query chooses, and in which order they come. Statements only; no I/O.

Called by `run_store`.
"""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from atoll_storage import asset_keys, records, schema

_RUNS = schema.runs.c
_EVENTS = schema.events.c


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
    found += _with_tags(query.tags)
    found += [~_RUNS.tags.has_key(key) for key in query.absent_tags]
    bounds = (
        (query.created_after, operator.gt, _RUNS.create_time),
        (query.created_from, operator.ge, _RUNS.create_time),
        (query.created_before, operator.lt, _RUNS.create_time),
        (query.updated_after, operator.gt, _RUNS.update_time),
        (query.updated_from, operator.ge, _RUNS.update_time),
        (query.updated_before, operator.lt, _RUNS.update_time),
    )
    found += [compare(column, moment) for moment, compare, column in bounds if moment is not None]
    if query.asset_key is not None:
        found.append(_about(query.asset_key))
    if query.readable is not None:
        found.append(_readable(query.readable))
    return found


def _readable(readable: records.ReadableRuns) -> sa.ColumnElement[bool]:
    job = sa.tuple_(_RUNS.location_name, _RUNS.job_name)
    whole: sa.ColumnElement[bool] = _RUNS.location_name.in_(readable.locations)
    if readable.without:
        whole = sa.and_(whole, job.not_in(readable.without))
    return sa.or_(whole, job.in_(readable.jobs)) if readable.jobs else whole


def _with_tags(tags: Mapping[str, Sequence[str]]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on tags: by containment, which the index over the tags answers."""
    alone = {key: values[0] for key, values in tags.items() if len(values) == 1}
    found: list[sa.ColumnElement[bool]] = [_RUNS.tags.contains(alone)] if alone else []
    for key, values in tags.items():
        if key not in alone:
            any_of_them = (_RUNS.tags.contains({key: value}) for value in values)
            found.append(sa.or_(sa.false(), *any_of_them))
    return found


def _about(path: records.AssetPath) -> sa.ColumnElement[bool]:
    """Return the condition that the log tells of an asset in connection with a run.

    The kinds are spelled as in the indexes: that of assets finds the runs of a rare asset, that of
    runs tells whether one of many runs has a common one.
    """
    return sa.exists().where(
        _EVENTS.run_id == _RUNS.run_id,
        _EVENTS.asset_key == asset_keys.encode(path),
        sa.text(f"events.kind IN ({schema.OF_RUNS})"),
    )


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
