"""Pages: how many entries a call returns, and the opaque token of the next page.

Used by every call that lists. A token holds the position after which the next page begins, and a
check over the call and its filters: one that was changed, or that belongs to another call, is
refused instead of giving wrong pages.
"""

import base64
import binascii
import bisect
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf import message

from atoll_host import errors

SIZE_DEFAULT = 50
SIZE_MAX = 1000

_CHECK_BYTES = 6
_Key = TypeVar("_Key", bound=tuple[str, ...])
_Entry = TypeVar("_Entry")


class Page:
    """One page as a request asks for it.

    Attributes:
        size: How many entries to return at the most.
        after: The position that the page before ended with; None on the first page.
    """

    def __init__(
        self,
        request: message.Message,
        *,
        size_default: int = SIZE_DEFAULT,
        size_max: int = SIZE_MAX,
    ) -> None:
        """Read page size and token of a list request.

        Args:
            request: The request.
            size_default: How many entries a page has where the request does not say.
            size_max: How many it has at the most.

        Raises:
            errors.InvalidRequest: The size is negative.
            errors.InvalidPageToken: The token is none of this call with these filters.
        """
        scope = type(request)()
        scope.CopyFrom(request)
        scope.ClearField("page_size")
        scope.ClearField("page_token")
        self._scope = scope.DESCRIPTOR.full_name.encode() + scope.SerializeToString(
            deterministic=True
        )
        size = getattr(request, "page_size")  # noqa: B009 - every list request has it
        self.size = _size(size, size_default, size_max)
        token: str = getattr(request, "page_token")  # noqa: B009
        self.after: list[Any] | None = decode(token, self._scope) if token else None

    @property
    def after_id(self) -> int:
        """The number that the page before ended with; 0 on the first page."""
        return int(self.after[0]) if self.after else 0

    @property
    def after_name(self) -> str:
        """The name that the page before ended with; empty on the first page."""
        return str(self.after[0]) if self.after else ""

    @property
    def before(self) -> tuple[dt.datetime, str] | None:
        """The time and the id that the page before ended with; None on the first page."""
        if not self.after:
            return None
        return dt.datetime.fromisoformat(str(self.after[0])), str(self.after[1])

    def token(self, *position: str | int) -> str:
        """Return the token of the page that begins after `position`."""
        return encode(position, self._scope)

    def fitting(
        self, found: Sequence[_Entry], place: Callable[[_Entry], tuple[str | int, ...]]
    ) -> tuple[Sequence[_Entry], str]:
        """Return the entries that the page shows, and the token of the next page.

        Args:
            found: The entries from the page's position on, `size + 1` of them where there are.
            place: Returns the position of an entry.
        """
        shown = found[: self.size]
        return shown, self.token(*place(shown[-1])) if len(found) > self.size else ""

    def of_sorted(self, keys: Sequence[_Key]) -> tuple[Sequence[_Key], str]:
        """Return those of sorted keys that the page shows, and the token of the next page."""
        start = bisect.bisect_right(keys, tuple(map(str, self.after))) if self.after else 0
        shown = keys[start : start + self.size]
        more = start + self.size < len(keys)
        return shown, self.token(*shown[-1]) if more else ""


def encode(position: tuple[str | int, ...], scope: bytes) -> str:
    """Return an opaque token for a position within a scope."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body, scope) + body).decode().rstrip("=")


def decode(token: str, scope: bytes) -> list[Any]:
    """Return the position of a token.

    Raises:
        errors.InvalidPageToken: It was not made by `encode` with this scope.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InvalidPageToken from error
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if not body or check != _check(body, scope):
        raise errors.InvalidPageToken
    position: list[Any] = json.loads(body)
    return position


def _check(body: bytes, scope: bytes) -> bytes:
    return hashlib.blake2b(body + b"\x00" + scope, digest_size=_CHECK_BYTES).digest()


def _size(requested: int, default: int, at_most: int) -> int:
    if requested < 0:
        raise errors.InvalidRequest(
            f"page_size is {requested}; it must not be negative. 0 means {default}, the most "
            f"is {at_most}.",
            field="page_size",
        )
    return min(requested or default, at_most)
