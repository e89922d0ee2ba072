"""How parameters of assets get their values, and what the outputs of multi-assets are.

Called by users, and by the decorators that make assets.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_events, keys, specs
from atoll._definitions import metadata as metadata_values
from atoll._definitions.nodes import ins_and_outs


class AssetIn:
    """How a parameter of an asset gets its value.

    Args:
        key: The upstream asset; told from the parameter's name where not given.
        metadata: What to give to the IO manager with the input.
        key_prefix: Parts to put before the parameter's name.
        input_manager_key: The resource that loads the value instead of the upstream asset's IO
            manager.
        partition_mapping: Which partitions of the upstream asset a partition needs.
        type: The type of the value; told from the annotation where not given. `Nothing` makes the
            upstream asset come first without loading its value.

    Example:
        `@asset(ins={"raw": AssetIn("raw_events")})`
    """

    def __init__(
        self,
        key: keys.CoercibleToAssetKey | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
        input_manager_key: str | None = None,
        partition_mapping: Any = None,
        type: Any = ins_and_outs.NO_TYPE,
    ) -> None:
        if key is not None and key_prefix is not None:
            raise errors.InvalidDefinitionError(
                f"AssetIn takes either key or key_prefix, got key={key!r} and "
                f"key_prefix={key_prefix!r}."
            )
        self.key = None if key is None else keys.AssetKey.from_coercible(key)
        self.metadata = dict(metadata or {})
        self.key_prefix = keys.prefix_parts(key_prefix)
        self.input_manager_key = input_manager_key
        self.partition_mapping = partition_mapping
        self.type = type

    def resolve_key(self, input_name: str) -> keys.AssetKey:
        """Return the upstream asset of a parameter."""
        return self.key if self.key is not None else keys.AssetKey((*self.key_prefix, input_name))

    @staticmethod
    def from_coercible(coercible: "AssetIn | keys.CoercibleToAssetKey") -> "AssetIn":
        """Make an input of what stands for one: an input or the key of the upstream asset."""
        return coercible if isinstance(coercible, AssetIn) else AssetIn(key=coercible)

    def to_in(self) -> ins_and_outs.In | None:
        """Return the input of the op, None where there is nothing to say of it."""
        if not (self.metadata or self.input_manager_key) and self.type is ins_and_outs.NO_TYPE:
            return None
        return ins_and_outs.In(
            self.type, metadata=self.metadata, input_manager_key=self.input_manager_key
        )


CoercibleToAssetIn = AssetIn | keys.CoercibleToAssetKey


class AssetOut:
    """What one output of a multi-asset is.

    Args:
        key_prefix: Parts of the key before the output's name.
        key: The whole key; told from prefix and name where not given.
        type: The type of the value; told from the annotation where not given.
        description: What the asset is.
        is_required: Whether the function has to give it.
        io_manager_key: The resource that stores it.
        metadata: What to attach to the definition.
        group_name: The group that the asset belongs to.
        code_version: The version of the code.
        automation_condition: When the host is to materialize it by itself.
        backfill_policy: How many partitions one run of a backfill takes.
        owners: Who answers for it.
        tags: Labels.
        kinds: What it is made of or with.
        freshness_policy: How old it may become.
        is_virtual: Whether it is computed where it is read.
    """

    def __init__(
        self,
        key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
        key: keys.CoercibleToAssetKey | None = None,
        type: Any = ins_and_outs.NO_TYPE,
        description: str | None = None,
        is_required: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        io_manager_key: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        group_name: str | None = None,
        code_version: str | None = None,
        automation_condition: Any = None,
        backfill_policy: Any = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] | None = None,
        freshness_policy: Any = None,
        is_virtual: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> None:
        if key is not None and key_prefix is not None:
            raise errors.InvalidDefinitionError(
                f"AssetOut takes either key or key_prefix, got key={key!r} and "
                f"key_prefix={key_prefix!r}."
            )
        self.key_prefix = keys.prefix_parts(key_prefix)
        self.key = None if key is None else keys.AssetKey.from_coercible(key)
        self.type = type
        self.description = description
        self.is_required = is_required
        self.io_manager_key = io_manager_key
        self.metadata = metadata
        self.group_name = group_name
        self.code_version = code_version
        self.automation_condition = automation_condition
        self.backfill_policy = backfill_policy
        self.owners = owners
        self.tags = asset_events.checked_tags(tags)
        self.kinds = kinds
        self.freshness_policy = freshness_policy
        self.is_virtual = is_virtual

    @staticmethod
    def from_spec(
        spec: specs.AssetSpec,
        type: Any = ins_and_outs.NO_TYPE,
        is_required: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        io_manager_key: str | None = None,
        backfill_policy: Any = None,
    ) -> "AssetOut":
        """Make an output of a spec, whose dependencies are given elsewhere.

        Raises:
            InvalidDefinitionError: The spec has dependencies.
        """
        if spec.deps:
            raise errors.InvalidDefinitionError(
                f"The spec of {spec.key.to_user_string()!r} has dependencies, which an AssetOut "
                "cannot hold. Give them to the multi_asset as deps or internal_asset_deps."
            )
        return AssetOut(
            key=spec.key,
            type=type,
            description=spec.description,
            is_required=is_required,
            io_manager_key=io_manager_key,
            metadata=spec.metadata,
            group_name=spec.group_name,
            code_version=spec.code_version,
            automation_condition=spec.automation_condition,
            backfill_policy=backfill_policy,
            owners=spec.owners,
            tags=spec.tags,
            kinds=spec.kinds,
            freshness_policy=spec.freshness_policy,
            is_virtual=spec.is_virtual,
        )

    def resolve_key(self, output_name: str) -> keys.AssetKey:
        """Return the asset of an output."""
        return self.key if self.key is not None else keys.AssetKey((*self.key_prefix, output_name))

    def to_out(self) -> ins_and_outs.Out:
        """Return the output of the op."""
        return ins_and_outs.Out(
            self.type,
            self.description,
            self.is_required,
            self.io_manager_key,
            code_version=self.code_version,
        )

    def to_spec(
        self,
        key: keys.AssetKey,
        deps: Iterable[specs.CoercibleToAssetDep],
        additional_tags: Mapping[str, str] | None = None,
        partitions_def: Any = None,
    ) -> specs.AssetSpec:
        """Return what the asset is.

        Args:
            key: Its key.
            deps: What it depends on.
            additional_tags: Further labels.
            partitions_def: Its partitions.
        """
        return specs.AssetSpec(
            key,
            deps=deps,
            description=self.description,
            metadata=self.metadata,
            skippable=not self.is_required,
            group_name=self.group_name,
            code_version=self.code_version,
            automation_condition=self.automation_condition,
            owners=self.owners,
            tags={**self.tags, **(additional_tags or {})},
            kinds=self.kinds,
            partitions_def=partitions_def,
            freshness_policy=self.freshness_policy,
            is_virtual=self.is_virtual,
        )
