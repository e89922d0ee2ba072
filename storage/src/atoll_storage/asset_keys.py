"""Asset keys as text: a compact JSON list, so that parts with any character stay apart.

An index entry of Postgres holds about 2,700 bytes, and no location may stop the intake of others
with a longer key: long ones are stored as a digest, the same way when writing and when looking up.
"""

import hashlib
import json
from collections.abc import Iterable

LONGEST_BYTES = 1024
_DIGEST_PREFIX = "sha256:"
# A control character that no partition key of a user begins with.
_LONG_PARTITION_PREFIX = "\x01sha256:"
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


def begin_of(prefix: Iterable[str]) -> str:
    """Return what the texts of all keys begin with that go on after these parts."""
    parts = list(prefix)
    return _encode_json(parts)[:-1] + ("," if parts else "")


def encode_partition(partition: str) -> str:
    """Return the text that stands for a partition key in columns that an index covers."""
    text = partition.replace("\0", "\ufffd")
    data = text.encode()
    if len(data) <= LONGEST_BYTES:
        return text
    return _LONG_PARTITION_PREFIX + hashlib.sha256(data).hexdigest()


def is_long_partition(text: str) -> bool:
    """Say whether a column holds the digest of a partition key, which stands in the payload."""
    return text.startswith(_LONG_PARTITION_PREFIX)


def encode_target(kind: str, path: Iterable[str], name: str) -> str:
    """Return the text that stands for an asset, a check or a job with a condition of its own."""
    text = f"{kind}:{_encode_json([*path, name])}".replace("\0", "\ufffd")
    data = text.encode()
    if len(data) <= LONGEST_BYTES:
        return text
    return f"{kind}:{_DIGEST_PREFIX}{hashlib.sha256(data).hexdigest()}"
