"""Network addresses: `host:port` as people write it; servers listen on loopback only.

Called by the servers before they bind and by the clients before they connect.
"""

import dataclasses
import ipaddress

from atoll._rpc import errors, reasons

_PORT_MAX = 65535


@dataclasses.dataclass(frozen=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return host:port, with brackets round an IPv6 host."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse(text: str) -> Address:
    """Read `host:port`.

    Raises:
        errors.InvalidArgumentError: It is no host and port.
    """
    host, separator, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if (
        not separator
        or not host
        or not port.isascii()
        or not port.isdigit()
        or int(port) > _PORT_MAX
    ):
        raise errors.InvalidArgumentError(
            f"{text!r} is no address. Write host:port, such as 127.0.0.1:4700.",
            reason=reasons.INVALID_ADDRESS,
            metadata={"address": text},
        )
    return Address(host, int(port))


def parse_loopback(text: str) -> Address:
    """Read the `host:port` that a server is to listen on.

    Raises:
        errors.InvalidArgumentError: It is no address, or one that other machines could reach.
    """
    address = parse(text)
    if not address.is_loopback:
        raise errors.InvalidArgumentError(
            f"{text} can be reached from other machines. This release has neither TLS nor "
            "credentials, which come with a later one, so it listens on loopback only. "
            "Use 127.0.0.1 or localhost.",
            reason=reasons.ADDRESS_NOT_LOOPBACK,
            metadata={"address": text},
        )
    return address
