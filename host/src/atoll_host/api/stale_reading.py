"""Reads the versions that tell which assets are stale.

Called by the servicer of assets. What follows from the versions is decided in `staleness`.
"""

from collections.abc import Iterable, Sequence

from atoll.events.v1 import events_pb2
from atoll_host.api import slices, staleness
from atoll_storage import database

AT_ONCE = 500
"""So many assets are read at once: other calls get their turn in between."""

_LAST_ID = 2**63 - 1
_Versions = dict[slices.Path, staleness.Version]


async def read(
    store: database.Database,
    prepared: slices.Prepared,
    paths: Sequence[slices.Path],
    partition: str = "",
) -> staleness.Staleness:
    """Return what tells whether assets are stale.

    Args:
        store: Storage.
        prepared: The asset graph.
        paths: The assets that are asked for.
        partition: The partition of partitioned assets; empty means the newest event of any.
    """
    nodes = prepared.nodes
    known = staleness.upstream_of(paths, lambda path: staleness.dependencies(nodes[path]))
    versions: _Versions = {}
    for start in range(0, len(known), AT_ONCE):
        some = known[start : start + AT_ONCE]
        parted = [
            path for path in some if partition and nodes[path].definition.HasField("partitions")
        ]
        versions.update(await _of_partition(store, parted, partition))
        versions.update(await _of_any(store, [path for path in some if path not in parted]))
    return staleness.Staleness(nodes.__getitem__, versions, of_partition=bool(partition))


async def _of_any(store: database.Database, paths: Sequence[slices.Path]) -> _Versions:
    if not paths:
        return {}
    found = dict(map(_told_by, await store.events.latest_materializations(paths)))
    others = [path for path in paths if path not in found]
    if others:
        found.update(map(_told_by, await store.events.latest_observations(others)))
    return found


async def _of_partition(
    store: database.Database, paths: Sequence[slices.Path], partition: str
) -> _Versions:
    if not paths:
        return {}
    found: _Versions = {}
    newest = await store.condition_facts.newest_of_partitions([(path, partition) for path in paths])
    for path, fact in zip(paths, newest, strict=True):
        if fact is not None:
            event = events_pb2.Event.FromString(fact.event)
            found[path] = _version(fact.event_id, event)
    others = [path for path in paths if path not in found]
    if others:
        asked = [(path, partition, _LAST_ID) for path in others]
        for path, payload in zip(
            others, await store.condition_facts.events_before(asked), strict=True
        ):
            if payload is not None:
                version = _version(0, events_pb2.Event.FromString(payload))
                found[path] = await _with_id(store, path, partition, version)
    return found


async def _with_id(
    store: database.Database, path: slices.Path, partition: str, version: staleness.Version
) -> staleness.Version:
    """Return an observation with its id, which counts where no data version was told."""
    if version.tags.get(staleness.DATA_VERSION_TAG):
        return version
    events, _ = await store.events.list_asset_events(
        path, kind="observation", partitions=[partition], limit=1
    )
    return _version(events[0].id, events[0].event) if events else version


def _told_by(stored: events_pb2.StoredEvent) -> tuple[slices.Path, staleness.Version]:
    version = _version(stored.id, stored.event)
    observed = stored.event.asset_observation
    told = stored.event.asset_materialization if version.materialized else observed
    return tuple(told.asset_key.path), version


def _version(event_id: int, event: events_pb2.Event) -> staleness.Version:
    materialized = event.HasField("asset_materialization")
    told = event.asset_materialization if materialized else event.asset_observation
    return staleness.Version(event_id, materialized, dict(told.tags))


def of_status(
    told: staleness.Staleness, paths: Iterable[slices.Path], statuses: frozenset[int]
) -> list[slices.Path]:
    """Return those of some assets that are of one of some statuses."""
    return [path for path in paths if told.status(path) in statuses]
