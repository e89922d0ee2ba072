"""Questions to the instance as messages, and the answers back.

Used by the relay of the processes of a location. How a question travels stands elsewhere.
"""

from __future__ import annotations

from atoll._definitions import asset_records, runs
from atoll._instance import backend
from atoll._wire import events as event_messages
from atoll._wire import keys as key_messages
from atoll._wire import texts, timestamps
from atoll.mesh.v1 import instance_pb2, mesh_pb2


def events_request(query: backend.EventsQuery) -> instance_pb2.ListEventsRequest:
    """Return a question for events of the log.

    Args:
        query: The question.
    """
    request = instance_pb2.ListEventsRequest(
        run_id=texts.valid(query.run_id or ""),
        kinds=[event_messages.body_name(event_type) for event_type in query.event_types],
        partitions=map(texts.valid, query.partitions),
        job_names=map(texts.valid, query.job_names),
        after_id=query.after_id,
        before_id=query.before_id,
        event_ids=query.storage_ids,
        ascending=query.ascending,
        page_size=query.limit,
    )
    if query.asset_key is not None:
        request.asset_key.CopyFrom(key_messages.to_message(query.asset_key))
    if query.after_timestamp is not None:
        request.after_time.CopyFrom(timestamps.nearest(query.after_timestamp))
    if query.before_timestamp is not None:
        request.before_time.CopyFrom(timestamps.nearest(query.before_timestamp))
    return request


def runs_request(query: backend.RunsQuery) -> mesh_pb2.ListRunsRequest:
    """Return a question for runs.

    Args:
        query: The question.
    """
    return mesh_pb2.ListRunsRequest(
        selection=run_selection(query.filters),
        order=(
            instance_pb2.RUN_ORDER_UPDATE_TIME
            if query.by_update
            else instance_pb2.RUN_ORDER_CREATE_TIME
        ),
        ascending=query.ascending,
        after_run_id=texts.valid(query.after_run_id or ""),
        page_size=query.limit,
    )


def run_selection(filters: runs.RunsFilter) -> instance_pb2.RunSelection:
    """Return a filter over runs as a message.

    Args:
        filters: The filter.
    """
    selection = instance_pb2.RunSelection(
        run_ids=map(texts.valid, filters.run_ids or ()),
        job_name=texts.valid(filters.job_name or ""),
        statuses=[status.value for status in filters.statuses],
        absent_tag_keys=[runs.BACKFILL_TAG] if filters.exclude_subruns else [],
    )
    for key, value in filters.tags.items():
        values = (value,) if isinstance(value, str) else value
        selection.tags.add(key=texts.valid(key), values=map(texts.valid, values))
    for name in ("created_after", "created_before", "updated_after", "updated_before"):
        moment = getattr(filters, name)
        if moment is not None:
            getattr(selection, name).CopyFrom(timestamps.from_datetime(moment))
    return selection


def asset_partitions_request(
    query: backend.AssetPartitionsQuery,
) -> instance_pb2.ListAssetPartitionsRequest:
    """Return a question for partitions of one asset.

    Args:
        query: The question.
    """
    return instance_pb2.ListAssetPartitionsRequest(
        asset_key=key_messages.to_message(query.asset_key),
        partitions=map(texts.valid, query.partitions),
        after_partition=texts.valid(query.after_partition),
        materialized=query.materialized,
        after_id=query.after_id,
        before_id=query.before_id,
        page_size=query.limit,
    )


def to_asset_partition(message: instance_pb2.AssetPartition) -> asset_records.AssetPartition:
    """Return what the instance knows of a partition.

    Args:
        message: The partition.
    """
    return asset_records.AssetPartition(
        partition=message.partition,
        materialization_id=message.materialization_id,
        materialization_count=message.materialization_count,
        observation_id=message.observation_id,
        planned_id=message.planned_id,
        planned_run_id=message.planned_run_id,
        planned_run_status=message.planned_run_status,
    )


def to_asset_entry(message: instance_pb2.AssetRecord) -> asset_records.AssetEntry:
    """Return what the instance knows of an asset.

    Args:
        message: The asset.
    """
    has_made = message.HasField("latest_materialization")
    has_seen = message.HasField("latest_observation")
    made, seen = message.latest_materialization, message.latest_observation
    return asset_records.AssetEntry(
        asset_key=key_messages.from_message(message.asset_key),
        last_materialization_record=event_messages.to_record(made) if has_made else None,
        last_observation_record=event_messages.to_record(seen) if has_seen else None,
        last_planned_materialization_storage_id=message.planned_id or None,
        last_planned_materialization_run_id=message.planned_run_id or None,
    )
