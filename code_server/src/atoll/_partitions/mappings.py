"""How the partitions of one asset belong to those of another: what all mappings can do.

Called by planning, by sensors and by the host. The kinds are in modules of their own. Users may
write more: a mapping is whatever answers the three questions here.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Iterable, Sequence

from atoll import _records as records
from atoll import errors
from atoll._partitions import contexts, definitions, key_subsets, subsets


class UpstreamPartitionsResult(records.Record):
    """The upstream partitions that downstream ones need.

    Attributes:
        partitions_subset: Those that there are.
        required_but_nonexistent_subset: Those that there should be, and are not.
    """

    partitions_subset: subsets.PartitionsSubset
    required_but_nonexistent_subset: subsets.PartitionsSubset

    @property
    def required_but_nonexistent_partition_keys(self) -> Sequence[str]:
        """The keys of those that there should be, and are not."""
        return list(self.required_but_nonexistent_subset.get_partition_keys())


class PartitionMapping(records.Record, abc.ABC):
    """How the partitions of a downstream asset belong to those of an upstream one."""

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        return repr(self)

    @abc.abstractmethod
    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> UpstreamPartitionsResult:
        """Return the upstream partitions that downstream ones need.

        Args:
            downstream_partitions_subset: The downstream ones; None if they are not partitioned.
            downstream_partitions_def: Their definition; None if they are not partitioned.
            upstream_partitions_def: The definition of the upstream ones.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """

    @abc.abstractmethod
    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the downstream partitions that need any of some upstream ones.

        Args:
            upstream_partitions_subset: The upstream ones.
            upstream_partitions_def: Their definition.
            downstream_partitions_def: The definition of the downstream ones.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """

    def validate_partition_mapping(
        self,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
    ) -> None:
        """Say so if the mapping does not fit two definitions.

        Args:
            upstream_partitions_def: The definition of the upstream partitions.
            downstream_partitions_def: That of the downstream ones; None if there are none.

        Raises:
            InvalidDefinitionError: It does not fit them.
        """


def existing(
    upstream: definitions.PartitionsDefinition,
    wanted: subsets.PartitionsSubset,
    context: contexts.PartitionLoadingContext,
    unknown: Iterable[str] = (),
) -> UpstreamPartitionsResult:
    """Return which of some partitions there are, and which are not.

    Args:
        upstream: The definition of the partitions.
        wanted: The partitions.
        context: The time and the dynamic partitions to go by.
        unknown: Keys that are wanted as well, and that the definition cannot have.
    """
    found = wanted & everything(upstream, context)
    missing = wanted - found
    unknown = list(unknown)
    if unknown:
        missing = key_subsets.KeysPartitionsSubset(upstream, (*missing, *unknown))
    return UpstreamPartitionsResult(found, missing)


def everything(
    partitions_def: definitions.PartitionsDefinition, context: contexts.PartitionLoadingContext
) -> subsets.PartitionsSubset:
    """Return all partitions that there are.

    Args:
        partitions_def: Their definition.
        context: The time and the dynamic partitions to go by.
    """
    return partitions_def.subset_with_all_partitions(
        context.effective_dt, context.dynamic_partitions_store
    )


def partitioned(
    mapping: PartitionMapping,
    subset: subsets.PartitionsSubset | None,
    partitions_def: definitions.PartitionsDefinition | None,
) -> subsets.PartitionsSubset:
    """Return the downstream partitions, or say that the mapping needs some.

    Args:
        mapping: The mapping.
        subset: The downstream partitions; None if they are not partitioned.
        partitions_def: Their definition; None if they are not partitioned.

    Raises:
        InvalidDefinitionError: There are none.
    """
    if subset is None or partitions_def is None:
        raise misfit(mapping, "what is downstream has no partitions")
    return subset


def misfit(mapping: PartitionMapping, why: str) -> errors.InvalidDefinitionError:
    """Return the error that says that a mapping does not fit two definitions.

    Args:
        mapping: The mapping.
        why: What does not fit.
    """
    return errors.InvalidDefinitionError(
        f"{mapping!r} cannot map these partitions: {why}. Use another partition mapping, or leave"
        " it out."
    )
