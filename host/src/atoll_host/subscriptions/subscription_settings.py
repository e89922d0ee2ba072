"""What the host may be told about subscriptions: the section `[subscriptions]` of the settings."""

import ipaddress

import pydantic

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SubscriptionSettings(pydantic.BaseModel):
    """Where events may be sent, and how hard to try.

    Attributes:
        allowed_hosts: Patterns of the hosts that may be called; empty means any.
        allowed_networks: Networks that may be called although they are private.
        allow_loopback: Whether this machine may be called, and without encryption.
        ca_file: Certificates to trust beside those of the system.
        subscriptions_max: How many subscriptions there may be.
        waiting_max: How many deliveries of one subscription wait; the rest stays in the log.
        at_once_max: How many requests to one receiver that asks for no order are under way.
        batch_bytes_max: How long the events of a batch may be together.
        timeout_s: How long one try may take.
        attempts_max: How often a delivery is tried before it is given up.
        attempts_for_s: For how long a delivery is tried before it is given up.
        first_retry_s: How long to wait after the first failed try.
        longest_retry_s: How long to wait between two tries at the most.
        pause_after_s: A subscription that fails for so long is paused.
        dead_max: A subscription with so many deliveries given up is paused.
        delivered_max: How many deliveries that arrived stay to be seen.
        old_secret_s: How long requests are signed with the secret before as well.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    allowed_hosts: tuple[str, ...] = pydantic.Field(
        default=(), max_length=200, description="patterns of hosts that may be called; empty: any"
    )
    allowed_networks: tuple[Network, ...] = pydantic.Field(
        default=(), max_length=200, description="private networks that may be called all the same"
    )
    allow_loopback: bool = pydantic.Field(
        default=False, description="whether this machine may be called, and without encryption"
    )
    ca_file: str = pydantic.Field(
        default="", max_length=4096, description="certificates to trust beside those of the system"
    )
    subscriptions_max: int = pydantic.Field(
        default=100, ge=1, le=1000, description="how many subscriptions there may be"
    )
    waiting_max: int = pydantic.Field(
        default=100, ge=1, le=10_000, description="how many deliveries of one wait in the database"
    )
    at_once_max: int = pydantic.Field(
        default=4, ge=1, le=64, description="how many requests are under way where no order counts"
    )
    batch_bytes_max: int = pydantic.Field(
        default=256 * 1024, ge=1024, le=8 * 1024 * 1024, description="how long a batch may be"
    )
    timeout_s: float = pydantic.Field(
        default=10.0, ge=0.1, le=25.0, description="how long one try may take"
    )
    attempts_max: int = pydantic.Field(
        default=20, ge=1, le=1000, description="how often a delivery is tried"
    )
    attempts_for_s: float = pydantic.Field(
        default=86_400.0, ge=1.0, le=30 * 86_400.0, description="for how long a delivery is tried"
    )
    first_retry_s: float = pydantic.Field(
        default=5.0, ge=0.01, le=3600.0, description="the first pause between two tries"
    )
    longest_retry_s: float = pydantic.Field(
        default=3600.0, ge=0.01, le=86_400.0, description="the longest pause between two tries"
    )
    pause_after_s: float = pydantic.Field(
        default=3 * 86_400.0, ge=1.0, le=90 * 86_400.0, description="when a failing one is paused"
    )
    dead_max: int = pydantic.Field(
        default=1000, ge=1, le=100_000, description="how many deliveries may be given up"
    )
    delivered_max: int = pydantic.Field(
        default=1000, ge=0, le=100_000, description="how many deliveries that arrived are kept"
    )
    old_secret_s: float = pydantic.Field(
        default=86_400.0, ge=0.0, le=30 * 86_400.0, description="how long an old secret is used"
    )


DEFAULT = SubscriptionSettings()
"""Nothing private is called."""
