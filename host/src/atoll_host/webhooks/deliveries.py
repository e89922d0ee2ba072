"""Reads from the headers of a request what is kept of it. Pure.

Called by `receiving`.
"""

import hashlib
from collections.abc import Callable, Mapping

from atoll_host.webhooks import signatures

ID_HEADERS = ("x-atoll-delivery", "x-github-delivery", "webhook-id", "idempotency-key")
"""What senders call the id of a delivery, by which a repeat is known."""

ID_CHARACTERS_MAX = 200
HEADERS_MAX = 100
HEADER_CHARACTERS_MAX = 8 * 1024

_CREDENTIALS = frozenset(
    {
        "authorization",
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-api-key",
        *signatures.SIGNATURE_HEADERS,
    }
)


def id_of(headers: Mapping[str, str], new_id: Callable[[], str]) -> str:
    """Return the id of a delivery: the sender's; a new one where it has none.

    Args:
        headers: The headers, with lower-case names.
        new_id: Makes an id.
    """
    for name in ID_HEADERS:
        given = headers.get(name, "").strip()
        if given:
            if len(given) <= ID_CHARACTERS_MAX and given.isprintable():
                return given
            # Too long to index, or not fit to be shown: another text that means the same.
            return "sha256:" + hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()
    return new_id()


def kept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that user code gets: all but those that hold credentials.

    Args:
        headers: The headers, with lower-case names.
    """
    chosen = {name: value for name, value in headers.items() if name not in _CREDENTIALS}
    return {
        _clean(name): _clean(value)[:HEADER_CHARACTERS_MAX]
        for name, value in list(chosen.items())[:HEADERS_MAX]
    }


def _clean(text: str) -> str:
    # Postgres stores no NUL in text.
    return text.replace("\x00", "\ufffd")
