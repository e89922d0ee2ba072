"""What is asked of time window partitions by time: which one is at, before, after or in a time.

Called as methods of `TimeWindowPartitionsDefinition`, whose base this is: the definition says what
its windows are, this looks among them.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Iterable, Sequence

from atoll._partitions import (
    contexts,
    definitions,
    index_ranges,
    keyspaces,
    ordered_subsets,
    partition_keys,
    window_sequences,
)
from atoll._partitions.window_sequences import TimeWindow


class WindowLookups(definitions.PartitionsDefinition, keyspaces.OrderedKeyspace):
    """What is asked of time window partitions by time."""

    @property
    @abc.abstractmethod
    def windows(self) -> window_sequences.WindowSequence:
        """The windows by number."""

    def time_window_for_partition_key(self, partition_key: str) -> TimeWindow:
        """Return the window of a partition.

        Args:
            partition_key: The key; its window need not have ended yet.

        Raises:
            UnknownPartitionError: No window has the key.
        """
        index = self.windows.index(partition_key)
        if index is None:
            raise self.unknown([partition_key])
        return self.windows.window(index)

    def time_windows_for_partition_keys(
        self,
        partition_keys: Iterable[str],
        validate: bool = True,  # noqa: FBT001, FBT002  # the field's signature
    ) -> Sequence[TimeWindow]:
        """Return the windows that partitions cover together: adjacent ones are one.

        Args:
            partition_keys: The keys.
            validate: Whether a key without a window is an error, and not passed over.

        Raises:
            UnknownPartitionError: No window has one of the keys.
        """
        keys = list(partition_keys)
        known = keys if validate else [key for key in keys if self.index_of(key) is not None]
        none = ordered_subsets.OrderedPartitionsSubset(self, index_ranges.IndexRanges())
        return self.time_windows_of(none.with_partition_keys(known))

    def time_windows_of(
        self, subset: ordered_subsets.OrderedPartitionsSubset
    ) -> Sequence[TimeWindow]:
        """Return the stretches of time that the partitions of a set cover.

        Args:
            subset: A set of partitions of this definition.
        """
        date = self._date
        runs = (run for found in subset.ranges.ranges for run in self.windows.runs(*found))
        return [TimeWindow(date(start), date(end)) for start, end in runs]

    def start_time_for_partition_key(self, partition_key: str) -> dt.datetime:
        """Return when the window of a partition starts.

        Args:
            partition_key: The key.

        Raises:
            UnknownPartitionError: No window has the key.
        """
        return self.time_window_for_partition_key(partition_key).start

    def end_time_for_partition_key(self, partition_key: str) -> dt.datetime:
        """Return when the window of a partition ends.

        Args:
            partition_key: The key.

        Raises:
            UnknownPartitionError: No window has the key.
        """
        return self.time_window_for_partition_key(partition_key).end

    def get_first_partition_window(
        self, current_time: dt.datetime | None = None
    ) -> TimeWindow | None:
        """Return the window of the first partition, None where there is none.

        Args:
            current_time: The time to take for the current one.
        """
        return self._existing_window(0, contexts.resolve(current_time))

    def get_last_partition_window(
        self, current_time: dt.datetime | None = None
    ) -> TimeWindow | None:
        """Return the window of the last partition, None where there is none.

        Args:
            current_time: The time to take for the current one.
        """
        context = contexts.resolve(current_time)
        return self._existing_window(self.count_in(context) - 1, context)

    def get_next_partition_window(
        self,
        end_dt: dt.datetime,
        respect_bounds: bool = True,  # noqa: FBT001, FBT002  # the field's signature
    ) -> TimeWindow | None:
        """Return the first window that starts at a time or later.

        Args:
            end_dt: The time, such as the end of another window.
            respect_bounds: Whether it has to be that of a partition; there may be none then.
        """
        index = self.windows.starting_before(_seconds(end_dt))
        if respect_bounds:
            return self._existing_window(max(index, 0), contexts.resolve())
        return self.windows.window(index)

    def get_prev_partition_window(
        self,
        start_dt: dt.datetime,
        respect_bounds: bool = True,  # noqa: FBT001, FBT002  # the field's signature
    ) -> TimeWindow | None:
        """Return the last window that ends at a time or earlier.

        Args:
            start_dt: The time, such as the start of another window.
            respect_bounds: Whether it has to be that of a partition; there may be none then.
        """
        index = self.windows.ended_by(_seconds(start_dt)) - 1
        if not respect_bounds:
            return self.windows.window(index)
        context = contexts.resolve()
        return self._existing_window(min(index, self.count_in(context) - 1), context)

    def get_next_partition_key(self, partition_key: str) -> str | None:
        """Return the key after another one, None where there is no partition after it.

        Args:
            partition_key: The other key.

        Raises:
            UnknownPartitionError: No window has the key.
        """
        index = self.required_index(partition_key) + 1
        return self.key_at(index) if index < self.count_in(contexts.resolve()) else None

    def get_partition_key_for_timestamp(
        self,
        timestamp: float,
        end_closed: bool = False,  # noqa: FBT001, FBT002  # the field's signature
    ) -> str:
        """Return the key of the window that a moment lies in.

        Args:
            timestamp: The moment, in seconds since 1970.
            end_closed: Whether the moment between two windows belongs to the first of them.
        """
        index = self.windows.ended_by(timestamp)
        if end_closed and self.windows.moments(index - 1)[1] == timestamp:
            index -= 1
        return self.key_at(index)

    def get_partition_key_range_for_time_window(
        self,
        time_window: TimeWindow,
        respect_bounds: bool = True,  # noqa: FBT001, FBT002  # the field's signature
    ) -> partition_keys.PartitionKeyRange:
        """Return the partitions from that in which a time starts to the last that ends in it.

        Args:
            time_window: The time.
            respect_bounds: Whether both have to be partitions that there are.

        Raises:
            UnknownPartitionError: One of them is not there.
        """
        first = self.windows.ended_by(_seconds(time_window.start))
        last = self.windows.ended_by(_seconds(time_window.end)) - 1
        keys = partition_keys.PartitionKeyRange(self.key_at(first), self.key_at(last))
        if respect_bounds:
            for key in keys:
                self.validate_partition_key(key)
        return keys

    def get_partition_subset_in_time_window(
        self, time_window: TimeWindow
    ) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set of the partitions whose windows start in a time.

        Args:
            time_window: The time.
        """
        start = self.windows.starting_before(_seconds(time_window.start))
        end = self.windows.starting_before(_seconds(time_window.end))
        bounds = (max(start, 0), min(end, self.count_in(contexts.resolve())))
        return ordered_subsets.OrderedPartitionsSubset(self, index_ranges.IndexRanges([bounds]))

    def get_partition_keys_in_time_window(self, time_window: TimeWindow) -> Sequence[str]:
        """Return the keys of the partitions whose windows start in a time.

        Args:
            time_window: The time.
        """
        return list(self.get_partition_subset_in_time_window(time_window))

    def get_num_partitions_in_window(self, time_window: TimeWindow) -> int:
        """Return how many partitions' windows start in a time.

        Args:
            time_window: The time.
        """
        return len(self.get_partition_subset_in_time_window(time_window))

    def has_any_partitions_in_window(self, time_window: TimeWindow) -> bool:
        """Return whether any partition's window starts in a time.

        Args:
            time_window: The time.
        """
        return not self.get_partition_subset_in_time_window(time_window).is_empty

    def get_partition_keys_between_indexes(self, start_idx: int, end_idx: int) -> list[str]:
        """Return the keys of partitions by number.

        Args:
            start_idx: The number of the first one.
            end_idx: The number after that of the last one.
        """
        return [self.key_at(index) for index in range(start_idx, end_idx)]

    def is_window_start_excluded(self, window_start: dt.datetime) -> bool:
        """Return whether a window that starts at a time is left out.

        Args:
            window_start: When the window starts.
        """
        start = _seconds(window_start)
        is_start = self.windows.timeline.is_tick(start)
        return is_start and self.windows.moments(self.windows.starting_before(start))[0] != start

    def less_than(self, partition_key1: str, partition_key2: str) -> bool:
        """Return whether a partition comes before another one.

        Args:
            partition_key1: The key of the one.
            partition_key2: The key of the other.

        Raises:
            UnknownPartitionError: No window has one of the keys.
        """
        return self.required_index(partition_key1) < self.required_index(partition_key2)

    def _existing_window(
        self, index: int, context: contexts.PartitionLoadingContext
    ) -> TimeWindow | None:
        return self.windows.window(index) if 0 <= index < self.count_in(context) else None

    def _date(self, timestamp: int) -> dt.datetime:
        return dt.datetime.fromtimestamp(timestamp, self.windows.timeline.zone.tzinfo)


def _seconds(moment: dt.datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)).timestamp()
