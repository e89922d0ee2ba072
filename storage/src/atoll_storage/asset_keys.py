"""Asset keys as text: a compact JSON list, so that parts with any character stay apart.

An index entry of Postgres holds about 2,700 bytes, and no location may stop the intake of others
with a longer key: long ones are stored as a digest, the same way when writing and when looking up.
"""

import hashlib
import json
from collections.abc import Iterable

LONGEST_BYTES = 1024
_DIGEST_PREFIX = "sha256:"
_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(path: Iterable[str]) -> str:
    """Return the text that stands for a key in columns."""
    text = _encode_json(list(path))
    data = text.encode()
    if len(data) <= LONGEST_BYTES:
        return text
    return _DIGEST_PREFIX + hashlib.sha256(data).hexdigest()


def decode(text: str) -> tuple[str, ...] | None:
    """Return the key of a text; None for a digest, whose key stands in the payload only."""
    return None if text.startswith(_DIGEST_PREFIX) else tuple(json.loads(text))
