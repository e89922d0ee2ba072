"""The assets of all locations as a graph that selections choose from.

Called by `slices`. Text of selections is read and resolved by the code that locations use; what
only the host can know (which location makes an asset, which jobs, sensors and schedules are about
it) is answered here. Pure; a graph is indexed once, when the first selection asks.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from atoll import _keys as asset_keys
from atoll import errors as location_errors
from atoll._selections import graph as selectable_graphs
from atoll._selections import parsing, resolving
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.locations import definitions
from atoll_host.locations import graph as graphs

Path = tuple[str, ...]

TEXT_LENGTH_MAX = 10_000
_TABLE_NAME = "atoll/table_name"
_COLUMNS = "atoll/column_schema"


class _Asset:
    """What selections look at in an asset."""

    __slots__ = ("group_name", "kinds", "owners", "tags")

    def __init__(self, definition: snapshot_pb2.AssetDefinition) -> None:
        self.group_name: str | None = definition.group_name or None
        self.kinds: AbstractSet[str] = frozenset(definition.kinds)
        self.owners: Sequence[str] = tuple(definition.owners)
        self.tags: Mapping[str, str] = dict(definition.tags)


class MeshAssets(selectable_graphs.SelectableGraph):
    """All assets of the mesh.

    Args:
        graph: The asset graph.
        nodes: The assets of that graph.
        locations: What each location defines.
    """

    def __init__(
        self,
        graph: graphs.AssetGraph,
        nodes: Mapping[Path, graphs.AssetNode],
        locations: Mapping[str, definitions.Definitions],
    ) -> None:
        self._graph = graph
        self._nodes = nodes
        self._locations = locations

    @functools.cached_property
    def paths(self) -> Mapping[asset_keys.AssetKey, Path]:
        """The paths of all keys that a selection can name."""
        return {key: path for path, key in self._keys.items()}

    @functools.cached_property
    def _keys(self) -> Mapping[Path, asset_keys.AssetKey]:
        # What no key can be made of cannot be named either, and must not hide the others.
        return {path: asset_keys.AssetKey(path) for path in self._nodes if path and all(path)}

    @property
    def assets(self) -> Mapping[asset_keys.AssetKey, selectable_graphs.SelectableAsset]:
        """All assets by key."""
        return self._assets

    @functools.cached_property
    def _assets(self) -> Mapping[asset_keys.AssetKey, _Asset]:
        return {key: _Asset(self._nodes[path].definition) for key, path in self.paths.items()}

    @property
    def check_keys_by_asset(
        self,
    ) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]]:
        """The checks by the assets that they look at."""
        return self._checks

    @functools.cached_property
    def _checks(self) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]]:
        found: dict[asset_keys.AssetKey, list[asset_keys.AssetCheckKey]] = {}
        for path, name in self._graph.check_keys:
            key = self._keys.get(path)
            if key is not None and name:
                found.setdefault(key, []).append(asset_keys.AssetCheckKey(key, name))
        return found

    def upstream_of(self, key: asset_keys.AssetKey) -> Iterable[asset_keys.AssetKey]:
        """Return the assets that an asset depends on."""
        return self._keys_of(self._node(key).upstream)

    def downstream_of(self, key: asset_keys.AssetKey) -> Iterable[asset_keys.AssetKey]:
        """Return the assets that depend on an asset."""
        return self._keys_of(self._node(key).downstream)

    def is_materializable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether a location can materialize an asset."""
        node = self._node(key)
        return node.executable and not node.definition.observable

    def is_observable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether a location can observe an asset."""
        node = self._node(key)
        return node.executable and node.definition.observable

    def unit_of(self, key: asset_keys.AssetKey) -> selectable_graphs.ExecutionUnit | None:
        """Return what a run has to have together with an asset, None where it stands alone."""
        node = self._node(key)
        defined = self._locations.get(node.owner)
        together = () if defined is None else defined.made_with(node.key)
        if len(together) < 2:  # noqa: PLR2004 - one is the asset itself
            return None
        return selectable_graphs.ExecutionUnit(list(self._keys_of(together)))

    def location_name_of(self, key: asset_keys.AssetKey) -> str | None:
        """Return the location that makes an asset, or the first that defines it."""
        node = self._node(key)
        return node.owner or next(iter(self._graph.definers(node.key)), None)

    def matching(
        self, field: str, value: str | None, detail: str | None
    ) -> set[asset_keys.AssetKey]:
        """Return the assets with an attribute that the host knows."""
        if field == "code_location" and value is not None:
            return {key for key in self.assets if self.location_name_of(key) == value}
        by_value = self._by_field.get(field)
        if by_value is None:
            known = ", ".join(sorted(("code_location", *self._by_field)))
            raise location_errors.InvalidAssetSelectionError(
                f"The host cannot tell which assets have {field}:{value or '<null>'}. It selects "
                f"by key, group, tag, owner, kind, {known}."
            )
        if value is None:
            named = {key for some in by_value.values() for key in some}
            return {key for key in self.assets if key not in named}
        return set(by_value.get(value if detail is None else f"{value}={detail}", ()))

    @functools.cached_property
    def _by_field(self) -> Mapping[str, Mapping[str, AbstractSet[asset_keys.AssetKey]]]:
        found: dict[str, dict[str, set[asset_keys.AssetKey]]] = {
            field: {}
            for field in ("job", "sensor", "schedule", "table_name", "column", "column_tag")
        }
        for defined in self._locations.values():
            for field, name, paths in _automated(defined):
                known = found[field].setdefault(name, set())
                known.update(self._keys_of(paths))
        for key, path in self.paths.items():
            for field, name in _told_by_metadata(self._nodes[path].definition):
                found[field].setdefault(name, set()).add(key)
        return found

    def _node(self, key: asset_keys.AssetKey) -> graphs.AssetNode:
        return self._nodes[self.paths[key]]

    def _keys_of(self, paths: Iterable[Path]) -> Iterable[asset_keys.AssetKey]:
        keys = self._keys
        return [keys[path] for path in paths if path in keys]


def chosen(text: str, assets: MeshAssets) -> set[Path]:
    """Return the assets that the text of a selection means.

    Args:
        text: The selection.
        assets: What it chooses from.

    Raises:
        errors.InvalidRequest: It cannot be read, names what is not there, or asks for what the
            host cannot tell.
    """
    if len(text) > TEXT_LENGTH_MAX:
        raise errors.InvalidRequest(
            f"The selection has {len(text)} characters; {TEXT_LENGTH_MAX} is the most. Ask in "
            "parts.",
            field="selection",
        )
    try:
        keys = resolving.resolve(parsing.parse(text), assets)
    except location_errors.Error as error:
        raise errors.InvalidRequest(str(error), field="selection") from error
    return {assets.paths[key] for key in keys}


def _automated(
    defined: definitions.Definitions,
) -> Iterable[tuple[str, str, Iterable[Path]]]:
    """Yield field, name and assets of what requests runs of a location, and of its jobs."""
    of_job = {
        name: [tuple(key.path) for key in job.asset_keys]
        for name, job in defined.jobs.items()
        if not job.implicit
    }
    for name, paths in of_job.items():
        yield "job", name, paths
    for schedule in defined.schedules.values():
        chosen_directly = [tuple(key.path) for key in schedule.asset_selection]
        yield "schedule", schedule.name, [*of_job.get(schedule.job_name, ()), *chosen_directly]
    for sensor in defined.sensors.values():
        targets = [tuple(key.path) for key in sensor.asset_selection]
        for job_name in sensor.job_names:
            targets += of_job.get(job_name, ())
        targets += [
            tuple(each.asset.path) for each in sensor.automation_targets if each.HasField("asset")
        ]
        yield "sensor", sensor.name, targets


def _told_by_metadata(
    definition: snapshot_pb2.AssetDefinition,
) -> Iterable[tuple[str, str]]:
    if _TABLE_NAME in definition.metadata:
        yield "table_name", definition.metadata[_TABLE_NAME].text
    if _COLUMNS in definition.metadata:
        for column in definition.metadata[_COLUMNS].table_schema.columns:
            yield "column", column.name
            for name, value in column.tags.items():
                yield "column_tag", f"{name}={value}" if value else name
