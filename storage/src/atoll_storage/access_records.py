"""What storage takes and gives of tokens and of the audit log, as plain frozen data.

Called by the host's access and audit, and by `access_store` and `audit_store`.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

KIND_ACCESS = 1
KIND_LOCATION = 2
"""The numbers of `atoll.api.v1.TokenKind`."""


@dataclasses.dataclass(frozen=True, slots=True)
class StoredGrant:
    """A role by its number, for some locations or, with None, for all."""

    role: int
    locations: tuple[str, ...] | None


@dataclasses.dataclass(frozen=True, slots=True)
class NewToken:
    """A token to store. The digest is no secret, but nobody needs to see it."""

    token_id: str
    name: str
    kind: int
    digest: bytes = dataclasses.field(repr=False)
    grants: tuple[StoredGrant, ...]
    location_name: str
    creator: str
    lifetime_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as stored; times are those of the database."""

    token_id: str
    name: str
    kind: int
    digest: bytes = dataclasses.field(repr=False)
    grants: tuple[StoredGrant, ...]
    location_name: str
    creator: str
    create_time: dt.datetime
    expire_time: dt.datetime | None
    revoke_time: dt.datetime | None
    last_use_time: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class CheckedToken:
    """A token as whoever verifies a bearer reads it.

    Attributes:
        record: The token.
        live_s: For how long it is valid from the moment of reading; None means until revoked, and
            zero or less that it is not.
    """

    record: TokenRecord
    live_s: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class NewEntry:
    """A call to write down."""

    caller: str
    caller_kind: str
    credential_id: str
    rpc: str
    location_names: Sequence[str]
    arguments: Mapping[str, str]
    outcome: int
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class EntryRecord:
    """A call as written down."""

    entry_id: int
    begin_time: dt.datetime
    end_time: dt.datetime | None
    caller: str
    caller_kind: str
    credential_id: str
    rpc: str
    location_names: Sequence[str]
    arguments: Mapping[str, str]
    outcome: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which calls; None and empty mean any.

    Attributes:
        caller: The name of the caller, or the id of the credential.
        rpc: The full name of the call, or what follows its last dot.
    """

    caller: str = ""
    rpc: str = ""
    location_name: str = ""
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None
