"""Answers what user code asks of the instance: newest materializations, events, assets, partitions.

Called by the instance servicer for code servers, which relay for their processes. Read-only; what
is asked of runs stands in `runs`, of dynamic partitions in `dynamic_partitions`.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from atoll_host import errors, moments
from atoll_storage import database, records

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
KEYS_MAX = 10_000
PARTITIONS_PAGE_SIZE_MAX = 10_000
PAGE_BYTES_MAX = 4 * 1024 * 1024
"""Pages of events end early here, so that large metadata never makes a message too long to send."""

Readable = Callable[[Sequence[events_pb2.StoredEvent]], list[events_pb2.StoredEvent]]
"""Returns those of some events that whoever asks may read."""

_KINDS: dict[int, Literal["materialization", "observation"]] = {
    mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION: "materialization",
    mesh_pb2.ASSET_EVENT_KIND_OBSERVATION: "observation",
}


class InstanceQueries:
    """Reads for user code."""

    def __init__(self, store: database.Database) -> None:
        self._store = store

    async def latest_materializations(
        self, request: mesh_pb2.GetLatestMaterializationsRequest
    ) -> mesh_pb2.GetLatestMaterializationsResponse:
        """Return the newest materialization of each asset, or partition, that has one.

        Raises:
            errors.InvalidRequest: Too many keys, an empty one, or partitions of several assets.
        """
        paths = _paths(request.asset_keys)
        check_count("partitions", request.partitions, KEYS_MAX)
        if not request.partitions:
            events = await self._store.events.latest_materializations(paths)
        elif len(paths) == 1:
            partitions = tuple(request.partitions)
            events = await self._store.assets.latest_of_partitions(paths[0], partitions)
        else:
            raise errors.InvalidRequest(
                f"The query names partitions of {len(paths)} assets. Ask for one asset at a time.",
                field="partitions",
            )
        return mesh_pb2.GetLatestMaterializationsResponse(events=events)

    async def asset_events(
        self, request: mesh_pb2.ListAssetEventsRequest
    ) -> mesh_pb2.ListAssetEventsResponse:
        """Return events of one asset.

        Raises:
            errors.InvalidRequest: The kind, the key or the size is wrong.
        """
        kind = _KINDS.get(request.kind)
        if kind is None:
            raise errors.InvalidRequest(
                f"The kind of asset events is {request.kind}. Ask for materializations or "
                "observations.",
                field="kind",
            )
        events, has_more = await self._store.events.list_asset_events(
            _path(request.asset_key),
            kind=kind,
            after_id=request.after_id,
            before_id=request.before_id,
            ascending=request.ascending,
            limit=page_size(request.page_size),
            partitions=tuple(request.partitions),
        )
        return mesh_pb2.ListAssetEventsResponse(events=events, has_more=has_more)

    async def events(
        self, request: instance_pb2.ListEventsRequest, readable: Readable = list
    ) -> instance_pb2.ListEventsResponse:
        """Return events of the log.

        Args:
            request: Which.
            readable: Returns those of some events that whoever asks may read.

        Raises:
            errors.InvalidRequest: A kind, the key, the size or the number of conditions is wrong.
        """
        _check_kinds(request.kinds)
        for name in ("partitions", "job_names", "event_ids"):
            check_count(name, getattr(request, name), KEYS_MAX)
        has_key = request.HasField("asset_key")
        query = records.EventQuery(
            run_id=request.run_id or None,
            asset_key=_path(request.asset_key) if has_key else None,
            kinds=tuple(request.kinds),
            partitions=tuple(request.partitions),
            job_names=tuple(request.job_names),
            after_time=moments.of(request, "after_time"),
            before_time=moments.of(request, "before_time"),
            event_ids=tuple(request.event_ids),
        )
        after_id, before_id, has_more = request.after_id, request.before_id, True
        events: list[events_pb2.StoredEvent] = []
        # A page from which everything was left out would not say where to go on.
        while has_more and not events:
            found, has_more = await self._store.events.list_events(
                query,
                after_id=after_id,
                before_id=before_id,
                ascending=request.ascending,
                limit=page_size(request.page_size),
            )
            events = readable(found)
            if found and request.ascending:
                after_id = found[-1].id
            elif found:
                before_id = found[-1].id
        shown = events[: count_within(events, PAGE_BYTES_MAX)]
        has_more = has_more or len(shown) < len(events)
        return instance_pb2.ListEventsResponse(events=shown, has_more=has_more)

    async def asset_keys(
        self,
        request: instance_pb2.ListAssetKeysRequest,
        readable: Callable[[Sequence[tuple[str, ...]]], list[tuple[str, ...]]] = list,
    ) -> instance_pb2.ListAssetKeysResponse:
        """Return the keys of the assets that the log ever spoke of.

        Args:
            request: Which.
            readable: Returns those of some assets that whoever asks may read.
        """
        after = _path(request.after_key) if request.HasField("after_key") else None
        paths: list[tuple[str, ...]] = []
        has_more = True
        while has_more and not paths:
            found, has_more = await self._store.assets.keys(
                prefix=tuple(request.prefix), after=after, limit=page_size(request.page_size)
            )
            paths, after = readable(found), found[-1] if found else after
        keys = [values_pb2.AssetKey(path=path) for path in paths]
        return instance_pb2.ListAssetKeysResponse(asset_keys=keys, has_more=has_more)

    async def asset_records(
        self, request: instance_pb2.GetAssetRecordsRequest
    ) -> instance_pb2.GetAssetRecordsResponse:
        """Return what is known of assets.

        Raises:
            errors.InvalidRequest: Too many keys, or an empty one.
        """
        check_count("asset_keys", request.asset_keys, PAGE_SIZE_MAX)
        entries = await self._store.assets.entries(_paths(request.asset_keys))
        return instance_pb2.GetAssetRecordsResponse(
            records=[
                instance_pb2.AssetRecord(
                    asset_key=values_pb2.AssetKey(path=entry.path),
                    latest_materialization=entry.latest_materialization,
                    latest_observation=entry.latest_observation,
                    planned_id=entry.planned_id,
                    planned_run_id=entry.planned_run_id,
                )
                for entry in entries
            ]
        )

    async def latest_check_evaluations(
        self, request: instance_pb2.GetLatestCheckEvaluationsRequest
    ) -> instance_pb2.GetLatestCheckEvaluationsResponse:
        """Return the newest evaluation of each check that has one.

        Raises:
            errors.InvalidRequest: Too many checks, or one without an asset.
        """
        check_count("check_keys", request.check_keys, PAGE_SIZE_MAX)
        keys = [(_path(key.asset_key), key.name) for key in request.check_keys]
        events = await self._store.checks.latest_check_evaluations(keys)
        return instance_pb2.GetLatestCheckEvaluationsResponse(events=events)

    async def asset_partitions(
        self, request: instance_pb2.ListAssetPartitionsRequest
    ) -> instance_pb2.ListAssetPartitionsResponse:
        """Return partitions of one asset.

        Raises:
            errors.InvalidRequest: The key, the size or the number of partitions is wrong.
        """
        check_count("partitions", request.partitions, KEYS_MAX)
        query = records.AssetPartitionQuery(
            path=_path(request.asset_key),
            partitions=tuple(request.partitions),
            after_partition=request.after_partition,
            materialized=request.materialized,
            after_id=request.after_id,
            before_id=request.before_id,
        )
        limit = page_size(request.page_size, PARTITIONS_PAGE_SIZE_MAX)
        partitions, has_more = await self._store.assets.partitions(query, limit=limit)
        return instance_pb2.ListAssetPartitionsResponse(
            partitions=[
                instance_pb2.AssetPartition(
                    partition=each.partition,
                    materialization_id=each.materialization_id,
                    materialization_count=each.materialization_count,
                    observation_id=each.observation_id,
                    planned_id=each.planned_id,
                    planned_run_id=each.planned_run_id,
                    planned_run_status=each.planned_run_status,
                )
                for each in partitions
            ],
            has_more=has_more,
        )


def page_size(requested: int, at_most: int = PAGE_SIZE_MAX) -> int:
    """Return how many entries a page has.

    Raises:
        errors.InvalidRequest: The number is negative.
    """
    if requested < 0:
        raise errors.InvalidRequest(
            f"page_size is {requested}; it must not be negative.", field="page_size"
        )
    return min(requested or PAGE_SIZE_DEFAULT, at_most)


def check_count(field: str, values: Sequence[object], at_most: int) -> None:
    """Refuse a list that is too long.

    Raises:
        errors.InvalidRequest: It is.
    """
    if len(values) > at_most:
        raise errors.InvalidRequest(
            f"{field} has {len(values)} entries; {at_most} is the most. Ask in parts.", field=field
        )


def count_within(events: Sequence[events_pb2.StoredEvent], bytes_max: int) -> int:
    """Return how many of the first events fit, at least one."""
    left = bytes_max
    for count, event in enumerate(events):
        left -= event.ByteSize()
        if left < 0:
            return max(count, 1)
    return len(events)


def _check_kinds(kinds: Sequence[str]) -> None:
    known = events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields
    unknown = sorted(set(kinds) - {field.name for field in known})
    if unknown:
        raise errors.InvalidRequest(
            f"{unknown[0]!r} is no kind of event. Name a field of the body of "
            "atoll.events.v1.Event.",
            field="kinds",
        )


def _paths(keys: Sequence[values_pb2.AssetKey]) -> list[tuple[str, ...]]:
    if len(keys) > KEYS_MAX:
        raise errors.InvalidRequest(
            f"The query names {len(keys)} assets; {KEYS_MAX} is the most.", field="asset_keys"
        )
    return [_path(key) for key in keys]


def _path(key: values_pb2.AssetKey) -> tuple[str, ...]:
    if not key.path:
        raise errors.InvalidRequest(
            "An asset key has no parts. Give at least one.", field="asset_key"
        )
    return tuple(key.path)
