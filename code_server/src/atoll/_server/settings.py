"""What a code server is told when it starts.

Made by `atoll serve` from its options. Free of gRPC and asyncio, since `bootstrap` needs it first.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import secrets

from atoll._location import launch

DEFAULT_HOST_ADDRESS = "127.0.0.1:4700"
DEFAULT_LISTEN = "127.0.0.1:0"
LOCATION_TOKEN_VARIABLE = "ATOLL_LOCATION_TOKEN"  # noqa: S105  # the name of it


@dataclasses.dataclass(frozen=True)
class Certificates:
    """The files for TLS.

    Attributes:
        certificate: What the code server shows, to whoever calls it and to the host; None means
            that it speaks no TLS.
        key: The private key of that.
        client_ca: The authorities of hosts' certificates; with it, only hosts may call.
        host_ca: The authorities of the certificate that the host shows; None means that the host
            is spoken to without TLS.
    """

    certificate: pathlib.Path | None = None
    key: pathlib.Path | None = None
    client_ca: pathlib.Path | None = None
    host_ca: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class LocationToken:
    """What says to the host which location calls.

    Attributes:
        token: The token; empty where a file, or the certificate, says so.
        file: The file that holds it.
    """

    token: str = dataclasses.field(default="", repr=False)
    file: pathlib.Path | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is one."""
        return bool(self.token) or self.file is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one code server.

    Attributes:
        location_name: The name of the location, unique in the mesh.
        target: Where the user's definitions are.
        state_path: The state directory.
        host_address: Where the host listens.
        listen: Where to listen.
        advertise: Where the host reaches it; empty means where it listens.
        certificates: The files for TLS.
        token: What says to the host which location calls.
        build_id: The id of the first build; empty generates one.
        start_method: How processes are to be made.
        watch: Whether to reload when files change.
        load_timeout_s: How long a load may take.
        evaluators_max: How many evaluators a build may have at once.
        evaluations_waiting_max: How many evaluations may wait for one.
        evaluator_ticks_max: After how many ticks an evaluator is replaced.
        evaluator_idle_s: After how long without a tick an evaluator is ended.
        cancel_grace_s: How long a canceled run may take to stop by itself.
    """

    location_name: str
    target: launch.Target
    state_path: pathlib.Path
    host_address: str = DEFAULT_HOST_ADDRESS
    listen: str = DEFAULT_LISTEN
    advertise: str = ""
    certificates: Certificates = Certificates()
    token: LocationToken = LocationToken()
    build_id: str = ""
    start_method: launch.StartMethodOption = launch.StartMethodOption.AUTO
    watch: bool = False
    load_timeout_s: float = 300.0
    evaluators_max: int = 4
    evaluations_waiting_max: int = 64
    evaluator_ticks_max: int = 1000
    evaluator_idle_s: float = 60.0
    cancel_grace_s: float = 30.0


def generate_build_id() -> str:
    """Return an id for a build that was given none."""
    now = dt.datetime.now(dt.timezone.utc)  # noqa: TID251  # only a label for people
    return f"gen-{now:%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
