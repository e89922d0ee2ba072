"""Answers what user code asks of the freshness of assets.

Called by the instance servicer for code servers, which relay for their processes. Read-only.
"""

from atoll.definitions.v1 import values_pb2
from atoll.mesh.v1 import instance_pb2
from atoll_host.instance import queries
from atoll_storage import freshness_store


class FreshnessQueries:
    """Reads for user code."""

    def __init__(self, store: freshness_store.FreshnessStore) -> None:
        self._store = store

    async def states(
        self, request: instance_pb2.GetFreshnessStatesRequest
    ) -> instance_pb2.GetFreshnessStatesResponse:
        """Return the freshness state of each asset for which one was decided.

        Raises:
            errors.InvalidRequest: Too many keys.
        """
        queries.check_count("asset_keys", request.asset_keys, queries.KEYS_MAX)
        paths = [tuple(key.path) for key in request.asset_keys]
        response = instance_pb2.GetFreshnessStatesResponse()
        for record in await self._store.states(paths):
            told = response.states.add(
                asset_key=values_pb2.AssetKey(path=record.path), state=record.state
            )
            told.change_time.FromDatetime(record.change_time)
        return response
