"""Decides whether a request was signed with the secret of its sensor, and signs others. Pure.

Called by `receiving`, and by `subscriptions.envelopes` for what the host itself sends. The
signature is `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits, in the header
`X-Atoll-Signature-256` or `X-Hub-Signature-256`. A request that carries `X-Atoll-Timestamp`
(seconds since 1970) signs `<timestamp>.<body>` instead, and is refused once the timestamp is old:
so it cannot be sent again later by whoever has seen it.
"""

import base64
import dataclasses
import hashlib
import hmac
import re
from collections.abc import Mapping

SIGNATURE_HEADERS = ("x-atoll-signature-256", "x-hub-signature-256")
TIMESTAMP_HEADER = "x-atoll-timestamp"
_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_NOBODYS = b"\0" * 32
"""Compared against where there is no secret, so that both take the same time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of timestamps.

    Attributes:
        tolerance_s: How old one may be, or how far ahead.
        require_timestamp: Whether there has to be one.
    """

    tolerance_s: float = 300.0
    require_timestamp: bool = False


def claimed(headers: Mapping[str, str]) -> str | None:
    """Return the signature that a request claims; None for none of the right form."""
    for name in SIGNATURE_HEADERS:
        given = headers.get(name, "").strip()
        if given:
            return given if _SIGNATURE.fullmatch(given) else None
    return None


def sign(secret: bytes, body: bytes, timestamp: str = "") -> str:
    """Return the signature of a body."""
    signed = timestamp.encode() + b"." + body if timestamp else body
    return "sha256=" + _digest(secret, signed).hex()


def sign_message(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message by the scheme of Standard Webhooks, in its version 1.

    Id and timestamp are signed along, so that neither can be changed and nothing sent again later.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(_digest(secret, signed)).decode()


def is_valid(
    secret: bytes | None, headers: Mapping[str, str], body: bytes, now_s: float, rules: Rules
) -> bool:
    """Tell whether a request was signed with a secret, and lately where it says when.

    Args:
        secret: The secret of the sensor; None where there is none, which no request fits.
        headers: The headers, with lower-case names.
        body: The body.
        now_s: The time, in seconds since 1970.
        rules: What is asked of timestamps.
    """
    signature = claimed(headers)
    timestamp = headers.get(TIMESTAMP_HEADER, "").strip()
    expected = sign(_NOBODYS if secret is None else secret, body, timestamp)
    matches = hmac.compare_digest(expected, (signature or "").lower())
    if timestamp:
        is_timely = bool(_TIMESTAMP.fullmatch(timestamp)) and (
            abs(now_s - int(timestamp)) <= rules.tolerance_s
        )
    else:
        is_timely = not rules.require_timestamp
    return matches and is_timely and secret is not None and signature is not None


def _digest(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()
