"""What a step knows of partitions: its own, and those of the assets that it loads.

Called by contexts and by the loading and storing of values. Which partitions of an upstream asset a
partition needs is told by a mapping, for assets of this location and of others alike.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import runs
from atoll._partitions import (
    contexts,
    definitions,
    inference,
    mappings,
    partition_keys,
    subsets,
    window_sequences,
)

PartitionsDefinition: TypeAlias = definitions.PartitionsDefinition


@dataclasses.dataclass(frozen=True)
class UpstreamAsset:
    """What is known of the partitions of an asset that a step loads.

    Attributes:
        partitions_def: Its partitions, None where it has none.
        mapping: Which of them a partition needs, None where nobody said.
    """

    partitions_def: PartitionsDefinition | None = None
    mapping: mappings.PartitionMapping | None = None


class StepPartitions:
    """The partitions that a step is for.

    Args:
        run: The run.
        partitions_def: The partitions of what the step computes, None where it has none.
        upstream: Tells what is known of the partitions of an asset.
        store: What knows the keys of dynamic partitions.
    """

    def __init__(
        self,
        run: runs.Run | None = None,
        partitions_def: PartitionsDefinition | None = None,
        upstream: Callable[[asset_keys.AssetKey], UpstreamAsset] | None = None,
        store: contexts.DynamicPartitionsStore | None = None,
    ) -> None:
        self._run = run
        self.partitions_def = partitions_def
        self._upstream = upstream
        self.store = store

    @property
    def single_key(self) -> str | None:
        """The partition that the run is for, None for none and for a range."""
        run = self._run
        if run is None or run.partition_key is None:
            return None
        return run.partition_key

    @property
    def is_partitioned(self) -> bool:
        """Whether the step is for partitions."""
        run = self._run
        if run is None or self.partitions_def is None:
            return False
        return run.partition_key is not None or run.partition_range_start is not None

    @property
    def is_range(self) -> bool:
        """Whether the step is for a range of partitions."""
        run = self._run
        return run is not None and run.partition_range_start is not None

    @functools.cached_property
    def subset(self) -> subsets.PartitionsSubset:
        """The partitions that the step is for.

        Raises:
            InvariantViolationError: It is for none.
            UnknownPartitionError: One of them does not exist.
        """
        partitions_def, run = self.partitions_def, self._run
        if partitions_def is None or run is None or not self.is_partitioned:
            raise errors.InvariantViolationError(
                "This run is for no partition. Launch it with a partition key, and give what it "
                "runs a partitions_def."
            )
        with contexts.partition_loading_context(dynamic_partitions_store=self.store):
            empty = partitions_def.empty_subset()
            if run.partition_key is not None:
                partitions_def.validate_partition_key(run.partition_key)
                return empty.with_partition_keys([run.partition_key])
            start = run.partition_range_start or ""
            end = run.partition_range_end or start
            return empty.with_partition_key_range(partition_keys.PartitionKeyRange(start, end))

    @functools.cached_property
    def keys(self) -> Sequence[str]:
        """The keys of the partitions that the step is for, in order."""
        return list(self.subset.get_partition_keys())

    @property
    def key_range(self) -> partition_keys.PartitionKeyRange:
        """The first and the last of the partitions that the step is for."""
        return range_of(self.subset, self.keys)

    @property
    def time_window(self) -> window_sequences.TimeWindow:
        """The time that the partitions of the step span."""
        return window_of(self.partitions_def, self.subset, self.keys)

    def of_asset(self, key: asset_keys.AssetKey) -> UpstreamAsset:
        """Return what is known of the partitions of an asset."""
        return UpstreamAsset() if self._upstream is None else self._upstream(key)

    def needed_of(self, key: asset_keys.AssetKey) -> subsets.PartitionsSubset | None:
        """Return the partitions of an asset that the step needs, None where it has none.

        Args:
            key: The asset.

        Raises:
            UnknownPartitionError: One of them does not exist.
        """
        upstream = self.of_asset(key)
        if upstream.partitions_def is None:
            return None
        own = self.subset if self.is_partitioned else None
        mapping = inference.infer_partition_mapping(
            upstream.mapping,
            self.partitions_def if own is not None else None,
            upstream.partitions_def,
        )
        with contexts.partition_loading_context(dynamic_partitions_store=self.store):
            found = mapping.get_upstream_mapped_partitions_result_for_partitions(
                own, self.partitions_def if own is not None else None, upstream.partitions_def
            )
        lacking = found.required_but_nonexistent_partition_keys
        if lacking:
            raise errors.UnknownPartitionError(
                f"The partitions {partition_keys.listed(self.keys)} need the partitions "
                f"{partition_keys.listed(lacking)} of {key.to_user_string()!r}, which do not "
                "exist. Give the dependency a TimeWindowPartitionMapping with "
                "allow_nonexistent_upstream_partitions=True where they may be missing."
            )
        return found.partitions_subset


def range_of(
    subset: subsets.PartitionsSubset, keys_in_order: Sequence[str]
) -> partition_keys.PartitionKeyRange:
    """Return the first and the last partition of a set.

    Args:
        subset: The partitions.
        keys_in_order: Their keys.

    Raises:
        InvariantViolationError: There are none.
    """
    del subset
    if not keys_in_order:
        raise errors.InvariantViolationError("There are no partitions to make a range of.")
    return partition_keys.PartitionKeyRange(keys_in_order[0], keys_in_order[-1])


def window_of(
    partitions_def: PartitionsDefinition | None,
    subset: subsets.PartitionsSubset,
    keys_in_order: Sequence[str],
) -> window_sequences.TimeWindow:
    """Return the time that partitions span.

    Args:
        partitions_def: What they are partitions of.
        subset: The partitions.
        keys_in_order: Their keys.

    Raises:
        InvariantViolationError: They have nothing to do with time.
    """
    del subset
    window_for = getattr(partitions_def, "time_window_for_partition_key", None)
    if window_for is None or not getattr(partitions_def, "has_time_window_dimension", True):
        raise errors.InvariantViolationError(
            f"The partitions of {partitions_def!r} are no windows of time. Use partition_key."
        )
    first, last = window_for(keys_in_order[0]), window_for(keys_in_order[-1])
    return window_sequences.TimeWindow(first.start, last.end)


NONE = StepPartitions()
