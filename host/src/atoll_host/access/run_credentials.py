"""By what a code server shows on behalf of which run it calls: made, and read. Pure.

    atollrun_<claims>.<signature>       both base64url without padding

The claims are the run, its attempt, its location, and until when the credential counts; all hosts
of a mesh sign with one key of their database, so any of them can check what another one gave. It is
worth nothing without the credential of the location beside it. Used by `runs_at_work`.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re
from typing import Any

LIFETIME_S = 600
"""How long a credential counts. Code servers renew it when half of that is over."""

KEY_BYTES = 32
KEY_NAME = "run_credentials"
HEADER = "atoll-run-credential"

_LONGEST = 2048
_FORM = re.compile(r"atollrun_([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")
_PURPOSE = b"atoll run credential\0"


@dataclasses.dataclass(frozen=True, slots=True)
class Claims:
    """What a credential says.

    Attributes:
        run_id: The run.
        attempt: Which hand-over of it.
        location_name: The location that it was handed to.
        expires_at: Until when it counts, in seconds since 1970.
    """

    run_id: str
    attempt: int
    location_name: str
    expires_at: int


def sign(key: bytes, claims: Claims) -> str:
    """Return the credential for claims."""
    told = _encode(json.dumps(dataclasses.astuple(claims), separators=(",", ":")).encode())
    return f"atollrun_{told}.{_signature(key, told)}"


def read(key: bytes, text: str) -> Claims | None:
    """Return what a credential says, whether or not it is over; None where no host made it."""
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or not hmac.compare_digest(_signature(key, found[1]), found[2]):
        return None
    try:
        values: Any = json.loads(base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
        return Claims(*values)
    except (ValueError, TypeError, binascii.Error):  # of another release
        return None


def _signature(key: bytes, told: str) -> str:
    return _encode(hmac.new(key, _PURPOSE + told.encode(), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
