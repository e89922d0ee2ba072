"""AccessService: tokens, and who the caller is."""

import datetime as dt

from atoll.api.v1 import access_pb2, access_pb2_grpc
from atoll.rpc.v1 import access_pb2 as rpc_access_pb2
from atoll_host import moments
from atoll_host.access import callers, granting, oidc_settings
from atoll_host.api import pages
from atoll_host.servicers import contexts
from atoll_storage import access_records

_ROLES = {
    callers.Role.VIEWER: rpc_access_pb2.ROLE_VIEWER,
    callers.Role.LAUNCHER: rpc_access_pb2.ROLE_LAUNCHER,
    callers.Role.OPERATOR: rpc_access_pb2.ROLE_OPERATOR,
    callers.Role.ADMIN: rpc_access_pb2.ROLE_ADMIN,
}

_BEARERS = {
    "id_token": access_pb2.OIDC_BEARER_ID_TOKEN,
    "access_token": access_pb2.OIDC_BEARER_ACCESS_TOKEN,
}


class AccessServicer(access_pb2_grpc.AccessServiceServicer):
    """Makes and shows tokens."""

    def __init__(
        self, made: granting.Granting, oidc: oidc_settings.OidcSettings | None = None
    ) -> None:
        self._granting = made
        self._oidc = oidc

    async def CreateToken(
        self, request: access_pb2.CreateTokenRequest, context: contexts.Context
    ) -> access_pb2.CreateTokenResponse:
        """Make a token, and tell it this once."""
        record, token = await self._granting.create(request)
        return access_pb2.CreateTokenResponse(token=_token(record), bearer=token.bearer)

    async def ListTokens(
        self, request: access_pb2.ListTokensRequest, context: contexts.Context
    ) -> access_pb2.ListTokensResponse:
        """Return tokens, newest first."""
        page = pages.Page(request)
        found = await self._granting.page(request, before=page.before, limit=page.size + 1)
        shown, token = page.fitting(
            found, lambda each: (each.create_time.isoformat(), each.token_id)
        )
        return access_pb2.ListTokensResponse(
            tokens=[_token(each) for each in shown], next_page_token=token
        )

    async def RevokeToken(
        self, request: access_pb2.RevokeTokenRequest, context: contexts.Context
    ) -> access_pb2.RevokeTokenResponse:
        """Have a token end."""
        return access_pb2.RevokeTokenResponse(
            token=_token(await self._granting.revoke(request.token_id))
        )

    async def WhoAmI(
        self, request: access_pb2.WhoAmIRequest, context: contexts.Context
    ) -> access_pb2.WhoAmIResponse:
        """Tell who makes the call."""
        caller = callers.current()
        return access_pb2.WhoAmIResponse(
            name=caller.name,
            kind=caller.kind.value,
            credential_id=caller.credential_id,
            grants=[
                access_pb2.Grant(
                    role=_ROLES[grant.role], location_names=sorted(grant.locations or ())
                )
                for grant in caller.grants
            ],
        )

    async def GetLoginOptions(
        self, request: access_pb2.GetLoginOptionsRequest, context: contexts.Context
    ) -> access_pb2.GetLoginOptionsResponse:
        """Tell how people log in."""
        if self._oidc is None:
            return access_pb2.GetLoginOptionsResponse()
        return access_pb2.GetLoginOptionsResponse(
            oidc=access_pb2.OidcLogin(
                issuer=self._oidc.issuer,
                client_id=self._oidc.client_id,
                scopes=self._oidc.scopes,
                audience=self._oidc.audience,
                bearer=_BEARERS[self._oidc.bearer],
            )
        )


def _token(record: access_records.TokenRecord) -> access_pb2.Token:
    message = access_pb2.Token(
        token_id=record.token_id,
        name=record.name,
        kind=record.kind,  # type: ignore[arg-type] # stored as its number
        grants=[
            access_pb2.Grant(
                role=_ROLES[callers.Role(grant.role)], location_names=grant.locations or ()
            )
            for grant in record.grants
        ],
        location_name=record.location_name,
        creator=record.creator,
        create_time=moments.timestamp(record.create_time),
    )
    for name in ("expire_time", "revoke_time", "last_use_time"):
        moment: dt.datetime | None = getattr(record, name)
        if moment is not None:
            getattr(message, name).FromDatetime(moment)
    return message
