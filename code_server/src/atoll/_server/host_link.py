"""The connection to the host, and what the session has learned about it.

`session` registers and sets the epoch; `forwarding`, `output` and `instance_relay` use both. A
refused epoch is reported back here, so that the session registers anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

from atoll._rpc import authorization, serving, tls
from atoll._server import location_credential
from atoll.mesh.v1 import mesh_pb2_grpc


class HostLink:
    """The connection to the host.

    Args:
        address: Where the host listens, as host:port.
        location_name: The location.
        server_id: This code server.
        secured: The TLS to speak to it; None speaks none.
        credential: The token to call it with; None calls without.

    Raises:
        errors.FailedPreconditionError: It is on another machine, and nothing protects what is sent.
    """

    def __init__(
        self,
        address: str,
        location_name: str,
        server_id: str,
        secured: tls.ClientTls | None = None,
        credential: location_credential.LocationCredential | None = None,
    ) -> None:
        # Whether or not there is a token of the location: secrets of runs and calls are sent too.
        authorization.check_protected(address, secured=secured is not None)
        self._credential = credential
        self.address = address
        self.secured = secured
        self.location_name = location_name
        self.server_id = server_id
        self.epoch = 0
        self.features: frozenset[str] = frozenset()
        self.stale = asyncio.Event()
        self._connect()
        self._registered = asyncio.Event()

    def _connect(self) -> None:
        self._generation = 0 if self.secured is None else self.secured.generation
        self._bare = serving.channel(self.address, self.secured)
        token = "" if self._credential is None else self._credential.token
        self.channel = authorization.authorized(self._bare, token)
        self.mesh = cast(
            "mesh_pb2_grpc.MeshServiceAsyncStub", mesh_pb2_grpc.MeshServiceStub(self.channel)
        )
        self.instance = cast(
            "mesh_pb2_grpc.InstanceServiceAsyncStub",
            mesh_pb2_grpc.InstanceServiceStub(self.channel),
        )

    async def renew(self) -> None:
        """Read the token anew, and connect anew where the certificates have changed since.

        Called between sessions.

        Raises:
            errors.FailedPreconditionError: The file of the token cannot be used.
        """
        if self._credential is not None:
            self._credential.read()
        if self.secured is not None and self.secured.generation != self._generation:
            before = self._bare
            self._connect()
            await before.close(0)

    @property
    def is_registered(self) -> bool:
        """Whether a session is open."""
        return self._registered.is_set()

    def set_registered(self, epoch: int, features: Iterable[str] = ()) -> None:
        """Note that the host accepted a registration, and what it can do."""
        self.features = frozenset(features)
        self.epoch = epoch
        self.stale.clear()
        self._registered.set()

    def set_lost(self) -> None:
        """Note that the session is over."""
        self._registered.clear()

    def report_stale(self, epoch: int) -> None:
        """Tell that the host refused an epoch. Only the newest one is worth a new registration."""
        if epoch == self.epoch:
            self.stale.set()

    async def registered(self) -> int:
        """Wait for a session and return its epoch."""
        await self._registered.wait()
        return self.epoch

    async def close(self) -> None:
        """Close the connection."""
        await self._bare.close(0)
