"""What contexts of ops, assets and checks show of partitions.

The base of `op_context.OpExecutionContext`. What a step knows of partitions is computed in
`step_partitions`; this is how users ask for it.
"""

from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_events, keys
from atoll._execution import step_partitions
from atoll._partitions import partition_keys as key_types
from atoll._partitions import subsets, window_sequences

_RESULT = asset_events.DEFAULT_OUTPUT_NAME


class PartitionContext:
    """The partitions that a step is for, and those that it loads."""

    @property
    def partitions_of_step(self) -> step_partitions.StepPartitions:
        """What the step knows of partitions."""
        raise NotImplementedError

    def asset_key_for_input(self, input_name: str) -> keys.AssetKey:
        """Return the asset whose value a parameter takes."""
        raise NotImplementedError

    @property
    def has_partition_key(self) -> bool:
        """Whether the step is for one partition."""
        return self.partitions_of_step.single_key is not None

    @property
    def has_partitions(self) -> bool:
        """Whether the step is for partitions."""
        return self.has_partition_key or self.partitions_of_step.is_range

    @property
    def has_partition_key_range(self) -> bool:
        """Whether the step is for a range of partitions."""
        return self.partitions_of_step.is_range

    @property
    def partition_key(self) -> str:
        """The partition that the step is for.

        Raises:
            InvariantViolationError: It is for none, or for several.
        """
        found = self.partitions_of_step
        if found.single_key is None:
            if found.is_range and found.is_partitioned and len(found.keys) == 1:
                return found.keys[0]
            several = f" {len(found.keys)} partitions;" if found.is_range else " no partition;"
            raise errors.InvariantViolationError(
                f"The run is for{several} partition_key needs exactly one. Launch it with a "
                "partition key, or use partition_keys."
            )
        if found.partitions_def is not None:
            return found.keys[0]
        return found.single_key

    @property
    def multi_partition_key(self) -> key_types.MultiPartitionKey:
        """The partition that the step is for, by dimension.

        Raises:
            InvariantViolationError: It is for none, or its partitions have one dimension.
        """
        key = self.partition_key
        if not isinstance(key, key_types.MultiPartitionKey):
            raise errors.InvariantViolationError(
                f"The partition {key!r} has one dimension. Use partition_key."
            )
        return key

    @property
    def partition_keys(self) -> Sequence[str]:
        """The partitions that the step is for, in order."""
        found = self.partitions_of_step
        if found.partitions_def is None and found.single_key is not None:
            return [found.single_key]
        return found.keys

    @property
    def partition_key_range(self) -> key_types.PartitionKeyRange:
        """The first and the last of the partitions that the step is for."""
        found = self.partitions_of_step
        if found.partitions_def is None and found.single_key is not None:
            return key_types.PartitionKeyRange(found.single_key, found.single_key)
        return found.key_range

    asset_partition_key_range = partition_key_range

    @property
    def partition_time_window(self) -> window_sequences.TimeWindow:
        """The time that the partitions of the step span."""
        return self.partitions_of_step.time_window

    def asset_partition_key_for_output(self, output_name: str = _RESULT) -> str:
        """Return the partition that an output is."""
        del output_name
        return self.partition_key

    def asset_partition_keys_for_output(self, output_name: str = _RESULT) -> Sequence[str]:
        """Return the partitions that an output is."""
        del output_name
        return self.partition_keys

    def asset_partition_key_range_for_output(
        self, output_name: str = _RESULT
    ) -> key_types.PartitionKeyRange:
        """Return the first and the last of the partitions that an output is."""
        del output_name
        return self.partition_key_range

    def asset_partitions_time_window_for_output(
        self, output_name: str = _RESULT
    ) -> window_sequences.TimeWindow:
        """Return the time that the partitions of an output span."""
        del output_name
        return self.partition_time_window

    def asset_partitions_def_for_output(self, output_name: str = _RESULT) -> Any:
        """Return the partitions of an output's asset, all of them."""
        del output_name
        return self.partitions_of_step.partitions_def

    def asset_partition_keys_for_input(self, input_name: str) -> Sequence[str]:
        """Return the partitions of the asset that an input takes."""
        return list(self._needed(input_name).get_partition_keys())

    def asset_partition_key_for_input(self, input_name: str) -> str:
        """Return the only partition of the asset that an input takes.

        Raises:
            InvariantViolationError: It takes several.
        """
        found = self.asset_partition_keys_for_input(input_name)
        if len(found) != 1:
            raise errors.InvariantViolationError(
                f"The input {input_name!r} takes {len(found)} partitions. Use "
                "asset_partition_keys_for_input."
            )
        return found[0]

    def asset_partition_key_range_for_input(self, input_name: str) -> key_types.PartitionKeyRange:
        """Return the first and the last of the partitions that an input takes."""
        subset = self._needed(input_name)
        return step_partitions.range_of(subset, list(subset.get_partition_keys()))

    def asset_partitions_time_window_for_input(
        self, input_name: str = _RESULT
    ) -> window_sequences.TimeWindow:
        """Return the time that the partitions of an input span."""
        subset = self._needed(input_name)
        return step_partitions.window_of(
            self.asset_partitions_def_for_input(input_name),
            subset,
            list(subset.get_partition_keys()),
        )

    def asset_partitions_def_for_input(self, input_name: str) -> Any:
        """Return the partitions of the asset that an input takes, all of them."""
        key = self.asset_key_for_input(input_name)
        found = self.partitions_of_step.of_asset(key).partitions_def
        if found is None:
            raise errors.InvariantViolationError(
                f"The asset {key.to_user_string()!r} that the input {input_name!r} takes has no "
                "partitions, as far as this location knows. Give its AssetSpec here a "
                "partitions_def."
            )
        return found

    def _needed(self, input_name: str) -> subsets.PartitionsSubset:
        self.asset_partitions_def_for_input(input_name)
        found = self.partitions_of_step.needed_of(self.asset_key_for_input(input_name))
        if found is None:
            raise errors.InvariantViolationError(f"The input {input_name!r} takes no partitions.")
        return found
