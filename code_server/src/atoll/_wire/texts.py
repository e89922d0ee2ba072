"""Strings and JSON as messages hold them.

Used by every other module of this package. Python's strings may hold what UTF-8 cannot say (lone
surrogates, from file names for example); a message must not be refused for that, so such
characters are replaced.
"""

from __future__ import annotations

import json
from typing import Any

from atoll.definitions.v1 import values_pb2

JSON = "application/json"
JSON_SCHEMA = "application/schema+json"

_CUT = " [... cut]"


def valid(text: str) -> str:
    """Return a text with what UTF-8 cannot say replaced by question marks.

    Args:
        text: Any string.
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def bounded(text: str, characters_max: int) -> str:
    """Return a valid text, cut where it is too long.

    Args:
        text: Any string.
        characters_max: How long it may be.
    """
    if len(text) > characters_max:
        text = text[: characters_max - len(_CUT)] + _CUT
    return valid(text)


def to_json(value: Any, content_type: str = JSON) -> values_pb2.UserData:
    """Return a plain value as JSON.

    Args:
        value: Lists, dicts, strings, numbers, truth values and None.
        content_type: The media type to give.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return values_pb2.UserData(content_type=content_type, data=text.encode())


def from_json(data: values_pb2.UserData) -> Any:
    """Return the plain value that JSON says; None for no data at all.

    Args:
        data: What `to_json` made.
    """
    return json.loads(data.data) if data.data else None
