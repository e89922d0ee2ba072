"""When and with which dynamic partitions partitions are asked for.

Called by every method that takes `current_time` and `dynamic_partitions_store`: what is not given
comes from the context that the caller set, then from the clock.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
from collections.abc import Generator, Sequence
from typing import Protocol

from atoll import _records as records
from atoll import errors
from atoll._partitions import clock


class DynamicPartitionsStore(Protocol):
    """What knows the keys of dynamic partitions, such as an instance."""

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Return the keys that were added to a definition, in the order of their addition."""
        ...

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Return whether a key was added to a definition."""
        ...


class PartitionLoadingContext(records.Record):
    """When and with which dynamic partitions partitions are asked for.

    Attributes:
        effective_dt: The time to take for the current one; None takes the clock's.
        dynamic_partitions_store: What knows dynamic partitions.
    """

    effective_dt: dt.datetime | None = None
    dynamic_partitions_store: DynamicPartitionsStore | None = None

    @property
    def now(self) -> dt.datetime:
        """The time to take for the current one. One without a zone is taken as UTC."""
        moment = self.effective_dt or clock.now()
        return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)

    @property
    def store(self) -> DynamicPartitionsStore:
        """What knows dynamic partitions.

        Raises:
            InvalidInvocationError: Nothing was given that does.
        """
        if self.dynamic_partitions_store is None:
            raise errors.InvalidInvocationError(
                "The keys of dynamic partitions are kept by the instance, and none was given. Pass"
                " dynamic_partitions_store=instance, or call this within"
                " `with partition_loading_context(dynamic_partitions_store=instance):`."
            )
        return self.dynamic_partitions_store


_NOTHING_SET = PartitionLoadingContext()
_current = contextvars.ContextVar("partition_loading_context", default=_NOTHING_SET)


def resolve(
    current_time: dt.datetime | None = None,
    dynamic_partitions_store: DynamicPartitionsStore | None = None,
) -> PartitionLoadingContext:
    """Return the context of a call.

    Args:
        current_time: What the caller gave as the time.
        dynamic_partitions_store: What the caller gave as the store.
    """
    ambient = _current.get()
    return PartitionLoadingContext(
        current_time or ambient.effective_dt,
        ambient.dynamic_partitions_store
        if dynamic_partitions_store is None
        else dynamic_partitions_store,
    )


@contextlib.contextmanager
def partition_loading_context(
    effective_dt: dt.datetime | None = None,
    dynamic_partitions_store: DynamicPartitionsStore | None = None,
    *,
    new_ctx: PartitionLoadingContext | None = None,
) -> Generator[PartitionLoadingContext]:
    """Set the time and the dynamic partitions for all that is asked of partitions inside.

    Args:
        effective_dt: The time to take for the current one.
        dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        new_ctx: A whole context, in place of the two.
    """
    token = _current.set(new_ctx or resolve(effective_dt, dynamic_partitions_store))
    try:
        yield _current.get()
    finally:
        _current.reset(token)
