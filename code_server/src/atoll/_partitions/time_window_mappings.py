"""Mappings by time: windows that overlap, whatever their lengths and time zones.

Called by users, and by default where both sides are windows of time. A range of any length is
mapped in one step.
"""

from __future__ import annotations

import datetime as dt

from atoll import errors
from atoll._partitions import (
    contexts,
    definitions,
    index_ranges,
    mappings,
    ordered_subsets,
    subsets,
    time_window_partitions,
    window_sequences,
)


class TimeWindowPartitionMapping(mappings.PartitionMapping):
    """A downstream partition needs the upstream partitions whose windows overlap with its own.

    Attributes:
        start_offset: By how many downstream windows the time that is needed starts later; -1 needs
            the time of the window before as well.
        end_offset: By how many downstream windows the time that is needed ends later.
        allow_nonexistent_upstream_partitions: Whether upstream partitions may be missing. What an
            offset alone reaches may always be: the first day has no day before.
    """

    start_offset: int
    end_offset: int
    allow_nonexistent_upstream_partitions: bool

    def __init__(
        self,
        start_offset: int = 0,
        end_offset: int = 0,
        allow_nonexistent_upstream_partitions: bool = False,  # noqa: FBT001, FBT002  # the field's
    ) -> None:
        """Make a mapping.

        Args:
            start_offset: By how many downstream windows the time that is needed starts later.
            end_offset: By how many downstream windows the time that is needed ends later.
            allow_nonexistent_upstream_partitions: Whether upstream partitions may be missing.

        Raises:
            InvalidDefinitionError: The time that is needed would end before it starts.
        """
        object.__setattr__(self, "start_offset", start_offset)
        object.__setattr__(self, "end_offset", end_offset)
        object.__setattr__(
            self, "allow_nonexistent_upstream_partitions", allow_nonexistent_upstream_partitions
        )
        if start_offset > end_offset:
            raise errors.InvalidDefinitionError(
                f"start_offset={start_offset} is after end_offset={end_offset}, so no partition"
                " would be needed. Give an end_offset that is not less."
            )

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        text = "A downstream partition needs the upstream partitions that overlap with its window"
        if self.start_offset or self.end_offset:
            text += f", moved by {self.start_offset} at the start and {self.end_offset} at the end"
        return f"{text}."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions whose windows overlap with the time that is needed."""
        subset = mappings.partitioned(self, downstream_partitions_subset, downstream_partitions_def)
        upstream = self._time_windows(upstream_partitions_def, "upstream")
        ranges = _ranges_of(subset)
        windows = self._time_windows(downstream_partitions_def, "downstream").windows
        needed = _overlapping(
            windows, ranges.shifted(self.start_offset, self.end_offset), upstream.windows
        )
        context = contexts.resolve(current_time, dynamic_partitions_store)
        found = needed & index_ranges.IndexRanges([(0, upstream.count_in(context))])
        missing = index_ranges.IndexRanges()
        if not self.allow_nonexistent_upstream_partitions:
            missing = (needed - found) & _overlapping(windows, ranges, upstream.windows)
        return mappings.UpstreamPartitionsResult(
            ordered_subsets.OrderedPartitionsSubset(upstream, found),
            ordered_subsets.OrderedPartitionsSubset(upstream, missing),
        )

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions that need the time of upstream windows."""
        downstream = self._time_windows(downstream_partitions_def, "downstream")
        windows = self._time_windows(upstream_partitions_def, "upstream").windows
        touched = _overlapping(windows, _ranges_of(upstream_partitions_subset), downstream.windows)
        needing = touched.shifted(-self.end_offset, -self.start_offset)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        found = needing & index_ranges.IndexRanges([(0, downstream.count_in(context))])
        return ordered_subsets.OrderedPartitionsSubset(downstream, found)

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if a side has no windows of time."""
        self._time_windows(upstream_partitions_def, "upstream")
        self._time_windows(downstream_partitions_def, "downstream")

    def _time_windows(
        self, partitions_def: definitions.PartitionsDefinition | None, side: str
    ) -> time_window_partitions.TimeWindowPartitionsDefinition:
        if isinstance(partitions_def, time_window_partitions.TimeWindowPartitionsDefinition):
            return partitions_def
        raise mappings.misfit(self, f"what is {side} has no time window partitions")


def _ranges_of(subset: subsets.PartitionsSubset) -> index_ranges.IndexRanges:
    if isinstance(subset, ordered_subsets.OrderedPartitionsSubset):
        return subset.ranges
    text = f"{subset!r} is no set of time windows; make it by its definition."
    raise errors.InvalidInvocationError(text)


def _overlapping(
    windows: window_sequences.WindowSequence,
    ranges: index_ranges.IndexRanges,
    others: window_sequences.WindowSequence,
) -> index_ranges.IndexRanges:
    """Return the numbers of other windows that overlap with some windows."""
    return index_ranges.IndexRanges(
        others.overlapping(*run) for found in ranges.ranges for run in windows.runs(*found)
    )
