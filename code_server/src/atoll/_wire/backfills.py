"""Backfills as user code sees them: questions to messages, and answers back.

Called by the instance's backend in the processes of a location.
"""

from __future__ import annotations

from atoll._definitions import backfills
from atoll._instance import backend
from atoll._wire import keys, texts, timestamps
from atoll.mesh.v1 import instance_pb2


def to_request(query: backend.BackfillsQuery) -> instance_pb2.ListBackfillsRequest:
    """Return a question for backfills as a message.

    Args:
        query: The question.
    """
    return instance_pb2.ListBackfillsRequest(
        backfill_id=texts.valid(query.backfill_id or ""),
        statuses=[query.status.value] if query.status is not None else [],
        after_backfill_id=texts.valid(query.after_backfill_id or ""),
        page_size=query.limit,
    )


def from_message(message: instance_pb2.InstanceBackfill) -> backfills.PartitionBackfill:
    """Return the backfill that a message holds.

    Args:
        message: The message.
    """
    ended = message.HasField("end_time")
    return backfills.PartitionBackfill(
        backfill_id=message.backfill_id,
        status=backfills.BulkActionStatus(message.status),
        title=message.title or None,
        tags=dict(message.tags),
        asset_selection=[keys.from_message(key) for key in message.asset_keys],
        job_name=message.job_name or None,
        backfill_timestamp=timestamps.to_seconds(message.create_time),
        backfill_end_timestamp=timestamps.to_seconds(message.end_time) if ended else None,
    )
