"""Asset keys to messages and back.

Used by everything that names an asset on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll._definitions import keys
from atoll._wire import texts
from atoll.definitions.v1 import values_pb2


def to_message(key: keys.AssetKey) -> values_pb2.AssetKey:
    """Return a key as a message.

    Args:
        key: The key.
    """
    try:
        return values_pb2.AssetKey(path=key.path)
    except UnicodeEncodeError:
        return values_pb2.AssetKey(path=[texts.valid(part) for part in key.path])


def from_message(message: values_pb2.AssetKey) -> keys.AssetKey:
    """Return the key that a message names.

    Args:
        message: The message; its path is not empty.
    """
    return keys.AssetKey(list(message.path))


def to_check_message(key: keys.AssetCheckKey) -> values_pb2.AssetCheckKey:
    """Return the key of a check as a message.

    Args:
        key: The key.
    """
    return values_pb2.AssetCheckKey(asset_key=to_message(key.asset_key), name=texts.valid(key.name))


def from_check_message(message: values_pb2.AssetCheckKey) -> keys.AssetCheckKey:
    """Return the key of a check that a message names.

    Args:
        message: The message; neither its path nor its name is empty.
    """
    return keys.AssetCheckKey(from_message(message.asset_key), message.name)


def to_messages(asset_keys: Iterable[keys.AssetKey]) -> list[values_pb2.AssetKey]:
    """Return keys as messages, sorted, so that sets come out the same each time.

    Args:
        asset_keys: The keys.
    """
    return [to_message(key) for key in sorted(asset_keys, key=path)]


def path(key: keys.AssetKey) -> tuple[str, ...]:
    """Return what keys are sorted by; comparing the keys themselves is several times slower.

    Args:
        key: The key.
    """
    return tuple(key.path)
