"""Which policy holds for an asset, over the definitions of all locations.

Called by `leading` and by the API. Pure. The location that materializes an asset comes first; where
its definition says nothing, the first location by name does whose definition has a policy. So a
team that only reads an asset can say how fresh it needs it.
"""

from atoll.definitions.v1 import policies_pb2
from atoll_host.automation.freshness import deciding
from atoll_host.locations import graph as graphs

Path = tuple[str, ...]


def given(graph: graphs.AssetGraph, path: Path) -> tuple[str, policies_pb2.FreshnessPolicy] | None:
    """Return the location whose policy holds for an asset, and the policy."""
    for location_name, definition in graph.definitions_of(path):
        if definition.HasField("freshness_policy"):
            return location_name, definition.freshness_policy
    return None


def all_given(graph: graphs.AssetGraph) -> dict[Path, tuple[str, policies_pb2.FreshnessPolicy]]:
    """Return the location and the policy of each asset that has one, by key."""
    return {path: found for path in graph if (found := given(graph, path)) is not None}


def read(graph: graphs.AssetGraph) -> dict[Path, deciding.Policy]:
    """Return the policy of each asset that has one, ready to decide by."""
    return {path: deciding.policy_of(policy) for path, (_, policy) in all_given(graph).items()}
