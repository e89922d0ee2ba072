"""What a job knows of its partitions: which there are, and what a run of one of them is like.

The base of `JobDefinition`. What partitions are is the business of `_partitions`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import job_config, keys, run_requests
from atoll._definitions import run_config as run_configs
from atoll._partitions import contexts


class PartitionedJob:
    """The partitions of a job.

    Attributes:
        name: The name of the job.
        config: The run configuration that it brings along.
        partitions_def: The partitions that its runs are for, None for none.
        asset_layer: What it means among the assets of its location, if it is a job of assets.
    """

    name: str
    config: job_config.JobConfig
    partitions_def: Any
    asset_layer: Any

    def partitions_def_for(self, selected_asset_keys: Sequence[keys.AssetKey] | None = None) -> Any:
        """Return the partitions of a run.

        Args:
            selected_asset_keys: The assets of the run, for jobs whose assets differ; all of the job
                where not given.

        Raises:
            InvariantViolationError: The run has none, or its assets have several.
        """
        if self.partitions_def is not None:
            return self.partitions_def
        found: list[Any] = []
        layer = self.asset_layer
        if layer is not None:
            for key in selected_asset_keys or sorted(layer.asset_keys):
                one = layer.graph.partitions_def_of(key)
                if one is not None and one not in found:
                    found.append(one)
        if len(found) == 1:
            return found[0]
        if not found:
            raise errors.InvariantViolationError(
                f"The job {self.name!r} has no partitions"
                + (" in the selected assets." if selected_asset_keys else ".")
                + " Leave the partition key out, or give it a partitions_def."
            )
        raise errors.InvariantViolationError(
            f"The assets of the job {self.name!r} have {len(found)} kinds of partitions. Select "
            "assets that share theirs."
        )

    def get_partition_keys(
        self, selected_asset_keys: Sequence[keys.AssetKey] | None = None
    ) -> Sequence[str]:
        """Return the partitions that runs of the job may be for, in order.

        Args:
            selected_asset_keys: The assets of the run, for jobs whose assets differ.

        Raises:
            InvariantViolationError: The run has none, or its assets have several.
        """
        found: Sequence[str] = self.partitions_def_for(selected_asset_keys).get_partition_keys()
        return found

    def validate_partition_key(
        self,
        partition_key: str,
        selected_asset_keys: Sequence[keys.AssetKey] | None = None,
        context: contexts.PartitionLoadingContext | None = None,
    ) -> None:
        """Say so if the job has no such partition.

        Args:
            partition_key: The partition.
            selected_asset_keys: The assets of the run, for jobs whose assets differ.
            context: The time and the dynamic partitions to go by.

        Raises:
            InvariantViolationError: The job has no partitions at all.
            UnknownPartitionError: It has no such partition.
        """
        partitions = self.partitions_def_for(selected_asset_keys)
        partitions.validate_partition_key(partition_key, context)

    def get_run_config_for_partition_key(self, partition_key: str) -> Mapping[str, Any]:
        """Return the run configuration that a run of a partition gets where it brings none.

        Args:
            partition_key: The partition.
        """
        if self.config.mapping is not None:
            return {}
        return self.config.in_force({}, partition_key)

    def get_tags_for_partition_key(
        self, partition_key: str, selected_asset_keys: Sequence[keys.AssetKey] | None = None
    ) -> Mapping[str, str]:
        """Return the labels that a run of a partition gets for being of it.

        Args:
            partition_key: The partition.
            selected_asset_keys: The assets of the run, for jobs whose assets differ.

        Raises:
            InvariantViolationError: The job has no partitions.
        """
        partitions = self.partitions_def_for(selected_asset_keys)
        return {
            **partitions.get_tags_for_partition_key(partition_key),
            **self.config.tags_of(partition_key),
        }

    def run_request_for_partition(
        self,
        partition_key: str,
        run_key: str | None = None,
        tags: Mapping[str, str] | None = None,
        asset_selection: Sequence[keys.CoercibleToAssetKey] | None = None,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> run_requests.RunRequest:
        """Return the request for a run of a partition.

        Args:
            partition_key: The partition.
            run_key: At most one run is made for it.
            tags: Labels, beside those of the partition.
            asset_selection: Only these assets of the job.
            run_config: The run configuration, in place of the job's.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.

        Raises:
            InvariantViolationError: The job has no partitions.
            UnknownPartitionError: It has no such partition.
        """
        request = run_requests.RunRequest(
            run_key,
            run_config,
            tags,
            self.name,
            asset_selection,
            partition_key=partition_key,
        )
        with contexts.partition_loading_context(current_time):
            return request.with_resolved_tags_and_config(
                self, dynamic_partitions_store=dynamic_partitions_store
            )
