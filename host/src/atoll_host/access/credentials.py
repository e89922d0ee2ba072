"""What comes with a call to say who makes it. Pure.

Made by what receives calls, over gRPC or HTTP: the values of the header `authorization`, and the
URIs of the certificate of whoever is at the other end, where that was verified. Which identity
these are, `atoll._rpc.peer_identities` says. Read by `engine`.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence

from atoll._rpc import peer_identities
from atoll_host import errors
from atoll_host.access import run_credentials, tokens

HEADER = "authorization"
_SCHEME = "bearer "
_LONGEST = 512
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
# More does not get through gRPC beside the rest of the metadata.
_JWT_LONGEST = 16_000
_SECURE = "ssl"


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a call.

    Attributes:
        authorizations: Each value of the header `authorization`.
        peer_uris: The URIs of a verified client certificate.
        runs: Each credential of a run, by which a code server shows on whose behalf it calls.
    """

    authorizations: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    peer_uris: tuple[str, ...] = ()
    runs: tuple[str, ...] = dataclasses.field(default=(), repr=False)

    def token(self) -> tokens.Token | None:
        """Return the token that was sent, None where nothing was.

        Raises:
            errors.CredentialsInvalid: What was sent is no token, or more than one.
        """
        if not self.authorizations:
            return None
        text = self.authorizations[0]
        if len(self.authorizations) > 1 or len(text) > _LONGEST:
            raise errors.CredentialsInvalid
        if text[: len(_SCHEME)].lower() != _SCHEME:
            raise errors.CredentialsInvalid
        found = tokens.parse(text[len(_SCHEME) :].strip(" "))
        if found is None:
            raise errors.CredentialsInvalid
        return found

    def jwt(self) -> str | None:
        """Return what was sent if it looks like the token of an identity provider; else None."""
        if len(self.authorizations) != 1 or len(self.authorizations[0]) > _JWT_LONGEST:
            return None
        text = self.authorizations[0]
        bearer = text[len(_SCHEME) :].strip(" ")
        is_jwt = text[: len(_SCHEME)].lower() == _SCHEME and _JWT.fullmatch(bearer)
        return bearer if is_jwt else None

    @property
    def location_name(self) -> str:
        """The location that the certificate names; empty where it names none."""
        return self._named(peer_identities.PeerKind.LOCATION)

    @property
    def user_name(self) -> str:
        """The person or service that the certificate names; empty where it names none."""
        return self._named(peer_identities.PeerKind.USER)

    def _named(self, kind: peer_identities.PeerKind) -> str:
        peer = peer_identities.of_uris(self.peer_uris)
        return peer.name if peer is not None and peer.kind is kind else ""


NONE = Credentials()
"""Nothing came with the call."""


def of_metadata(
    metadata: Iterable[tuple[str, str | bytes]],
    auth_context: Mapping[str, Sequence[bytes]] | None = None,
) -> Credentials:
    """Return what came with a call over gRPC.

    Args:
        metadata: The metadata of the call.
        auth_context: What gRPC knows of the other end.
    """
    sent: dict[str, list[str]] = {HEADER: [], run_credentials.HEADER: []}
    for key, value in metadata:
        if key in sent:
            text = value if isinstance(value, str) else value.decode("utf-8", "replace")
            sent[key].append(text)
    uris: tuple[str, ...] = ()
    if auth_context and _SECURE.encode() in auth_context.get("transport_security_type", ()):
        found = auth_context.get("peer_uri", ())
        uris = tuple(uri.decode("utf-8", "replace") for uri in found)
    return Credentials(tuple(sent[HEADER]), uris, tuple(sent[run_credentials.HEADER]))
