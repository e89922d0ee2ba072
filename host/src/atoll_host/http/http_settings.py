"""What the host may be told about HTTP: the section `[http]` of the settings."""

import re

import pydantic

from atoll._rpc import addresses
from atoll._rpc import errors as rpc_errors

AUTO = "auto"
"""Listens beside the default address of gRPC, and nowhere if another one was chosen."""

BESIDE_DEFAULT = "127.0.0.1:4701"
"""Where `auto` listens."""

_ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_HOST = re.compile(r"[a-z0-9.\-]+|\[[0-9a-f:]+\]")


class HttpSettings(pydantic.BaseModel):
    """How the API is served over HTTP.

    Attributes:
        listen: Where to listen, as host:port; `auto` means 127.0.0.1:4701 where gRPC has its
            default address, otherwise nowhere; empty means nowhere. Port 0 takes any free one.
        body_bytes_max: How long the body of a request may be.
        connections_max: How many connections there may be at once.
        streams_max: How many answers that go on and on may be under way at once.
        receive_timeout_s: How long a request may take to arrive.
        stalled_timeout_s: How long a client may read nothing of its answer.
        allowed_origins: Pages of other origins whose scripts may call the API.
        allowed_hosts: Names for which requests are taken, besides those of loopback and the one
            that is listened on; empty means every name, but on loopback none.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    listen: str = pydantic.Field(default=AUTO, description="where to listen, as host:port")
    body_bytes_max: int = pydantic.Field(
        default=4 * 1024 * 1024,
        ge=1024,
        le=16 * 1024 * 1024,
        description="the longest body of a request, in bytes",
    )
    connections_max: int = pydantic.Field(
        default=200, ge=1, le=10_000, description="how many connections at once"
    )
    streams_max: int = pydantic.Field(
        default=100, ge=1, le=10_000, description="how many streaming answers at once"
    )
    receive_timeout_s: float = pydantic.Field(
        default=10.0, ge=0.1, le=300.0, description="how long a request may take to arrive"
    )
    stalled_timeout_s: float = pydantic.Field(
        default=60.0, ge=0.1, le=3600.0, description="how long a client may read nothing"
    )
    allowed_origins: tuple[str, ...] = pydantic.Field(
        default=(), max_length=100, strict=False, description="origins whose pages may call"
    )
    allowed_hosts: tuple[str, ...] = pydantic.Field(
        default=(), max_length=100, strict=False, description="names that requests may be for"
    )

    @pydantic.field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value in ("", AUTO):
            return value
        try:
            addresses.parse(value)
        except rpc_errors.InvalidArgumentError as error:
            raise ValueError(error.message) from error
        return value

    @pydantic.field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _ORIGIN.fullmatch(value):
                raise ValueError(
                    f"{value!r} is no origin. Write scheme, name and port in small letters, such "
                    "as https://data.example.com or http://localhost:3000."
                )
        return values

    @pydantic.field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not _HOST.fullmatch(value):
                raise ValueError(
                    f"{value!r} is no name of a host. Write it in small letters and without a "
                    "port, such as data.example.com."
                )
        return values

    def address(self, *, grpc_is_default: bool) -> str:
        """Return where to listen; empty means nowhere.

        Args:
            grpc_is_default: Whether gRPC is served at its default address.
        """
        if self.listen != AUTO:
            return self.listen
        return BESIDE_DEFAULT if grpc_is_default else ""


DEFAULT = HttpSettings()
"""Beside the default address of gRPC, on loopback."""
