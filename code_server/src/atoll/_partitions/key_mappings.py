"""Mappings by key: the same key, or the key that a table says.

Called by users, and by default where both sides have the same partitions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from atoll._partitions import (
    contexts,
    definitions,
    mappings,
    multi_partitions,
    multi_subsets,
    ordered_subsets,
    partition_keys,
    static_partitions,
    subsets,
    time_window_partitions,
)


class IdentityPartitionMapping(mappings.PartitionMapping):
    """A downstream partition needs the upstream partition with the same key."""

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        return "A downstream partition needs the upstream partition with the same key."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions with the same keys."""
        subset = mappings.partitioned(self, downstream_partitions_subset, downstream_partitions_def)
        wanted, unknown = _with_the_same_keys(subset, upstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return mappings.existing(upstream_partitions_def, wanted, context, unknown)

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions with the same keys."""
        del upstream_partitions_def
        wanted, _ = _with_the_same_keys(upstream_partitions_subset, downstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return mappings.existing(downstream_partitions_def, wanted, context).partitions_subset

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if the downstream asset has no partitions."""
        if downstream_partitions_def is None:
            raise mappings.misfit(self, "what is downstream has no partitions")


class StaticPartitionMapping(mappings.PartitionMapping):
    """A table says which downstream partitions need an upstream one.

    Attributes:
        downstream_partition_keys_by_upstream_partition_key: The downstream key or keys of each
            upstream key.
    """

    downstream_partition_keys_by_upstream_partition_key: Mapping[str, str | Collection[str]]

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        return "A table says which downstream partitions need an upstream one."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions that the table has for the downstream ones."""
        subset = mappings.partitioned(self, downstream_partitions_subset, downstream_partitions_def)
        self.validate_partition_mapping(upstream_partitions_def, downstream_partitions_def)
        found = [up for up, down in self._pairs() if down in subset]
        wanted = upstream_partitions_def.subset_with_partition_keys(found)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return mappings.existing(upstream_partitions_def, wanted, context)

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions that the table has for the upstream ones."""
        del current_time, dynamic_partitions_store
        self.validate_partition_mapping(upstream_partitions_def, downstream_partitions_def)
        found = [down for up, down in self._pairs() if up in upstream_partitions_subset]
        return downstream_partitions_def.subset_with_partition_keys(found)

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if the table has keys that there are not, or a side is not static."""
        sides = (
            ("upstream", upstream_partitions_def, [up for up, _ in self._pairs()]),
            ("downstream", downstream_partitions_def, [down for _, down in self._pairs()]),
        )
        for side, partitions_def, keys in sides:
            if not isinstance(partitions_def, static_partitions.StaticPartitionsDefinition):
                raise mappings.misfit(self, f"the {side} partitions are not static")
            unknown = sorted({key for key in keys if partitions_def.index_of(key) is None})
            if unknown:
                told = partition_keys.listed(unknown)
                raise mappings.misfit(self, f"there is no {side} partition {told}")

    def _pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of an upstream and a downstream key."""
        return [
            (upstream, key)
            for upstream, found in self.downstream_partition_keys_by_upstream_partition_key.items()
            for key in ((found,) if isinstance(found, str) else found)
        ]


def _with_the_same_keys(
    subset: subsets.PartitionsSubset, target: definitions.PartitionsDefinition
) -> tuple[subsets.PartitionsSubset, list[str]]:
    """Return the partitions of a definition with a set's keys, and the keys that it cannot have."""
    ordered = isinstance(subset, ordered_subsets.OrderedPartitionsSubset)
    if ordered and _has_the_keys_of(subset.partitions_def, target):
        return target.subset_of_plain(subset.to_plain()), []
    if (
        isinstance(subset, multi_subsets.MultiPartitionsSubset)
        and isinstance(target, multi_partitions.MultiPartitionsDefinition)
        and subset.partitions_def == target
    ):
        return multi_subsets.MultiPartitionsSubset(target, subset.parts), []
    known: list[str] = []
    unknown: list[str] = []
    none = target.empty_subset()
    for key in subset.get_partition_keys():
        (known if _can_have(target, key) else unknown).append(key)
    return none.with_partition_keys(known), unknown


def _has_the_keys_of(source: object, target: object) -> bool:
    """Return whether definitions name the same partitions, but for the first and the last."""
    kind = time_window_partitions.TimeWindowPartitionsDefinition
    return source == target or (
        isinstance(source, kind)
        and isinstance(target, kind)
        and source.equal_except_for_start_or_end(target)
    )


def _can_have(target: definitions.PartitionsDefinition, key: str) -> bool:
    if isinstance(
        target,
        static_partitions.StaticPartitionsDefinition
        | time_window_partitions.TimeWindowPartitionsDefinition,
    ):
        return target.index_of(key) is not None
    if isinstance(target, multi_partitions.MultiPartitionsDefinition):
        pair = target.parted(key)
        return (
            pair is not None
            and _can_have(target.primary, pair[0])
            and _can_have(target.secondary, pair[1])
        )
    return True
