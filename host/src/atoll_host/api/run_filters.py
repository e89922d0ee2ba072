"""Reads which runs a request means. Pure; called by the runs servicer.

What automation asks for is found by the tags that every run of it has, which one index answers.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from atoll.api.v1 import runs_pb2
from atoll_host import errors, moments
from atoll_host.api import rendering
from atoll_host.automation.schedules import deciding
from atoll_host.runs import requests, run_tags
from atoll_storage import backfill_records, records

TAGS_MAX = 20
TAG_VALUES_MAX = 100
_TEXT_LENGTH_MAX = 1000
_TAGGED = {
    "partition_key": requests.PARTITION_TAG,
    "backfill_id": backfill_records.BACKFILL_TAG,
    "sensor_name": requests.SENSOR_NAME_TAG,
    "schedule_name": deciding.SCHEDULE_NAME_TAG,
    "parent_run_id": requests.PARENT_RUN_TAG,
    "root_run_id": requests.ROOT_RUN_TAG,
}
"""The fields of a filter that tags answer."""


def of_list(request: runs_pb2.ListRunsRequest) -> records.RunQuery:
    """Return which runs a list means: what stands beside the filter has to hold as well.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
    """
    merged = runs_pb2.RunFilter()
    merged.CopyFrom(request.filter)
    for field in ("location_name", "job_name"):
        beside, within = getattr(request, field), getattr(merged, field)
        if beside and within and beside != within:
            raise errors.InvalidRequest(
                f"{field} is {beside!r} and filter.{field} is {within!r}. Give it once.",
                field=field,
            )
        setattr(merged, field, within or beside)
    query = of(merged)
    if not request.statuses:
        return query
    beside_it = _statuses(request.statuses, "statuses")
    both = tuple(each for each in query.statuses if each in beside_it)
    return _with_statuses(query, both if merged.statuses else beside_it)


def of(message: runs_pb2.RunFilter, *, only: Sequence[records.RunStatus] = ()) -> records.RunQuery:
    """Return which runs a filter means.

    Args:
        message: The filter.
        only: Only runs in these states, whatever it says; empty means that it decides.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
    """
    _check_texts(message)
    query = records.RunQuery(
        location_name=message.location_name or None,
        job_name=message.job_name or None,
        statuses=_statuses(message.statuses, "filter.statuses"),
        tags=_tags(message),
        asset_key=tuple(message.asset_key.path) or None,
        created_from=moments.of(message, "created_from", "filter."),
        created_before=moments.of(message, "created_before", "filter."),
        updated_from=moments.of(message, "updated_from", "filter."),
        updated_before=moments.of(message, "updated_before", "filter."),
    )
    if not only:
        return query
    chosen = tuple(each for each in only if not query.statuses or each in query.statuses)
    return _with_statuses(query, chosen)


def _with_statuses(
    query: records.RunQuery, statuses: tuple[records.RunStatus, ...]
) -> records.RunQuery:
    """Return a query for some states; none of them means that no run is meant."""
    if not statuses:
        return dataclasses.replace(query, run_ids=())
    return dataclasses.replace(query, statuses=statuses)


def _tags(message: runs_pb2.RunFilter) -> dict[str, tuple[str, ...]]:
    if len(message.tags) > TAGS_MAX:
        raise errors.InvalidRequest(
            f"The filter names {len(message.tags)} tags. Name {TAGS_MAX} at the most.",
            field="filter.tags",
        )
    found: dict[str, tuple[str, ...]] = {}
    for each in message.tags:
        values = tuple(dict.fromkeys(each.values))
        if not each.key or not values or len(values) > TAG_VALUES_MAX:
            raise errors.InvalidRequest(
                f"The filter asks for the tag {each.key[:100]!r} with {len(values)} values. Give "
                f"its name and 1 to {TAG_VALUES_MAX} values.",
                field="filter.tags",
            )
        _check_length("filter.tags", [each.key, *values], run_tags.TAG_VALUE_LENGTH_MAX)
        found[each.key] = _both(found.get(each.key), values)
    for field, tag in _TAGGED.items():
        if value := getattr(message, field):
            found[tag] = _both(found.get(tag), (value,))
    return found


def _both(before: tuple[str, ...] | None, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values that two conditions on one tag leave."""
    return values if before is None else tuple(each for each in values if each in before)


def _statuses(numbers: Iterable[int], field: str) -> tuple[records.RunStatus, ...]:
    found: list[records.RunStatus] = []
    for number in numbers:
        status = rendering.run_status(number)
        if status is None:
            raise errors.InvalidRequest(
                f"{number} is no status of a run. Name one of atoll.api.v1.RunStatus.", field=field
            )
        found.append(status)
    return tuple(dict.fromkeys(found))


def _check_texts(message: runs_pb2.RunFilter) -> None:
    for field in ("location_name", "job_name", *_TAGGED):
        _check_length(f"filter.{field}", [getattr(message, field)], _TEXT_LENGTH_MAX)
    _check_length("filter.asset_key", message.asset_key.path, _TEXT_LENGTH_MAX)


def _check_length(field: str, texts: Iterable[str], length_max: int) -> None:
    for text in texts:
        if len(text) > length_max or "\x00" in text:
            raise errors.InvalidRequest(
                f"{field} has {text[:40]!r}, {len(text)} characters long. Give a text without NUL "
                f"of {length_max} characters at the most.",
                field=field,
            )
