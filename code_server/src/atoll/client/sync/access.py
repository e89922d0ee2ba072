"""Tokens of a host, and who the caller is.

For programs that do not await.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from atoll.api.v1 import access_pb2
from atoll.client import access as original
from atoll.client.sync import portal as portals


class Access:
    """Makes, lists and revokes tokens, and tells who calls."""

    def __init__(self, portal: portals.Portal, inner: original.Access) -> None:
        self._portal = portal
        self._inner = inner

    def who_am_i(self) -> access_pb2.WhoAmIResponse:
        """Return who makes the call, and what they are allowed to.

        Raises:
            errors.UnauthenticatedError: Nobody knows who it is.
        """
        return self._portal.run(self._inner.who_am_i())

    def login_options(self) -> access_pb2.GetLoginOptionsResponse:
        """Return how people log in; needs no credentials."""
        return self._portal.run(self._inner.login_options())

    def create_token(
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
        return self._portal.run(
            self._inner.create_token(name, grants, location_name=location_name, lifetime=lifetime)
        )

    def tokens(
        self, *, location_name: str = "", ended: bool = False, limit: int | None = None
    ) -> Iterator[access_pb2.Token]:
        """Yield tokens, newest first.

        Args:
            location_name: Only those that are for something in this location; empty means all.
            ended: Whether to yield those too that expired or were revoked.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.tokens(location_name=location_name, ended=ended, limit=limit)
        )

    def revoke_token(self, token_id: str) -> access_pb2.Token:
        """Have a token end at once; return it.

        Raises:
            errors.NotFoundError: There is none of that id.
        """
        return self._portal.run(self._inner.revoke_token(token_id))
