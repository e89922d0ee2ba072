"""Mappings of partitions with two dimensions, dimension by dimension.

Called by users, and by default where one side has a dimension that is the other side. Sets are
mapped rectangle by rectangle, never partition by partition.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from atoll import _records as records
from atoll import errors
from atoll._partitions import (
    contexts,
    definitions,
    key_mappings,
    key_subsets,
    mappings,
    multi_partitions,
    multi_subsets,
    partition_keys,
    subsets,
    time_window_mappings,
    time_window_partitions,
)

_Multi = multi_partitions.MultiPartitionsDefinition
_BySide = dict[str, subsets.PartitionsSubset]


class DimensionPartitionMapping(records.Record):
    """The dimension that an upstream dimension belongs to, and how.

    Attributes:
        dimension_name: The downstream dimension.
        partition_mapping: How the partitions of the two belong together.
    """

    dimension_name: str
    partition_mapping: mappings.PartitionMapping


class MultiPartitionMapping(mappings.PartitionMapping):
    """Each upstream dimension belongs to a downstream one, or to all of what is downstream.

    Attributes:
        downstream_mappings_by_upstream_dimension: The downstream dimension of each upstream one. A
            downstream partition needs all partitions of upstream dimensions that are left out.
    """

    downstream_mappings_by_upstream_dimension: Mapping[str, DimensionPartitionMapping]

    def __init__(
        self, downstream_mappings_by_upstream_dimension: Mapping[str, DimensionPartitionMapping]
    ) -> None:
        """Make a mapping.

        Args:
            downstream_mappings_by_upstream_dimension: The downstream dimension of each upstream
                one.

        Raises:
            InvalidDefinitionError: Two upstream dimensions belong to the same downstream one.
        """
        given = dict(downstream_mappings_by_upstream_dimension)
        object.__setattr__(self, "downstream_mappings_by_upstream_dimension", given)
        names = [each.dimension_name for each in given.values()]
        if len(set(names)) < len(names):
            raise mappings.misfit(self, "two upstream dimensions belong to the same downstream one")

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        told = "; ".join(
            f"{upstream} belongs to {each.dimension_name}: {each.partition_mapping.description}"
            for upstream, each in self.downstream_mappings_by_upstream_dimension.items()
        )
        return f"Partitions are mapped dimension by dimension. {told}"

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions that each dimension's mapping gives, crossed."""
        subset = mappings.partitioned(self, downstream_partitions_subset, downstream_partitions_def)
        upstream, downstream = self._sides(upstream_partitions_def, downstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        by_upstream = self.downstream_mappings_by_upstream_dimension
        found = upstream.empty_subset()
        missing: subsets.PartitionsSubset = upstream.empty_subset()
        for dimensions in downstream.dimensions_of(_multi(subset)):
            results: dict[str, mappings.UpstreamPartitionsResult] = {}
            for each in upstream.partitions_defs:
                mapped = by_upstream.get(each.name)
                if mapped is None:
                    everything = mappings.everything(each.partitions_def, context)
                    none = each.partitions_def.empty_subset()
                    results[each.name] = mappings.UpstreamPartitionsResult(everything, none)
                    continue
                mapping = mapped.partition_mapping
                results[each.name] = mapping.get_upstream_mapped_partitions_result_for_partitions(
                    dimensions[mapped.dimension_name],
                    downstream.get_partitions_def_for_dimension(mapped.dimension_name),
                    each.partitions_def,
                    context.effective_dt,
                    context.dynamic_partitions_store,
                )
            found = found | upstream.subset_of_dimensions(
                {name: result.partitions_subset for name, result in results.items()}
            )
            missing = _joined(upstream, missing, _missing(upstream, results))
        return mappings.UpstreamPartitionsResult(found, missing)

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions that each dimension's mapping gives, crossed."""
        upstream, downstream = self._sides(upstream_partitions_def, downstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        by_downstream = {
            each.dimension_name: (name, each.partition_mapping)
            for name, each in self.downstream_mappings_by_upstream_dimension.items()
        }
        found = downstream.empty_subset()
        for dimensions in upstream.dimensions_of(_multi(upstream_partitions_subset)):
            by_side: _BySide = {}
            for each in downstream.partitions_defs:
                if each.name not in by_downstream:
                    by_side[each.name] = mappings.everything(each.partitions_def, context)
                    continue
                name, mapping = by_downstream[each.name]
                by_side[each.name] = mapping.get_downstream_partitions_for_partitions(
                    dimensions[name],
                    upstream.get_partitions_def_for_dimension(name),
                    each.partitions_def,
                    context.effective_dt,
                    context.dynamic_partitions_store,
                )
            found = found | downstream.subset_of_dimensions(by_side)
        return found

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if a side has not the dimensions, or a dimension's mapping does not fit."""
        upstream, downstream = self._sides(upstream_partitions_def, downstream_partitions_def)
        for name, each in self.downstream_mappings_by_upstream_dimension.items():
            each.partition_mapping.validate_partition_mapping(
                upstream.get_partitions_def_for_dimension(name),
                downstream.get_partitions_def_for_dimension(each.dimension_name),
            )

    def _sides(
        self,
        upstream: definitions.PartitionsDefinition,
        downstream: definitions.PartitionsDefinition | None,
    ) -> tuple[_Multi, _Multi]:
        if not isinstance(upstream, _Multi) or not isinstance(downstream, _Multi):
            side = "downstream" if isinstance(upstream, _Multi) else "upstream"
            raise mappings.misfit(self, f"what is {side} has not two dimensions")
        by_upstream = self.downstream_mappings_by_upstream_dimension
        sides = (
            ("upstream", upstream, by_upstream),
            ("downstream", downstream, [each.dimension_name for each in by_upstream.values()]),
        )
        for side, partitions_def, names in sides:
            unknown = sorted(set(names) - set(partitions_def.partition_dimension_names))
            if unknown:
                told = partition_keys.listed(unknown)
                raise mappings.misfit(self, f"there is no {side} dimension {told}")
        return upstream, downstream


class MultiToSingleDimensionPartitionMapping(mappings.PartitionMapping):
    """One side is, or overlaps with, a dimension of the other side.

    Attributes:
        partition_dimension_name: The dimension; None takes the one that fits.
    """

    partition_dimension_name: str | None = None

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        name = self.partition_dimension_name
        told = "a dimension" if name is None else f"the dimension {name}"
        return f"One side is {told} of the other."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions of the dimension's keys."""
        subset = mappings.partitioned(self, downstream_partitions_subset, downstream_partitions_def)
        multi, dimension = self._sides(upstream_partitions_def, downstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        by_name = {each.name: each.partitions_def for each in multi.partitions_defs}
        mine = by_name[dimension]
        source: object
        if isinstance(subset, multi_subsets.MultiPartitionsSubset):
            source, target = mine, upstream_partitions_def
            subset = _projected(multi, subset, dimension)
        else:
            source, target = subset.partitions_def, mine
        result = _between(source, target).get_upstream_mapped_partitions_result_for_partitions(
            subset,
            mine if source is mine else downstream_partitions_def,
            target,
            context.effective_dt,
            context.dynamic_partitions_store,
        )
        if target is upstream_partitions_def:
            return result
        results = {
            name: mappings.UpstreamPartitionsResult(
                mappings.everything(each, context), each.empty_subset()
            )
            for name, each in by_name.items()
            if name != dimension
        }
        results[dimension] = result
        found = multi.subset_of_dimensions(
            {name: each.partitions_subset for name, each in results.items()}
        )
        return mappings.UpstreamPartitionsResult(found, _missing(multi, results))

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions of the dimension's keys."""
        multi, dimension = self._sides(upstream_partitions_def, downstream_partitions_def)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        mine = multi.get_partitions_def_for_dimension(dimension)
        subset, source, target = upstream_partitions_subset, upstream_partitions_def, mine
        if isinstance(subset, multi_subsets.MultiPartitionsSubset):
            subset = _projected(multi, subset, dimension)
            source, target = mine, downstream_partitions_def
        found = _between(source, target).get_downstream_partitions_for_partitions(
            subset, source, target, context.effective_dt, context.dynamic_partitions_store
        )
        if target is downstream_partitions_def:
            return found
        by_side: _BySide = {
            each.name: mappings.everything(each.partitions_def, context)
            for each in multi.partitions_defs
        }
        return multi.subset_of_dimensions({**by_side, dimension: found})

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if no dimension of the one side fits the other side."""
        self._sides(upstream_partitions_def, downstream_partitions_def)

    def _sides(
        self,
        upstream: definitions.PartitionsDefinition,
        downstream: definitions.PartitionsDefinition | None,
    ) -> tuple[_Multi, str]:
        """Return the side with two dimensions, and its dimension that fits the other side."""
        if isinstance(upstream, _Multi) == isinstance(downstream, _Multi) or downstream is None:
            raise mappings.misfit(self, "it takes two dimensions on one side, and one on the other")
        multi, single = (
            (upstream, downstream) if isinstance(upstream, _Multi) else (downstream, upstream)
        )
        if not isinstance(multi, _Multi):
            raise mappings.misfit(self, "neither side has two dimensions")
        name = self.partition_dimension_name
        if name is None:
            name = fitting_dimension(multi, single)
        if name is None:
            raise mappings.misfit(
                self, "none of the dimensions, or more than one, fits the other side; name it"
            )
        if not fits(multi.get_partitions_def_for_dimension(name), single):
            raise mappings.misfit(self, f"the dimension {name!r} does not fit the other side")
        return multi, name


def fitting_dimension(multi: _Multi, single: definitions.PartitionsDefinition) -> str | None:
    """Return the dimension that is other partitions, or the only one of time as they are.

    Args:
        multi: Partitions with dimensions.
        single: The other partitions.
    """
    same = [each.name for each in multi.partitions_defs if each.partitions_def == single]
    fitting = same or [
        each.name for each in multi.partitions_defs if fits(each.partitions_def, single)
    ]
    return fitting[0] if len(fitting) == 1 else None


def fits(one: object, other: object) -> bool:
    """Return whether partitions are the same, or both windows of time.

    Args:
        one: The definition of the one.
        other: The definition of the other.
    """
    time = time_window_partitions.TimeWindowPartitionsDefinition
    return one == other or (isinstance(one, time) and isinstance(other, time))


def _between(one: object, other: object) -> mappings.PartitionMapping:
    if one == other:
        return key_mappings.IdentityPartitionMapping()
    return time_window_mappings.TimeWindowPartitionMapping()


def _multi(subset: subsets.PartitionsSubset) -> multi_subsets.MultiPartitionsSubset:
    if isinstance(subset, multi_subsets.MultiPartitionsSubset):
        return subset
    text = f"{subset!r} is no set of partitions with dimensions; make it by its definition."
    raise errors.InvalidInvocationError(text)


def _projected(
    multi: _Multi, subset: multi_subsets.MultiPartitionsSubset, dimension: str
) -> subsets.PartitionsSubset:
    """Return the keys that a set has in a dimension."""
    found = multi.get_partitions_def_for_dimension(dimension).empty_subset()
    for dimensions in multi.dimensions_of(subset):
        found = found | dimensions[dimension]
    return found


def _missing(
    upstream: _Multi, results: dict[str, mappings.UpstreamPartitionsResult]
) -> subsets.PartitionsSubset:
    """Return the pairs of which at least one part should be there and is not."""
    one, other = (results[name] for name in upstream.partition_dimension_names)
    names = upstream.partition_dimension_names
    pairs = (
        (one.required_but_nonexistent_subset, other.partitions_subset),
        (one.required_but_nonexistent_subset, other.required_but_nonexistent_subset),
        (one.partitions_subset, other.required_but_nonexistent_subset),
    )
    missing: subsets.PartitionsSubset = upstream.empty_subset()
    for first, second in pairs:
        if not first or not second:
            continue
        if _is_foreign(upstream, names[0], first) or _is_foreign(upstream, names[1], second):
            keys = [
                partition_keys.MultiPartitionKey({names[0]: a, names[1]: b})
                for a in first
                for b in second
            ]
            missing = _joined(upstream, missing, key_subsets.KeysPartitionsSubset(upstream, keys))
        else:
            part = upstream.subset_of_dimensions({names[0]: first, names[1]: second})
            missing = _joined(upstream, missing, part)
    return missing


def _is_foreign(upstream: _Multi, name: str, subset: subsets.PartitionsSubset) -> bool:
    """Return whether a set has keys that its definition cannot have."""
    kind = upstream.get_partitions_def_for_dimension(name).partitions_subset_class
    return not isinstance(subset, kind)


def _joined(
    upstream: _Multi, one: subsets.PartitionsSubset, other: subsets.PartitionsSubset
) -> subsets.PartitionsSubset:
    if type(one) is type(other):
        return one | other
    if not one or not other:
        return one or other
    return key_subsets.KeysPartitionsSubset(upstream, (*one, *other))
