"""What a token looks like, and what of it is kept. Pure but for the randomness of a new one.

    atoll_<id>_<secret>     id: 12 hex digits; secret: 32 random bytes, base64url without padding

Used by whoever makes tokens and by `verifying`. The id is no secret; of the secret the database has
the SHA-256 only, which is enough for 256 random bits.
"""

import dataclasses
import hashlib
import hmac
import re
import secrets

_ID_BYTES = 6
_SECRET_BYTES = 32
_TOKEN = re.compile(r"atoll_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A token in the hands of its bearer.

    Attributes:
        token_id: The part that is no secret.
        secret: The other part.
    """

    token_id: str
    secret: str = dataclasses.field(repr=False)

    @property
    def bearer(self) -> str:
        """What its bearer sends."""
        return f"atoll_{self.token_id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is kept of the secret."""
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, digest: bytes) -> bool:
        """Say whether a digest is that of the secret; takes as long whatever the answer."""
        return hmac.compare_digest(self.digest, digest)


def make() -> Token:
    """Return a new token."""
    return Token(secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))


def parse(text: str) -> Token | None:
    """Return the token that a text is, None where it is none."""
    found = _TOKEN.fullmatch(text)
    return Token(found[1], found[2]) if found else None
