"""Policy between locations: who may do what with what others make."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import policy_pb2, policy_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import policies_pb2, values_pb2


class Policy:
    """Shows the rules between locations, and what they come to."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "policy_pb2_grpc.PolicyServiceAsyncStub", policy_pb2_grpc.PolicyServiceStub(channel)
        )
        self._caller = caller

    def rules(
        self, location_name: str = "", *, limit: int | None = None
    ) -> AsyncIterator[policy_pb2.DeclaredPolicyRule]:
        """Yield the rules of the host and of locations, in the order in which they are looked at.

        Args:
            location_name: Only those of the host and of this location; empty for all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[policy_pb2.DeclaredPolicyRule], str]:
            request = policy_pb2.ListPolicyRulesRequest(
                location_name=location_name, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListPolicyRules, request)
            return answer.rules, answer.next_page_token

        return calls.paged(fetch, limit)

    def denials(
        self, location_name: str = "", *, limit: int | None = None
    ) -> AsyncIterator[policy_pb2.LocationPolicyDenial]:
        """Yield what definitions may not do with things of other locations.

        Args:
            location_name: Only what this location may not do; empty for all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[policy_pb2.LocationPolicyDenial], str]:
            request = policy_pb2.ListPolicyDenialsRequest(
                location_name=location_name, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListPolicyDenials, request)
            return answer.denials, answer.next_page_token

        return calls.paged(fetch, limit)

    async def check(
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
        request = policy_pb2.CheckPolicyRequest(
            from_location=from_location, to_location=to_location, action=action
        )
        if asset_key is not None:
            request.asset_key.CopyFrom(asset_key)
        elif job_name:
            request.job_name = job_name
        return await self._caller.unary(self._stub.CheckPolicy, request)
