"""From when until when a certificate holds, read from its bytes.

Called by `pem_files`. The standard library tells the dates of a certificate only once a peer has
shown it, and a code location installs nothing that reads certificates, so the few levels of its
encoding above the dates are walked here. Pure; nothing is verified.
"""

from __future__ import annotations

import calendar
import dataclasses
import time

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_LONG_LENGTH = 0x80
_LENGTH_BYTES_MAX = 4


@dataclasses.dataclass(frozen=True)
class Dates:
    """When a certificate holds, in seconds since 1970.

    Attributes:
        begins_s: From when.
        ends_s: Until when.
    """

    begins_s: float
    ends_s: float


def read(certificate: bytes) -> Dates:
    """Return the dates of a certificate.

    Args:
        certificate: The certificate in DER.

    Raises:
        ValueError: It is none.
    """
    _, certificate_body, _ = _element(certificate, _SEQUENCE)
    _, signed, _ = _element(certificate_body, _SEQUENCE)
    tag, _, rest = _element(signed)
    if tag == _VERSION:
        _, _, rest = _element(rest)  # The serial number stands behind the version.
    _, _, rest = _element(rest, _SEQUENCE)  # The algorithm.
    _, _, rest = _element(rest, _SEQUENCE)  # The issuer.
    _, validity, _ = _element(rest, _SEQUENCE)
    begins_tag, begins, after = _element(validity)
    ends_tag, ends, _ = _element(after)
    return Dates(_moment(begins_tag, begins), _moment(ends_tag, ends))


def _element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Return the tag and the content of the first element, and what follows it."""
    if len(data) < 2:  # noqa: PLR2004 - a tag and a length
        raise ValueError("it ends early")
    tag, length, start = data[0], data[1], 2
    if length & _LONG_LENGTH:
        count = length & ~_LONG_LENGTH
        if not 1 <= count <= _LENGTH_BYTES_MAX or len(data) < start + count:
            raise ValueError("a length in it makes no sense")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if len(data) < start + length:
        raise ValueError("it ends early")
    if expected is not None and tag != expected:
        raise ValueError("it is not built as certificates are")
    return tag, data[start : start + length], data[start + length :]


def _moment(tag: int, content: bytes) -> float:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        # Two digits of the year, of which 50 to 99 belong to the century before.
        century = "19" if text[:1] >= "5" else "20"
        text = century + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("it has no dates")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))
