"""Loads stored values of assets outside any run: in scripts, notebooks and tests.

Called by users and by `Definitions.load_asset_value`. Resources are made ready when first needed
and closed with the loader.
"""

from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import annotations, definitions, keys
from atoll._execution import io_contexts, resource_scope, resources, run_scope
from atoll._instance import instance as instances
from atoll._partitions import contexts, partition_keys, subsets


class AssetValueLoader:
    """Loads stored values of assets. Used as a context manager, it closes what it opened.

    Args:
        defs: The definitions that know the assets.
        instance: The instance whose storage to read; the location's own where None.

    Example:
        `with AssetValueLoader(defs) as loader: loader.load_asset_value("orders")`
    """

    def __init__(
        self, defs: definitions.Definitions, instance: instances.Instance | None = None
    ) -> None:
        self._defs = defs
        self._instance = instance
        self._scopes: dict[str, resource_scope.Scope] = {}

    def __enter__(self) -> "AssetValueLoader":  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        for scope in self._scopes.values():
            scope.close()
        self._scopes.clear()

    def load_asset_value(  # noqa: PLR0913 - the field's signature
        self,
        asset_key: keys.CoercibleToAssetKey,
        *,
        python_type: Any = None,
        partition_key: str | None = None,
        partition_key_range: partition_keys.PartitionKeyRange | None = None,
        input_definition_metadata: Mapping[str, Any] | None = None,
        resource_config: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Load the stored value of an asset.

        Args:
            asset_key: The asset.
            python_type: What to load it as, such as `pandas.DataFrame`.
            partition_key: The partition.
            partition_key_range: The partitions, from one to another.
            input_definition_metadata: What the IO manager is given with the input.
            resource_config: The section `resources` of run configuration.
            metadata: The same as `input_definition_metadata`.

        Returns:
            The value.

        Raises:
            InvalidSubsetError: The definitions do not know the asset.
        """
        key = keys.AssetKey.from_coercible(asset_key)
        graph = self._defs.graph
        if key not in graph.specs:
            raise errors.InvalidSubsetError(
                f"The definitions do not know the asset {key.to_user_string()!r}; they know "
                f"{keys.in_words(graph.specs) or 'none'}."
            )
        manager_key = graph.io_manager_key_of(key)
        scope = self._scope(key, resource_config)
        manager = scope.require((manager_key,))[manager_key]
        partitions_def = graph.partitions_def_of(key)
        if partitions_def is None and (partition_key or partition_key_range):
            raise errors.InvariantViolationError(
                f"The asset {key.to_user_string()!r} has no partitions, and "
                f"{partition_key or partition_key_range!r} was asked for. Leave the partition out."
            )
        spec = graph.specs[key]
        context = io_contexts.InputContext(
            asset_key=key,
            instance=self._instance,
            python_type=annotations.UNKNOWN if python_type is None else python_type,
            definition_metadata=input_definition_metadata or metadata,
            upstream_output=io_contexts.OutputContext(
                keys.op_name_of(key),
                "result",
                asset_key=key,
                asset_spec=spec,
                definition_metadata={name: one.value for name, one in spec.metadata.items()},
                resource_config=scope.config_of(manager_key),
            ),
            resource_config=scope.config_of(manager_key),
            resources=resources.Resources(scope.require(()), "The loader"),
            partition_key=partition_key,
            asset_partitions_def=partitions_def,
            asset_partitions_subset=self._subset(
                partitions_def, partition_key, partition_key_range
            ),
        )
        with contexts.partition_loading_context(dynamic_partitions_store=self._instance):
            return manager.load_input(context)

    def _subset(
        self,
        partitions_def: Any,
        partition_key: str | None,
        key_range: partition_keys.PartitionKeyRange | None,
    ) -> subsets.PartitionsSubset | None:
        if partitions_def is None:
            return None
        found: subsets.PartitionsSubset
        with contexts.partition_loading_context(dynamic_partitions_store=self._instance):
            if partition_key is not None:
                partitions_def.validate_partition_key(partition_key)
                found = partitions_def.empty_subset().with_partition_keys([partition_key])
            elif key_range is not None:
                found = partitions_def.empty_subset().with_partition_key_range(key_range)
            else:
                found = partitions_def.subset_with_all_partitions()
        return found

    def _scope(
        self, key: keys.AssetKey, resource_config: Mapping[str, Any] | None
    ) -> resource_scope.Scope:
        one = self._defs.graph.get(key)
        own: Mapping[str, Any] = one.resource_defs if one is not None else {}
        place = key.to_user_string() if own or resource_config else ""
        if place not in self._scopes:
            storage = None if self._instance is None else self._instance.storage_dir
            objects = run_scope.objects_of([self._defs.resources, own], storage)
            around = resource_scope.Surroundings(instance=self._instance, whose="The loader")
            self._scopes[place] = resource_scope.Scope(objects, resource_config, around)
        return self._scopes[place]
