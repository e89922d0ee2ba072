"""Which assets are stale, and why.

Called by users and by whoever launches runs of stale assets only. An asset is stale when its code,
its dependencies or the data that it was made of are not what they were when it was last
materialized; what depends on something stale is stale too. Everything is told by the versions in
the tags of materializations and observations.
"""

import enum
from collections.abc import Iterable, Sequence

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_graph, data_versions, definitions, events, keys, specs
from atoll._definitions import asset_selection as asset_selections
from atoll._instance import instance as instances

_INITIAL = "INITIAL"


class StaleStatus(enum.Enum):
    """Whether an asset is what its code and its inputs would make of it."""

    MISSING = "MISSING"
    STALE = "STALE"
    FRESH = "FRESH"


class StaleCauseCategory(enum.Enum):
    """What kind of change makes an asset stale."""

    CODE = "CODE"
    DATA = "DATA"
    DEPENDENCIES = "DEPENDENCIES"


class StaleCause(records.Record):
    """Why an asset is stale.

    Attributes:
        key: The asset.
        category: What kind of change it is.
        reason: The change, in words.
        dependency: The asset that changed, where it is another one.
    """

    key: keys.AssetKey
    category: StaleCauseCategory
    reason: str
    dependency: keys.AssetKey | None = None


class Staleness:
    """Tells which assets are stale. Asks the instance once an asset; made anew for a newer answer.

    Args:
        graph: The assets: a graph, or the definitions that hold them.
        instance: Knows the materializations and observations.
        partition_key: Look at this partition of partitioned assets; at the newest materialization
            of any where not given.
    """

    def __init__(
        self,
        graph: asset_graph.AssetGraph | definitions.Definitions,
        instance: instances.Instance,
        partition_key: str | None = None,
    ) -> None:
        self._graph = graph.graph if isinstance(graph, definitions.Definitions) else graph
        self._instance = instance
        self._partition_key = partition_key
        self._records: dict[keys.AssetKey, events.EventLogRecord | None] = {}
        self._causes: dict[keys.AssetKey, Sequence[StaleCause]] = {}

    def status(self, key: keys.CoercibleToAssetKey) -> StaleStatus:
        """Return whether an asset is stale.

        Args:
            key: The asset.

        Raises:
            InvalidSubsetError: There is no such asset.
        """
        asset_key = self._known(key)
        if not self._is_computed(asset_key):
            return StaleStatus.FRESH
        if self._record(asset_key) is None:
            return StaleStatus.MISSING
        return StaleStatus.STALE if self.causes(asset_key) else StaleStatus.FRESH

    def causes(self, key: keys.CoercibleToAssetKey) -> Sequence[StaleCause]:
        """Return why an asset is stale; nothing where it is fresh or missing.

        Args:
            key: The asset.

        Raises:
            InvalidSubsetError: There is no such asset.
        """
        wanted = self._known(key)
        # Upstream first, without recursion: chains of assets may be long.
        stack = [wanted]
        while stack:
            one = stack[-1]
            missing = [
                dep for dep in self._upstream(one) if dep not in self._causes and dep not in stack
            ]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if one not in self._causes:
                self._causes[one] = tuple(self._causes_of(one))
        return self._causes[wanted]

    def current_data_version(self, key: keys.CoercibleToAssetKey) -> data_versions.DataVersion:
        """Return the newest data version of an asset.

        Args:
            key: The asset.
        """
        record = self._record(self._known(key))
        if record is None:
            return data_versions.DataVersion(_INITIAL)
        told = record.asset_materialization or record.asset_observation
        version = told.data_version if told is not None else None
        return data_versions.DataVersion(version or str(record.storage_id))

    def _known(self, key: keys.CoercibleToAssetKey) -> keys.AssetKey:
        asset_key = keys.AssetKey.from_coercible(key)
        if asset_key not in self._graph.specs:
            raise errors.InvalidSubsetError(
                f"There is no asset {asset_key.to_user_string()!r} here; there are "
                f"{keys.in_words(self._graph.specs) or 'none'}."
            )
        return asset_key

    def _is_computed(self, key: keys.AssetKey) -> bool:
        return key in self._graph.materializable_keys

    def _upstream(self, key: keys.AssetKey) -> list[keys.AssetKey]:
        return [dep.asset_key for dep in self._deps(key) if dep.asset_key in self._graph.specs]

    def _deps(self, key: keys.AssetKey) -> Iterable[specs.AssetDep]:
        return [dep for dep in self._graph.specs[key].deps if dep.asset_key != key]

    def _record(self, key: keys.AssetKey) -> events.EventLogRecord | None:
        if key not in self._records:
            partition = self._partition_key
            if self._graph.partitions_def_of(key) is None:
                partition = None
            self._records[key] = self._instance.get_latest_data_version_record(
                key, partition_key=partition
            )
        return self._records[key]

    def _causes_of(self, key: keys.AssetKey) -> Iterable[StaleCause]:
        record = self._record(key)
        told = record.asset_materialization if record is not None else None
        if told is None or not self._is_computed(key):
            return
        provenance = data_versions.DataProvenance.from_tags(told.tags)
        if provenance is None:
            return
        declared = self._graph.specs[key].code_version
        if declared is not None and declared != provenance.code_version:
            yield StaleCause(
                key,
                StaleCauseCategory.CODE,
                f"the code version is {declared!r} and was {provenance.code_version!r}",
            )
        yield from self._of_dependencies(key, provenance)
        for dep in self._deps(key):
            yield from self._of_data(key, dep.asset_key, provenance)

    def _of_dependencies(
        self, key: keys.AssetKey, provenance: data_versions.DataProvenance
    ) -> Iterable[StaleCause]:
        now = {dep.asset_key for dep in self._deps(key)}
        before = set(provenance.input_data_versions) - {key}
        for one in sorted(now ^ before):
            change = "is new" if one in now else "was taken away"
            yield StaleCause(
                key,
                StaleCauseCategory.DEPENDENCIES,
                f"the dependency on {one.to_user_string()!r} {change}",
                one,
            )

    def _of_data(
        self, key: keys.AssetKey, dep: keys.AssetKey, provenance: data_versions.DataProvenance
    ) -> Iterable[StaleCause]:
        used = provenance.input_data_versions.get(dep)
        if used is None or dep not in self._graph.specs:
            return
        name = dep.to_user_string()
        # Of partitions only those of the same key can be compared.
        is_partitioned = self._graph.partitions_def_of(dep) is not None
        comparable = not is_partitioned or self._partition_key is not None
        if comparable and self.current_data_version(dep) != used:
            yield StaleCause(key, StaleCauseCategory.DATA, f"{name!r} has a new data version", dep)
        elif self._causes.get(dep):
            yield StaleCause(key, StaleCauseCategory.DATA, f"{name!r} is stale itself", dep)


def stale_assets_of(
    graph: asset_graph.AssetGraph | definitions.Definitions,
    instance: instances.Instance,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
    partition_key: str | None = None,
) -> list[keys.AssetKey]:
    """Return the assets that are stale or were never materialized.

    Args:
        graph: The assets: a graph, or the definitions that hold them.
        instance: Knows the materializations and observations.
        selection: Only these; all that can be materialized where not given.
        partition_key: The partition of partitioned assets.

    Returns:
        Their keys, sorted.

    Raises:
        InvalidSubsetError: The selection names an asset that is not there.
    """
    known = graph.graph if isinstance(graph, definitions.Definitions) else graph
    staleness = Staleness(known, instance, partition_key)
    chosen: Iterable[keys.AssetKey] = known.specs
    if selection is not None:
        made = asset_selections.AssetSelection.from_coercible(selection)
        chosen = made.resolve_specs(known.specs)
    return sorted(key for key in chosen if staleness.status(key) is not StaleStatus.FRESH)
