"""grpc.health.v1 and reflection, behind types: their distributions ship none.

Used by `atoll._rpc.serving` alone.
"""

# pyright: reportUnknownMemberType=false, reportAttributeAccessIssue=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Sequence
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]


class Health:
    """What grpc.health.v1 answers, for the server as a whole ("") and for each service."""

    def __init__(self) -> None:
        self._servicer: Any = health.aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve it."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set_serving(self, names: Sequence[str], *, serving: bool) -> None:
        """Tell how services are doing."""
        status: Any = health_pb2.HealthCheckResponse
        for name in names:
            await self._servicer.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def shut_down(self) -> None:
        """Tell for good that nothing is served any more."""
        await self._servicer.enter_graceful_shutdown()


def add_reflection(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Serve reflection for some services, health and itself."""
    reflection.enable_server_reflection(
        (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
