"""Makes, lists and revokes tokens for callers who may: nobody gives more than they hold.

Called by the access servicer. A token is told once, to whoever made it; what is stored is made by
`tokens`.
"""

import datetime as dt
from collections.abc import Sequence

from atoll.api.v1 import access_pb2
from atoll.rpc.v1 import access_pb2 as rpc_access_pb2
from atoll_host import changes as host_changes
from atoll_host import errors
from atoll_host.access import access_settings, callers, tokens
from atoll_storage import access_records, access_store

_NAME_LENGTH_MAX = 200
_GRANTS_MAX = 50
_LOCATIONS_MAX = 1000
_DAY_S = 86_400.0
_ADMIN = callers.Role.ADMIN
_ROLES = {
    rpc_access_pb2.ROLE_VIEWER: callers.Role.VIEWER,
    rpc_access_pb2.ROLE_LAUNCHER: callers.Role.LAUNCHER,
    rpc_access_pb2.ROLE_OPERATOR: callers.Role.OPERATOR,
    rpc_access_pb2.ROLE_ADMIN: callers.Role.ADMIN,
}


class Granting:
    """Makes and ends tokens."""

    def __init__(
        self,
        store: access_store.AccessStore,
        changes: host_changes.Changes,
        settings: access_settings.AccessSettings,
    ) -> None:
        self._store = store
        self._changes = changes
        self._settings = settings

    async def create(
        self, request: access_pb2.CreateTokenRequest
    ) -> tuple[access_records.TokenRecord, tokens.Token]:
        """Make a token.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
            errors.NotAllowed: It would allow more than the caller is allowed.
        """
        new, token = self._checked(request)
        _require(callers.current(), new.grants, new.location_name)
        return await self._store.create(new), token

    async def revoke(self, token_id: str) -> access_records.TokenRecord:
        """Have a token end, here at once and on other hosts as soon as they hear of it.

        Raises:
            errors.UnknownToken: There is none of that id, or none that the caller may know of.
            errors.NotAllowed: The caller is no admin of all that it is for.
        """
        caller = callers.current()
        record = await self._store.get(token_id)
        if record is None or not _may_know(caller, record):
            raise errors.UnknownToken(token_id)
        _require(caller, record.grants, record.location_name)
        ended = await self._store.revoke(token_id)
        self._changes.access_changed()
        if ended is None:
            raise errors.UnknownToken(token_id)
        return ended

    async def page(
        self,
        request: access_pb2.ListTokensRequest,
        *,
        before: tuple[dt.datetime, str] | None,
        limit: int,
    ) -> list[access_records.TokenRecord]:
        """Return tokens, newest first."""
        return await self._store.page(
            location_name=request.location_name, ended=request.ended, before=before, limit=limit
        )

    def _checked(
        self, request: access_pb2.CreateTokenRequest
    ) -> tuple[access_records.NewToken, tokens.Token]:
        _check_name("name", request.name)
        kind = request.kind or access_pb2.TOKEN_KIND_ACCESS
        if kind == access_pb2.TOKEN_KIND_LOCATION:
            _check_name("location_name", request.location_name)
            if request.grants:
                raise errors.InvalidRequest(
                    "The token of a location has no roles: its code server may do what code "
                    "servers do. Leave grants out.",
                    field="grants",
                )
        elif kind != access_pb2.TOKEN_KIND_ACCESS:
            raise errors.InvalidRequest(
                f"{kind} is no kind of token. Give a value of TokenKind.", field="kind"
            )
        elif request.location_name or not request.grants:
            raise errors.InvalidRequest(
                "A token of a person or a service has grants and no location_name. Name at least "
                "one role; only the token of a location names it in location_name.",
                field="grants",
            )
        token = tokens.make()
        new = access_records.NewToken(
            token_id=token.token_id,
            name=request.name,
            kind=kind,
            digest=token.digest,
            grants=_grants(request.grants),
            location_name=request.location_name,
            creator=callers.current().name,
            lifetime_s=self._lifetime_s(request),
        )
        return new, token

    def _lifetime_s(self, request: access_pb2.CreateTokenRequest) -> float:
        if not request.HasField("lifetime"):
            return self._settings.token_days_default * _DAY_S
        # Not as a timedelta, which a caller's number may not fit into.
        lifetime_s = request.lifetime.seconds + request.lifetime.nanos / 1e9
        longest_s = self._settings.token_days_max * _DAY_S
        if not 1 <= lifetime_s <= longest_s:
            raise errors.InvalidRequest(
                f"lifetime is {lifetime_s:g} s; it must be from 1 s to {longest_s:g} s "
                f"({self._settings.token_days_max} days), the most that this host gives.",
                field="lifetime",
            )
        return lifetime_s


def _grants(given: Sequence[access_pb2.Grant]) -> tuple[access_records.StoredGrant, ...]:
    if len(given) > _GRANTS_MAX or any(len(each.location_names) > _LOCATIONS_MAX for each in given):
        raise errors.InvalidRequest(
            f"A token has at most {_GRANTS_MAX} grants, each for at most {_LOCATIONS_MAX} "
            "locations. Make several tokens, or give grants for all locations.",
            field="grants",
        )
    found: list[access_records.StoredGrant] = []
    for each in given:
        role = _ROLES.get(each.role)
        if role is None:
            raise errors.InvalidRequest(
                f"{each.role} is no role of a token. Give viewer, launcher, operator or admin.",
                field="grants",
            )
        for name in each.location_names:
            _check_name("grants", name)
        locations = tuple(sorted(set(each.location_names))) or None
        found.append(access_records.StoredGrant(role.value, locations))
    return tuple(found)


def _require(
    caller: callers.Caller, grants: Sequence[access_records.StoredGrant], location_name: str
) -> None:
    """Refuse unless the caller is an admin of everything that a token is for. Pure."""
    if location_name:
        caller.require(_ADMIN, [location_name])
    for grant in grants:
        if grant.locations is not None:
            caller.require(_ADMIN, grant.locations)
        elif caller.locations(_ADMIN) is not None:
            raise errors.NotAllowed(caller.name, "admin", "")


def _may_know(caller: callers.Caller, record: access_records.TokenRecord) -> bool:
    """Say whether a caller may know of a token: who is an admin of something that it is for."""
    if caller.locations(_ADMIN) is None:
        return True
    named = {name for grant in record.grants for name in grant.locations or ()}
    return any(caller.holds(_ADMIN, name) for name in {*named, record.location_name} - {""})


def _check_name(field: str, text: str) -> None:
    if not text.strip() or len(text) > _NAME_LENGTH_MAX or not text.isprintable():
        raise errors.InvalidRequest(
            f"{field} is {text[:40]!r}, {len(text)} characters long. Give 1 to "
            f"{_NAME_LENGTH_MAX} printable characters.",
            field=field,
        )
