"""Judges a request by its head, before anything of it is read: pure decisions.

Called by `application` for every request. Pages of other origins, in a browser that can reach the
host, must not be able to call it: neither with a form or an image (the content type and Sec-Fetch-
Site tell), nor with a script (Origin tells), nor under a name that they made point at this machine
(Host tells). Heads that later parts could stumble over are refused here too.
"""

import dataclasses
import http
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final
from urllib import parse

import grpc

from atoll._rpc import errors as rpc_errors
from atoll._rpc import reasons
from atoll_host.http import problems

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
CONTENT_TYPES: Final = ("application/json", "application/proto")
STREAM_CONTENT_TYPES: Final = (
    "application/json",
    "application/connect+json",
    "application/connect+proto",
)
ENCODINGS: Final = ("json", "proto")

_TARGET_LENGTH_MAX: Final = 32 * 1024
_HEADERS_MAX: Final = 100
_SAME_SITES: Final = ("same-origin", "none")


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """What requests are taken.

    Attributes:
        hosts: The names that they may be for, in small letters and without ports; None means any.
        origins: The origins besides the host's own whose pages may call.
    """

    hosts: frozenset[str] | None
    origins: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not taken.

    Attributes:
        status: The status of the answer.
        told: What was wrong, and what to do.
        headers: Headers that the answer has besides.
    """

    status: int
    told: rpc_errors.WireError
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


@dataclasses.dataclass(frozen=True, slots=True)
class Rpc:
    """What matters of an rpc.

    Attributes:
        reads: Whether it changes nothing.
        streams: Whether it answers with a stream.
    """

    reads: bool
    streams: bool


def policy(listened_on: str, hosts: Iterable[str], origins: Iterable[str]) -> Policy:
    """Return the policy of a listener.

    Args:
        listened_on: The name or IP address that it listens on.
        hosts: The names that the settings allow.
        origins: The origins that the settings allow.
    """
    own = f"[{listened_on}]" if ":" in listened_on else listened_on
    named = frozenset(hosts)
    if not named and not _is_loopback(listened_on):
        return Policy(None, frozenset(origins))
    return Policy(named | {own.lower(), *LOOPBACK_NAMES}, frozenset(origins))


def head_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Return the headers by name; None if one is no text. What comes twice is joined."""
    found: dict[str, str] = {}
    try:
        for name, value in raw:
            key, text = name.decode("ascii").lower(), value.decode("utf-8")
            found[key] = f"{found[key]}, {text}" if key in found else text
    except UnicodeDecodeError:
        return None
    return found


def judge(
    allowed: Policy,
    *,
    scheme: str,
    target: bytes,
    headers: Mapping[str, str] | None,
    count: int = 0,
) -> Refusal | None:
    """Return why a request is not taken, whatever it asks for; None if nothing is wrong.

    Args:
        allowed: What is taken.
        scheme: "http" or "https".
        target: The path and the query, as sent.
        headers: As `head_of` returns them.
        count: How many headers there were.
    """
    if headers is None or count > _HEADERS_MAX:
        return _bad(
            f"The headers are not UTF-8, or there are more than {_HEADERS_MAX}. Send fewer.",
            http.HTTPStatus.BAD_REQUEST,
        )
    if len(target) > _TARGET_LENGTH_MAX:
        return _bad(
            f"The address is longer than {_TARGET_LENGTH_MAX} bytes. Send the message by POST.",
            http.HTTPStatus.REQUEST_URI_TOO_LONG,
        )
    host = headers.get("host", "").lower()
    if allowed.hosts is not None and _without_port(host) not in allowed.hosts:
        return _forbidden(
            f"This host is not called {host[:200]!r}. Call it by a name that it has, or add the "
            "name to http.allowed_hosts.",
            http.HTTPStatus.MISDIRECTED_REQUEST,
        )
    return _foreign_page(allowed, f"{scheme}://{host}", headers)


def judge_call(
    method: str, query: bytes, headers: Mapping[str, str], *, rpc: Rpc, bytes_max: int
) -> Refusal | None:
    """Return why the head of a call is wrong; None if nothing is.

    Args:
        method: The method of HTTP.
        query: What follows the question mark.
        headers: As `head_of` returns them.
        rpc: What is called.
        bytes_max: How long a body may be.
    """
    by_get = rpc.reads and not rpc.streams
    if method != "POST" and not (method == "GET" and by_get):
        allow = "GET, POST" if by_get else "POST"
        return Refusal(
            http.HTTPStatus.METHOD_NOT_ALLOWED,
            problems.refusal(
                grpc.StatusCode.UNIMPLEMENTED,
                f"This is called with {allow.replace(', ', ' or ')}, not with {method[:20]}.",
                reasons.UNSUPPORTED,
            ),
            {"allow": allow},
        )
    if method == "GET":
        return _judge_query(query)
    kinds = STREAM_CONTENT_TYPES if rpc.streams else CONTENT_TYPES
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in kinds:
        return _bad(
            f"The content type is {kind[:100]!r}. Send {' or '.join(kinds)}.",
            http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            {"accept-post": ", ".join(kinds)},
        )
    if headers.get("content-encoding", "identity") != "identity":
        return _bad(
            "Compressed requests are not taken. Send the body as it is.",
            http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > bytes_max:
        return too_long(bytes_max)
    return None


def too_long(bytes_max: int) -> Refusal:
    """Return the refusal of a body that is too long."""
    return Refusal(
        http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        problems.refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"The body is longer than {bytes_max} bytes. Send less at once.",
            reasons.INVALID_REQUEST,
        ),
    )


def _judge_query(query: bytes) -> Refusal | None:
    asked = parse.parse_qs(query.decode("ascii", "replace"), keep_blank_values=True)
    if asked.get("encoding", [""])[0] not in ENCODINGS or "message" not in asked:
        return _bad(
            "With GET, the request is in the query: ?encoding=json&message={...}, percent-encoded.",
            http.HTTPStatus.BAD_REQUEST,
        )
    return None


def _foreign_page(allowed: Policy, own: str, headers: Mapping[str, str]) -> Refusal | None:
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() == own or origin.lower() in allowed.origins:
            return None
        return _forbidden(
            f"Pages of {origin[:200]} may not call this host. Add the origin to "
            "http.allowed_origins if they should.",
            http.HTTPStatus.FORBIDDEN,
        )
    if headers.get("sec-fetch-site", "none").lower() not in _SAME_SITES:
        return _forbidden("Pages of other sites may not call this host.", http.HTTPStatus.FORBIDDEN)
    return None


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdecimal() and not host.endswith("]") else host


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bad(text: str, status: int, headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(status, problems.invalid(text), dict(headers or {}))


def _forbidden(text: str, status: int) -> Refusal:
    told = problems.refusal(grpc.StatusCode.PERMISSION_DENIED, text, reasons.NOT_ALLOWED)
    return Refusal(status, told)
