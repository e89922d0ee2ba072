"""What the host may be told about webhooks: the section `[webhooks]` of the settings."""

import pydantic

from atoll._rpc import addresses
from atoll._rpc import errors as rpc_errors


class WebhookSettings(pydantic.BaseModel):
    """How webhooks are taken.

    Attributes:
        listen: Where to listen for them, as host:port; empty means nowhere. Port 0 takes any free
            one.
        body_bytes_max: How long the body of a delivery may be.
        waiting_max: How many deliveries may wait for one sensor.
        require_timestamp: Whether a delivery without a signed timestamp is refused.
        timestamp_tolerance_s: How old a signed timestamp may be, or how far ahead.
        receive_timeout_s: How long a request may take to arrive.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    listen: str = pydantic.Field(default="", description="where to listen, as host:port")
    body_bytes_max: int = pydantic.Field(
        default=1024 * 1024, ge=1, le=8 * 1024 * 1024, description="the longest body, in bytes"
    )
    waiting_max: int = pydantic.Field(
        default=10_000, ge=1, le=1_000_000, description="how many may wait for one sensor"
    )
    require_timestamp: bool = pydantic.Field(
        default=False, description="whether deliveries have to carry a signed timestamp"
    )
    timestamp_tolerance_s: float = pydantic.Field(
        default=300.0, ge=1.0, le=86_400.0, description="how old a signed timestamp may be"
    )
    receive_timeout_s: float = pydantic.Field(
        default=10.0, ge=0.1, le=300.0, description="how long a request may take to arrive"
    )

    @pydantic.field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value:
            return value
        try:
            addresses.parse(value)
        except rpc_errors.InvalidArgumentError as error:
            raise ValueError(error.message) from error
        return value


DEFAULT = WebhookSettings()
"""No webhooks are taken."""
