"""Takes the materializations, observations and evaluations that user code reports without a run.

Called by the instance servicer. A location may report on assets that nobody materializes, and on
its own; what another location owns is reported there, so that one location cannot mark another's
data as new.
"""

from collections.abc import Callable

from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2
from atoll_host import errors
from atoll_host.instance import dynamic_partitions
from atoll_storage import database
from atoll_storage import errors as storage_errors

KINDS = frozenset({"asset_materialization", "asset_observation", "asset_check_evaluation"})

OwnerOf = Callable[[tuple[str, ...]], str]
CheckOwnerOf = Callable[[tuple[tuple[str, ...], str]], str]


class Reporting:
    """Stores what is reported.

    Args:
        store: Storage.
        owner_of: Returns the location that owns an executable asset, empty for none.
        check_owner_of: Returns the location that evaluates a check, empty for none.
    """

    def __init__(
        self, store: database.Database, owner_of: OwnerOf, check_owner_of: CheckOwnerOf
    ) -> None:
        self._store = store
        self._owner_of = owner_of
        self._check_owner_of = check_owner_of

    async def report(
        self, request: instance_pb2.ReportAssetEventRequest
    ) -> instance_pb2.ReportAssetEventResponse:
        """Store one event; the same request id returns the first answer.

        Raises:
            errors.InvalidRequest: It is no event of an asset, or one of a run.
            errors.PolicyForbids: Another location owns the asset.
            atoll_storage.errors.StaleEpoch: The code server's session was replaced.
        """
        dynamic_partitions.check_request_id(request.request_id)
        await self._check_session(request)
        check_event(request.event, request.location_name, self._owner_of, self._check_owner_of)
        event_id = await self._store.events.report(
            request.event, request.location_name, request_id=request.request_id
        )
        return instance_pb2.ReportAssetEventResponse(event_id=event_id)

    async def _check_session(self, request: instance_pb2.ReportAssetEventRequest) -> None:
        name, server_id = request.location_name, request.server_id
        server = await self._store.locations.server(name, server_id)
        current = 0 if server is None else server.epoch
        if not current or request.epoch != current:
            raise storage_errors.StaleEpoch(name, server_id, request.epoch, current)


def check_event(
    event: events_pb2.Event,
    location_name: str,
    owner_of: OwnerOf,
    check_owner_of: CheckOwnerOf,
) -> None:
    """Refuse what a location may not report.

    Raises:
        errors.InvalidRequest: It is no event of an asset, or one of a run.
        errors.PolicyForbids: Another location owns the asset.
    """
    body = event.WhichOneof("body")
    if body not in KINDS or event.run_id or event.seq:
        raise errors.InvalidRequest(
            f"What was reported is an event of the kind {body!r}, or one of a run. Report "
            "materializations, observations and evaluations of checks of assets.",
            field="event",
        )
    path = tuple(getattr(event, body).asset_key.path)
    if not path:
        raise errors.InvalidRequest(
            "What was reported is an event of an asset without a key. Give the asset key.",
            field="event",
        )
    owner = owner_of(path)
    if body == "asset_check_evaluation":
        owner = check_owner_of((path, event.asset_check_evaluation.check_name)) or owner
    if owner not in {"", location_name}:
        raise errors.PolicyForbids(
            f"Location {location_name!r} reported an event of asset {'/'.join(path)!r}, which "
            f"location {owner!r} makes. Report it there."
        )
