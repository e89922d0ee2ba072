"""Network addresses: `host:port` as people write it; beyond loopback only with TLS.

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
    def is_unspecified(self) -> bool:
        """Whether it means every address of a machine, so that nobody can connect to it."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

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


def parse_loopback(text: str, *, secured: bool = False) -> Address:
    """Read a `host:port` to which only this machine can connect, or which TLS protects.

    Args:
        text: Where a server is to listen, or says that it does.
        secured: Whether it speaks TLS: then it may be any address.

    Raises:
        errors.InvalidArgumentError: It is no address, or one that other machines could reach
            without TLS.
    """
    address = parse(text)
    if not secured and not address.is_loopback:
        raise errors.InvalidArgumentError(
            f"{text} can be reached from other machines, and there is no certificate. Without TLS "
            "Atoll listens on loopback only. Give the server a certificate, or use 127.0.0.1 or "
            "localhost.",
            reason=reasons.ADDRESS_NOT_LOOPBACK,
            metadata={"address": text},
        )
    return address
