"""The connection to the host, and what the session has learned about it.

`session` registers and sets the epoch; `forwarding`, `output` and `instance_relay` use both. A
refused epoch is reported back here, so that the session registers anew.
"""

from __future__ import annotations

import asyncio
from typing import cast

from atoll._rpc import serving, tls
from atoll.mesh.v1 import mesh_pb2_grpc


class HostLink:
    """The connection to the host.

    Args:
        address: Where the host listens, as host:port.
        location_name: The location.
        server_id: This code server.
        secured: The TLS to speak to it; None speaks none.
    """

    def __init__(
        self,
        address: str,
        location_name: str,
        server_id: str,
        secured: tls.ClientTls | None = None,
    ) -> None:
        self.address = address
        self.secured = secured
        self.location_name = location_name
        self.server_id = server_id
        self.epoch = 0
        self.stale = asyncio.Event()
        self._connect()
        self._registered = asyncio.Event()

    def _connect(self) -> None:
        self._generation = 0 if self.secured is None else self.secured.generation
        self.channel = serving.channel(self.address, self.secured)
        self.mesh = cast(
            "mesh_pb2_grpc.MeshServiceAsyncStub", mesh_pb2_grpc.MeshServiceStub(self.channel)
        )
        self.instance = cast(
            "mesh_pb2_grpc.InstanceServiceAsyncStub",
            mesh_pb2_grpc.InstanceServiceStub(self.channel),
        )

    async def renew(self) -> None:
        """Connect anew where the certificates have changed since; called between sessions."""
        if self.secured is not None and self.secured.generation != self._generation:
            before = self.channel
            self._connect()
            await before.close(0)

    @property
    def is_registered(self) -> bool:
        """Whether a session is open."""
        return self._registered.is_set()

    def set_registered(self, epoch: int) -> None:
        """Note that the host accepted a registration."""
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
        await self.channel.close(0)
