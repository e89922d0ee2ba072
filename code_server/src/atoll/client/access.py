"""Tokens of a host, and who the caller is."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import access_pb2, access_pb2_grpc
from atoll.client import calls
from atoll.rpc.v1 import access_pb2 as rpc_access_pb2

ROLES = {
    "viewer": rpc_access_pb2.ROLE_VIEWER,
    "launcher": rpc_access_pb2.ROLE_LAUNCHER,
    "operator": rpc_access_pb2.ROLE_OPERATOR,
    "admin": rpc_access_pb2.ROLE_ADMIN,
}
"""The roles that tokens have, by what people call them."""


def grant(role: str, locations: Sequence[str] = ()) -> access_pb2.Grant:
    """Return a role for some locations; none means all.

    Raises:
        KeyError: There is no such role.
    """
    return access_pb2.Grant(role=ROLES[role], location_names=locations)


class Access:
    """Makes, lists and revokes tokens, and tells who calls."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "access_pb2_grpc.AccessServiceAsyncStub", access_pb2_grpc.AccessServiceStub(channel)
        )
        self._caller = caller

    async def who_am_i(self) -> access_pb2.WhoAmIResponse:
        """Return who makes the call, and what they are allowed to.

        Raises:
            errors.UnauthenticatedError: Nobody knows who it is.
        """
        return await self._caller.unary(self._stub.WhoAmI, access_pb2.WhoAmIRequest())

    async def login_options(self) -> access_pb2.GetLoginOptionsResponse:
        """Return how people log in; needs no credentials."""
        request = access_pb2.GetLoginOptionsRequest()
        return await self._caller.unary(self._stub.GetLoginOptions, request)

    async def create_token(
        self,
        name: str,
        grants: Sequence[access_pb2.Grant] = (),
        *,
        location_name: str = "",
        lifetime: dt.timedelta | None = None,
    ) -> access_pb2.CreateTokenResponse:
        """Make a token. The answer holds what its bearer sends, which is never told again.

        Args:
            name: What people will call it.
            grants: What its bearer is to be allowed to; none for the token of a location.
            location_name: The location whose code server is to bear it; empty for any other token.
            lifetime: How long it is to live; None leaves that to the host.

        Raises:
            errors.PermissionDeniedError: It would allow more than the caller is allowed.
        """
        kind = access_pb2.TOKEN_KIND_LOCATION if location_name else access_pb2.TOKEN_KIND_ACCESS
        request = access_pb2.CreateTokenRequest(
            name=name, kind=kind, grants=grants, location_name=location_name
        )
        if lifetime is not None:
            request.lifetime.FromTimedelta(lifetime)
        # A repeat would make a second token that nobody knows of.
        return await self._caller.unary(self._stub.CreateToken, request, repeatable=False)

    def tokens(
        self, *, location_name: str = "", ended: bool = False, limit: int | None = None
    ) -> AsyncIterator[access_pb2.Token]:
        """Yield tokens, newest first.

        Args:
            location_name: Only those that are for something in this location; empty means all.
            ended: Whether to yield those too that expired or were revoked.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[access_pb2.Token], str]:
            request = access_pb2.ListTokensRequest(
                location_name=location_name, ended=ended, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListTokens, request)
            return answer.tokens, answer.next_page_token

        return calls.paged(fetch, limit)

    async def revoke_token(self, token_id: str) -> access_pb2.Token:
        """Have a token end at once; return it.

        Raises:
            errors.NotFoundError: There is none of that id.
        """
        request = access_pb2.RevokeTokenRequest(token_id=token_id)
        return (await self._caller.unary(self._stub.RevokeToken, request)).token
