"""Streaming answers as lines of JSON, for clients that know nothing of Connect, such as curl.

Connect wraps each message of a stream in a small binary envelope. Who sends plain JSON to an rpc
that streams gets each message as a line instead; `application` puts the two functions here round
the Connect application, which makes the messages one at a time as they are taken. An error before
the first message is an answer with its status, like that of any other rpc; a later one is a last
line `{"error": {...}}`.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, Final, cast

from starlette import types

CONTENT_TYPE: Final = "application/jsonl"

_ENVELOPE: Final = struct.Struct(">BI")
_END: Final = 0b10
_STREAMED: Final = b"application/connect+json"
_REPLACED: Final = (b"content-type", b"content-length")


def is_asked_for(headers: Mapping[str, str]) -> bool:
    """Return whether a call of an rpc that streams sends plain JSON."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def scope(of: types.Scope) -> types.Scope:
    """Return a scope as if its body were in an envelope."""
    kept = [pair for pair in of["headers"] if pair[0].lower() not in _REPLACED]
    return {**of, "headers": [*kept, (b"content-type", _STREAMED)]}


def body(of: bytes) -> bytes:
    """Return a body in an envelope."""
    return _ENVELOPE.pack(0, len(of)) + of


def unwrapping(send: types.Send, statuses: Mapping[str, int]) -> types.Send:
    """Return what sends each message of an answer as a line.

    Args:
        send: Sends to the client.
        statuses: The statuses of HTTP for the codes of Connect.
    """
    start: types.Message | None = None

    async def begin(status: int, content_type: str) -> None:
        nonlocal start
        if start is not None:
            begun, start = start, None  # at once: a deadline may end the call while it is sent
            kept = [pair for pair in begun["headers"] if pair[0].lower() not in _REPLACED]
            headers = [*kept, (b"content-type", content_type.encode())]
            await send({**begun, "status": status, "headers": headers})

    async def sending(message: types.Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        told, end = _unwrapped(message.get("body", b""))
        if end is None:
            await begin(200, CONTENT_TYPE)
            await send({"type": "http.response.body", "body": told + b"\n", "more_body": True})
            return
        error = end.get("error")
        last = b""
        if error is not None and start is not None:
            last = json.dumps(error, ensure_ascii=False).encode()
            await begin(statuses.get(error["code"], 500), "application/json")
        elif error is not None:
            last = json.dumps({"error": error}, ensure_ascii=False).encode() + b"\n"
        await begin(200, CONTENT_TYPE)
        await send({"type": "http.response.body", "body": last, "more_body": False})

    return sending


def _unwrapped(chunk: bytes) -> tuple[bytes, dict[str, Any] | None]:
    """Return what is in an envelope, and what the last one tells."""
    flags, _ = _ENVELOPE.unpack_from(chunk)
    told = chunk[_ENVELOPE.size :]
    if flags & _END:
        return b"", cast("dict[str, Any]", json.loads(told))
    return told, None
