"""Policy between locations: who may do what with what others make.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import policy_pb2
from atoll.client import policy as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import policies_pb2, values_pb2


class Policy:
    """Shows the rules between locations, and what they come to."""

    def __init__(self, portal: portals.Portal, inner: original.Policy) -> None:
        self._portal = portal
        self._inner = inner

    def rules(
        self, location_name: str = "", *, limit: int | None = None
    ) -> Iterator[policy_pb2.DeclaredPolicyRule]:
        """Yield the rules of the host and of locations, in the order in which they are looked at.

        Args:
            location_name: Only those of the host and of this location; empty for all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.rules(location_name, limit=limit))

    def denials(
        self, location_name: str = "", *, limit: int | None = None
    ) -> Iterator[policy_pb2.LocationPolicyDenial]:
        """Yield what definitions may not do with things of other locations.

        Args:
            location_name: Only what this location may not do; empty for all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.denials(location_name, limit=limit))

    def check(
        self,
        from_location: str,
        to_location: str,
        action: policies_pb2.PolicyAction.ValueType,
        *,
        asset_key: values_pb2.AssetKey | None = None,
        job_name: str = "",
    ) -> policy_pb2.CheckPolicyResponse:
        """Return whether a location may do something with a thing of another, and why.

        Args:
            from_location: Who would do it.
            to_location: Whose thing it is; empty for the owner of the asset.
            action: What it would do.
            asset_key: The asset; None where it is about runs or about the location as a whole.
            job_name: The job; empty where it is about an asset or the location as a whole.
        """
        return self._portal.run(
            self._inner.check(
                from_location, to_location, action, asset_key=asset_key, job_name=job_name
            )
        )
