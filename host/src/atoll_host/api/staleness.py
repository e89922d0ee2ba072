"""Which assets are stale, and why, across locations. Pure.

Called by `stale_reading`. An asset is stale when its code, its dependencies or the data that it was
made of are not what they were when it was last materialized; what depends on something stale is
stale too, in whatever location. Everything is told by the versions in the tags of events, by the
same rules as in a location, which knows no assets but its own.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from atoll import _keys as asset_keys
from atoll import errors as location_errors
from atoll.api.v1 import assets_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host.locations import graph as graphs

Path = tuple[str, ...]

DATA_VERSION_TAG = "atoll/data_version"

FRESH = assets_pb2.STALE_STATUS_FRESH
STALE = assets_pb2.STALE_STATUS_STALE
MISSING = assets_pb2.STALE_STATUS_MISSING

_CODE = assets_pb2.STALE_CAUSE_CATEGORY_CODE
_DATA = assets_pb2.STALE_CAUSE_CATEGORY_DATA
_DEPENDENCIES = assets_pb2.STALE_CAUSE_CATEGORY_DEPENDENCIES
_CODE_VERSION = "atoll/code_version"
_INPUT_DATA_VERSION = "atoll/input_data_version/"
_INITIAL = "INITIAL"


@dataclasses.dataclass(frozen=True, slots=True)
class Version:
    """What the newest event of an asset tells.

    Attributes:
        event_id: Its position in the log.
        materialized: Whether it is a materialization, and no observation.
        tags: Its labels, versions among them.
    """

    event_id: int
    materialized: bool
    tags: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """Why an asset is stale."""

    category: "assets_pb2.StaleCauseCategory.ValueType"
    reason: str
    dependency: Path | None = None


class Staleness:
    """Tells which assets are stale.

    Args:
        node_of: Returns an asset of the graph.
        versions: What is known of assets: all that is asked for and all upstream of that.
        of_partition: Whether the versions are those of one partition.
    """

    def __init__(
        self,
        node_of: Callable[[Path], graphs.AssetNode],
        versions: Mapping[Path, Version],
        *,
        of_partition: bool = False,
    ) -> None:
        self._node_of = node_of
        self._versions = versions
        self._of_partition = of_partition
        self._causes: dict[Path, Sequence[Cause]] = {}

    def status(self, path: Path) -> "assets_pb2.StaleStatus.ValueType":
        """Return whether an asset is stale."""
        if not self._is_computed(path):
            return FRESH
        if path not in self._versions:
            return MISSING
        return STALE if self.causes(path) else FRESH

    def causes(self, path: Path) -> Sequence[Cause]:
        """Return why an asset is stale; nothing where it is fresh or missing."""
        # Upstream first, without recursion: chains of assets may be long, and wrong definitions may
        # go in circles.
        stack = [(path, iter(self._dependencies(path)))]
        begun = {path}
        while stack:
            one, left = stack[-1]
            for dependency in left:
                if dependency not in self._causes and dependency not in begun:
                    begun.add(dependency)
                    stack.append((dependency, iter(self._dependencies(dependency))))
                    break
            else:
                stack.pop()
                if one not in self._causes:
                    self._causes[one] = tuple(self._causes_of(one))
        return self._causes[path]

    def data_version(self, path: Path) -> str:
        """Return the newest data version of an asset."""
        version = self._versions.get(path)
        if version is None:
            return _INITIAL
        return version.tags.get(DATA_VERSION_TAG) or str(version.event_id)

    def message_of(self, path: Path) -> assets_pb2.AssetStaleness:
        """Return whether an asset is stale, and why, as a message."""
        node = self._node_of(path)
        status = self.status(path)
        return assets_pb2.AssetStaleness(
            asset_key=values_pb2.AssetKey(path=path),
            status=status,
            causes=[_cause_message(each) for each in self.causes(path)] if status == STALE else (),
            owner_location_name=node.owner,
            location_names=node.locations,
            data_version=self.data_version(path) if path in self._versions else "",
            code_version=node.definition.code_version,
        )

    def _is_computed(self, path: Path) -> bool:
        node = self._node_of(path)
        return node.executable and not node.definition.observable

    def _dependencies(self, path: Path) -> list[Path]:
        found = dependencies(self._node_of(path))
        return [each for each in found if each != path]

    def _causes_of(self, path: Path) -> Iterable[Cause]:
        version = self._versions.get(path)
        if version is None or not version.materialized or not self._is_computed(path):
            return
        made_by = version.tags.get(_CODE_VERSION)
        if made_by is None:
            return
        declared = self._node_of(path).definition.code_version
        if declared and declared != made_by:
            yield Cause(_CODE, f"the code version is {declared!r} and was {made_by!r}")
        used = dict(_used(version.tags))
        now = self._dependencies(path)
        yield from _of_dependencies(set(now), used.keys() - {path})
        for dependency in now:
            yield from self._of_data(dependency, used.get(dependency))

    def _of_data(self, dependency: Path, used: str | None) -> Iterable[Cause]:
        if used is None:
            return
        name = _name(dependency)
        # Of partitions only those of the same key can be compared.
        is_partitioned = self._node_of(dependency).definition.HasField("partitions")
        comparable = not is_partitioned or self._of_partition
        if comparable and self.data_version(dependency) != used:
            yield Cause(_DATA, f"{name!r} has a new data version", dependency)
        elif self._causes.get(dependency):
            yield Cause(_DATA, f"{name!r} is stale itself", dependency)


def dependencies(node: graphs.AssetNode) -> Sequence[Path]:
    """Return what an asset depends on, as the location says that makes it."""
    if not node.executable:
        return node.upstream
    return list(dict.fromkeys(tuple(each.asset_key.path) for each in node.definition.dependencies))


def upstream_of(paths: Iterable[Path], neighbours: Callable[[Path], Iterable[Path]]) -> list[Path]:
    """Return assets and all that they depend on, each once."""
    found = dict.fromkeys(paths)
    waiting = list(found)
    while waiting:
        for each in neighbours(waiting.pop()):
            if each not in found:
                found[each] = None
                waiting.append(each)
    return list(found)


def _of_dependencies(now: set[Path], before: set[Path]) -> Iterable[Cause]:
    for each in sorted(now ^ before):
        change = "is new" if each in now else "was taken away"
        yield Cause(_DEPENDENCIES, f"the dependency on {_name(each)!r} {change}", each)


def _used(tags: Mapping[str, str]) -> Iterable[tuple[Path, str]]:
    for name, value in tags.items():
        if name.startswith(_INPUT_DATA_VERSION):
            try:
                key = asset_keys.AssetKey.from_user_string(name[len(_INPUT_DATA_VERSION) :])
            except location_errors.Error:
                continue  # whoever wrote the tag may have written anything
            yield tuple(key.path), value


def _name(path: Path) -> str:
    return "/".join(path)


def _cause_message(cause: Cause) -> assets_pb2.StaleCause:
    message = assets_pb2.StaleCause(category=cause.category, reason=cause.reason)
    if cause.dependency is not None:
        message.dependency_key.path.extend(cause.dependency)
    return message
