"""Backfills, as a host knows them: begin, look at, steer.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import backfills_pb2
from atoll.client import backfills as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2


class Backfills:
    """Begins, shows and steers backfills."""

    def __init__(self, portal: portals.Portal, inner: original.Backfills) -> None:
        self._portal = portal
        self._inner = inner

    def create(self, new: original.NewBackfill) -> backfills_pb2.Backfill:
        """Begin a backfill, or only tell what it would be. What was sent twice is done once."""
        return self._portal.run(self._inner.create(new))

    def get(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Return one backfill with its progress."""
        return self._portal.run(self._inner.get(backfill_id))

    def list(
        self,
        *,
        statuses: Sequence[backfills_pb2.BackfillStatus.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[backfills_pb2.Backfill]:
        """Yield backfills, newest first.

        Args:
            statuses: Only those in these states; none means any.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.list(statuses=statuses, limit=limit))

    def partitions(
        self,
        backfill_id: str,
        key: values_pb2.AssetKey | None = None,
        *,
        state: backfills_pb2.BackfillPartitionState.ValueType = backfills_pb2.BACKFILL_PARTITION_STATE_UNSPECIFIED,
        limit: int | None = None,
    ) -> Iterator[backfills_pb2.BackfillPartition]:
        """Yield partitions of one asset of a backfill in their order.

        Args:
            backfill_id: The backfill.
            key: The asset; None for the job of a backfill of a job.
            state: Only those in this state; unspecified means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.partitions(backfill_id, key, state=state, limit=limit)
        )

    def cancel(self, backfill_id: str) -> backfills_pb2.Backfill:
        """End a backfill: nothing more is requested, and its runs are canceled."""
        return self._portal.run(self._inner.cancel(backfill_id))

    def pause(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a backfill request nothing more until it is resumed."""
        return self._portal.run(self._inner.pause(backfill_id))

    def resume(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a paused backfill go on."""
        return self._portal.run(self._inner.resume(backfill_id))

    def retry(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a backfill request again what failed, and then what waited for it."""
        return self._portal.run(self._inner.retry(backfill_id))
