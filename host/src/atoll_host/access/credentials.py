"""What comes with a call to say who makes it. Pure.

Made by what receives calls, over gRPC or HTTP: the values of the header `authorization`, and the
URIs of the certificate of whoever is at the other end, where that was verified. Read by `engine`.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from atoll_host import errors
from atoll_host.access import tokens

HEADER = "authorization"
_SCHEME = "bearer "
_LOCATION_URI = "atoll:location:"
_USER_URI = "atoll:user:"
_LONGEST = 512
_SECURE = "ssl"


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a call.

    Attributes:
        authorizations: Each value of the header `authorization`.
        peer_uris: The URIs of a verified client certificate.
    """

    authorizations: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    peer_uris: tuple[str, ...] = ()

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

    @property
    def location_name(self) -> str:
        """The location that the certificate names; empty where it names none."""
        return self._named(_LOCATION_URI)

    @property
    def user_name(self) -> str:
        """The person or service that the certificate names; empty where it names none."""
        return self._named(_USER_URI)

    def _named(self, prefix: str) -> str:
        names = [uri.removeprefix(prefix) for uri in self.peer_uris if uri.startswith(prefix)]
        return names[0] if len(names) == 1 else ""


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
    sent = tuple(
        value if isinstance(value, str) else value.decode("utf-8", "replace")
        for key, value in metadata
        if key == HEADER
    )
    uris: tuple[str, ...] = ()
    if auth_context and _SECURE.encode() in auth_context.get("transport_security_type", ()):
        found = auth_context.get("peer_uri", ())
        uris = tuple(uri.decode("utf-8", "replace") for uri in found)
    return Credentials(sent, uris) if sent or uris else NONE
