"""Answers what locations define of assets: user code by itself knows those of its own only.

Called by the instance servicer for code servers, which relay for their processes.
"""

from collections.abc import Callable

from atoll.definitions.v1 import snapshot_pb2
from atoll.mesh.v1 import instance_pb2
from atoll_host import errors
from atoll_host.instance import queries
from atoll_host.locations import graph


class AssetDefinitions:
    """Reads the asset graph of all locations.

    Args:
        current: Returns the graph.
    """

    def __init__(self, current: Callable[[], graph.AssetGraph]) -> None:
        self._current = current

    def of_assets(
        self, request: instance_pb2.GetAssetDefinitionsRequest
    ) -> instance_pb2.GetAssetDefinitionsResponse:
        """Return what is defined of each asset that some location defines.

        Raises:
            errors.InvalidRequest: Too many keys, or an empty one.
        """
        queries.check_count("asset_keys", request.asset_keys, queries.PAGE_SIZE_MAX)
        merged = self._current()
        found: list[snapshot_pb2.AssetDefinition] = []
        for key in request.asset_keys:
            if not key.path:
                raise errors.InvalidRequest(
                    "An asset key has no parts. Give at least one.", field="asset_keys"
                )
            node = merged.node(tuple(key.path))
            if node is not None:
                found.append(_part_of(node.definition))
        return instance_pb2.GetAssetDefinitionsResponse(definitions=found)


def _part_of(whole: snapshot_pb2.AssetDefinition) -> snapshot_pb2.AssetDefinition:
    part = snapshot_pb2.AssetDefinition(
        key=whole.key,
        dependencies=whole.dependencies,
        io_manager_key=whole.io_manager_key,
        metadata=whole.metadata,
    )
    if whole.HasField("partitions"):
        part.partitions.CopyFrom(whole.partitions)
    return part
