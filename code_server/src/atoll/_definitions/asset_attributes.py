"""Specs made of options by key, and specs with attributes replaced.

Called by `AssetsDefinition` where it is made of a graph or an op by hand, and where keys and groups
are replaced.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import _records as records
from atoll._definitions import asset_checks, keys, specs


class Attributes(records.Record):
    """Options of several assets, by key."""

    keys_by_output_name: Mapping[str, keys.AssetKey]
    upstream: AbstractSet[keys.AssetKey]
    asset_deps: Mapping[keys.AssetKey, AbstractSet[keys.AssetKey]]
    partitions_def: Any
    partition_mappings: Mapping[keys.AssetKey, Any]
    group_names: Mapping[keys.AssetKey, str]
    metadata: Mapping[keys.AssetKey, Mapping[str, Any]]
    tags: Mapping[keys.AssetKey, Mapping[str, str]]
    descriptions: Mapping[keys.AssetKey, str]
    owners: Mapping[keys.AssetKey, Sequence[str]]


def specs_of(given: Attributes) -> list[specs.AssetSpec]:
    """Make specs of options by key.

    Args:
        given: The options.

    Returns:
        A spec for each output. Where no dependencies are given, an asset depends on every input.
    """
    made: list[specs.AssetSpec] = []
    for key in given.keys_by_output_name.values():
        upstream = given.asset_deps.get(key, given.upstream)
        made.append(
            specs.AssetSpec(
                key,
                deps=[
                    specs.AssetDep(one, partition_mapping=given.partition_mappings.get(one))
                    for one in sorted(upstream)
                ],
                description=given.descriptions.get(key),
                metadata=given.metadata.get(key),
                group_name=given.group_names.get(key),
                owners=given.owners.get(key),
                tags=given.tags.get(key),
                partitions_def=given.partitions_def,
            )
        )
    return made


class Replacements(records.Record):
    """New attributes by old key."""

    new_keys: Mapping[keys.AssetKey, keys.AssetKey]
    group_names: Mapping[keys.AssetKey, str]
    tags: Mapping[keys.AssetKey, Mapping[str, str]]
    metadata: Mapping[keys.AssetKey, Mapping[str, Any]]
    automation_condition: Any

    def in_values(self, by_name: Mapping[str, keys.AssetKey]) -> dict[str, keys.AssetKey]:
        """Return the mapping with keys replaced."""
        return {name: self.new_keys.get(key, key) for name, key in by_name.items()}

    def in_dep(self, dep: specs.AssetDep) -> specs.AssetDep:
        """Return a dependency with its key replaced."""
        key = self.new_keys.get(dep.asset_key, dep.asset_key)
        return specs.AssetDep(key, partition_mapping=dep.partition_mapping, metadata=dep.metadata)

    def in_spec(self, spec: specs.AssetSpec) -> specs.AssetSpec:
        """Return a spec with its attributes replaced."""
        changes: dict[str, Any] = {
            "key": self.new_keys.get(spec.key, spec.key),
            "deps": [self.in_dep(dep) for dep in spec.deps],
        }
        if spec.key in self.group_names:
            changes["group_name"] = self.group_names[spec.key]
        if spec.key in self.tags:
            changes["tags"] = {**spec.tags, **self.tags[spec.key]}
        if spec.key in self.metadata:
            changes["metadata"] = {**spec.metadata, **self.metadata[spec.key]}
        if self.automation_condition is not None:
            changes["automation_condition"] = self.automation_condition
        return spec.replace_attributes(**changes)

    def in_check(self, check: asset_checks.AssetCheckSpec) -> asset_checks.AssetCheckSpec:
        """Return a check with its keys replaced."""
        key = self.new_keys.get(check.asset_key, check.asset_key)
        changed = check.replace_key(keys.AssetCheckKey(key, check.name))
        return changed.with_deps([self.in_dep(dep) for dep in check.additional_deps])
