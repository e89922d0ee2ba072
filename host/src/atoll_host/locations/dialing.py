"""The addresses of code servers as hosts keep them: with a mark where TLS is spoken.

A code server registers `host:port`, and whether it speaks TLS there; all hosts of a mesh read both
out of one field. Pure.
"""

import dataclasses

_MARK = "tls://"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A code server to call.

    Attributes:
        address: Where it listens, with the mark.
        control_token: By what it knows that a host calls; empty where it asks for nothing.
    """

    address: str
    control_token: str = dataclasses.field(default="", repr=False)


def marked(address: str, *, secured: bool) -> str:
    """Return an address as hosts keep it."""
    return f"{_MARK}{address}" if secured else address


def is_secured(marked_address: str) -> bool:
    """Return whether TLS is spoken at an address that hosts keep."""
    return marked_address.startswith(_MARK)


def plain(marked_address: str) -> str:
    """Return an address that hosts keep as host:port."""
    return marked_address.removeprefix(_MARK)
