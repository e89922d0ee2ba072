"""A gRPC server of Atoll: options, error interceptor, handshake, health, reflection, services.

Used by the code server and by the host. It listens on loopback only, says clearly when the port is
taken, and stops within a hard bound. A server serves once: start, stop.
"""

import asyncio
import contextlib
import dataclasses
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from atoll._rpc import addresses, errors, info, interception, options, reasons, standard_services
from atoll.rpc.v1 import server_info_pb2, server_info_pb2_grpc

_logger = logging.getLogger(__name__)

# gRPC cancels what still runs after the grace period, and then waits for it; this bounds that wait.
_STOP_SLACK_S = 2.0


@dataclasses.dataclass(frozen=True)
class Service:
    """One service to serve.

    Attributes:
        name: The full name, such as "atoll.api.v1.RunsService".
        add: The generated `add_...Servicer_to_server`.
        servicer: What answers.
    """

    name: str
    add: Callable[[Any, Any], None]
    servicer: object


class GrpcServer:
    """Serves gRPC services at one address."""

    def __init__(
        self,
        listen: str,
        *,
        facts: info.ServerFacts,
        services: Sequence[Service],
        table: errors.ErrorTable | None = None,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            listen: Where to listen, as host:port; port 0 takes a free one.
            facts: What the handshake tells.
            services: What to serve.
            table: What the server's own exceptions become.

        Raises:
            errors.InvalidArgumentError: `listen` is no address, or no loopback address.
        """
        self._listen = addresses.parse_loopback(listen)
        self._facts = facts
        self._services = tuple(services)
        self._table = table or errors.ErrorTable()
        self._server: grpc.aio.Server | None = None
        self._health = standard_services.Health()
        self._address: addresses.Address | None = None

    @property
    def address(self) -> str:
        """Where the server listens, as host:port. Known once it is started."""
        if self._address is None:
            raise RuntimeError("The server was not started yet.")
        return str(self._address)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            errors.FailedPreconditionError: The port is in use, or the address cannot be bound.
        """
        server = grpc.aio.server(
            interceptors=(interception.ErrorInterceptor(self._table),), options=options.SERVER
        )
        for service in self._services:
            service.add(service.servicer, server)
        server_info_pb2_grpc.add_ServerInfoServiceServicer_to_server(
            info.ServerInfoServicer(self._facts), server
        )
        self._health.add_to(server)
        names = [service.name for service in self._services]
        names.append(server_info_pb2.DESCRIPTOR.services_by_name["ServerInfoService"].full_name)
        standard_services.add_reflection(server, names)
        port = _bind(server, self._listen)
        await server.start()
        await self._health.set_serving(names, serving=True)
        self._server = server
        self._address = addresses.Address(self._listen.host, port)

    async def set_serving(self, *, serving: bool) -> None:
        """Tell health checks whether the server is fit for work."""
        names = ("", *(service.name for service in self._services))
        await self._health.set_serving(names, serving=serving)

    async def stop(self, grace_s: float = 1.0) -> None:
        """Refuse new calls, let running ones end for `grace_s` seconds, then cancel them.

        Safe to repeat.
        """
        server, self._server = self._server, None
        if server is None:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._health.shut_down(), _STOP_SLACK_S)
        try:
            await asyncio.wait_for(server.stop(grace_s), grace_s + _STOP_SLACK_S)
        except asyncio.TimeoutError:
            _logger.warning(
                "Calls went on after the server stopped",
                extra={"action": "stop_server", "grace_s": grace_s},
            )


def _bind(server: grpc.aio.Server, address: addresses.Address) -> int:
    """Bind the server to an address and return its port."""
    # gRPC writes its own account of a failure to standard error and does not say why in a way that
    # a program can read; a socket does, so it tries first.
    if problem := _bind_problem(address):
        raise _refusal(address, problem) from problem
    try:
        return server.add_insecure_port(str(address))
    except RuntimeError as error:
        raise _refusal(address, _bind_problem(address)) from error


def _refusal(address: addresses.Address, problem: OSError | None) -> errors.FailedPreconditionError:
    why = problem.strerror if problem is not None else "the port was taken in this moment"
    taken = problem is None or problem.errno == errno.EADDRINUSE
    return errors.FailedPreconditionError(
        f"{address} cannot be listened on: {why}. "
        "Stop what listens there, or choose another port; port 0 takes a free one.",
        reason=reasons.PORT_IN_USE if taken else reasons.INVALID_ADDRESS,
        metadata={"address": str(address)},
    )


def _bind_problem(address: addresses.Address) -> OSError | None:
    """Return what keeps a socket from being bound to an address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def channel(address: str) -> grpc.aio.Channel:
    """Return a channel to an Atoll server. It connects when first used; close it in the end.

    Raises:
        errors.InvalidArgumentError: It is no address.
    """
    return grpc.aio.insecure_channel(str(addresses.parse(address)), options=options.CHANNEL)
