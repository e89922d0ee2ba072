"""The partitions of the assets that a sensor watches, and how those of one belong to another's.

Called by the context of sensors that watch several assets. An asset may be of this location or of
another: what is not defined here is asked of the instance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import assets, keys, specs
from atoll._definitions import definitions as all_definitions
from atoll._instance import instance as instances
from atoll._partitions import contexts, inference
from atoll._partitions import definitions as partitions_definitions

Defined = assets.AssetsDefinition | specs.AssetSpec


class WatchedPartitions:
    """What is known of the partitions of assets.

    Args:
        sensor_name: The sensor, for errors.
        definitions: The definitions of the location, None where they are not known.
        instance: Knows what other locations define, and the keys of dynamic partitions.
    """

    def __init__(
        self,
        sensor_name: str,
        definitions: all_definitions.Definitions | None,
        instance: instances.Instance,
    ) -> None:
        self._sensor_name = sensor_name
        self._graph = None if definitions is None else definitions.graph
        self._instance = instance
        self._foreign: dict[keys.AssetKey, specs.AssetSpec | None] = {}

    def definitions_of(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, Defined | None]:
        """Return what defines each asset; None for those that nobody defines.

        Args:
            asset_keys: The assets.
        """
        self._ask_for([key for key in asset_keys if self._own(key) is None])
        return {key: self._own(key) or self._foreign.get(key) for key in asset_keys}

    def spec_of(self, key: keys.AssetKey) -> specs.AssetSpec | None:
        """Return the spec of an asset; None where nobody defines it."""
        if self._graph is not None and self._own(key) is not None:
            return self._graph.specs[key]
        self._ask_for([key])
        return self._foreign[key]

    def partitions_def_of(self, key: keys.AssetKey) -> partitions_definitions.PartitionsDefinition:
        """Return the partitions of an asset.

        Raises:
            InvariantViolationError: It has none.
        """
        spec = self.spec_of(key)
        found: partitions_definitions.PartitionsDefinition | None = (
            None if spec is None else spec.partitions_def
        )
        if found is None:
            known = "no location defines it" if spec is None else "it is not partitioned"
            raise errors.InvariantViolationError(
                f"The sensor {self._sensor_name!r} asks for partitions of "
                f"{key.to_user_string()!r}, but {known}. In a test, give the context the "
                "definitions."
            )
        return found

    def keys_of(self, key: keys.AssetKey) -> Sequence[str]:
        """Return the partition keys of an asset in their order.

        Raises:
            InvariantViolationError: It has none.
        """
        definition = self.partitions_def_of(key)
        with contexts.partition_loading_context(dynamic_partitions_store=self._instance):
            return definition.get_partition_keys()

    def downstream_keys(
        self, partition_key: str, upstream: keys.AssetKey, downstream: keys.AssetKey
    ) -> Sequence[str]:
        """Return the partitions of an asset that need a partition of another, in their order.

        Args:
            partition_key: The partition.
            upstream: The asset that it is of.
            downstream: The asset whose partitions are wanted.

        Raises:
            InvariantViolationError: One of the assets has no partitions.
            UnknownPartitionError: There is no such partition.
        """
        of_upstream = self.partitions_def_of(upstream)
        of_downstream = self.partitions_def_of(downstream)
        mapping = inference.infer_partition_mapping(
            self._mapping(upstream, downstream), of_downstream, of_upstream
        )
        with contexts.partition_loading_context(dynamic_partitions_store=self._instance):
            of_upstream.validate_partition_key(partition_key)
            found = mapping.get_downstream_partitions_for_partitions(
                of_upstream.subset_with_partition_keys([partition_key]), of_upstream, of_downstream
            )
            return list(found.get_partition_keys())

    def _mapping(self, upstream: keys.AssetKey, downstream: keys.AssetKey) -> Any:
        spec = self.spec_of(downstream)
        for dependency in () if spec is None else spec.deps:
            if dependency.asset_key == upstream:
                return dependency.partition_mapping
        return None

    def _own(self, key: keys.AssetKey) -> Defined | None:
        """Return what this location defines, unless that is but a mention of another's asset."""
        if self._graph is None:
            return None
        made_here = self._graph.get(key)
        if made_here is not None:
            return made_here
        spec = self._graph.specs.get(key)
        return spec if spec is not None and spec.partitions_def is not None else None

    def _ask_for(self, asset_keys: Sequence[keys.AssetKey]) -> None:
        unknown = [key for key in asset_keys if key not in self._foreign]
        if not unknown:
            return
        told = self._instance.get_asset_specs(unknown)
        for key in unknown:
            mentioned = None if self._graph is None else self._graph.specs.get(key)
            self._foreign[key] = told.get(key) or mentioned
