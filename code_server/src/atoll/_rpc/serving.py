"""A gRPC server of Atoll: options, error interceptor, handshake, health, reflection, services.

Used by the code server and by the host. Without TLS it listens on loopback only. It says clearly
when the port is taken, and stops within a hard bound. A server serves once: start, stop.
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

from atoll._rpc import (
    addresses,
    errors,
    info,
    interception,
    options,
    reasons,
    standard_services,
    tls,
)
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


@dataclasses.dataclass(frozen=True)
class Security:
    """How a server protects its connections.

    Attributes:
        tls: Its certificate and whom it trusts.
        certificates_listen: A second address, where clients have to show a certificate although
            the first does not ask for one; empty for none.
        admit: Asked before each call who may call at all, by certificate; None admits everybody.
    """

    tls: tls.ServerTls
    certificates_listen: str = ""
    admit: interception.Admission | None = None


class GrpcServer:
    """Serves gRPC services at one address."""

    def __init__(
        self,
        listen: str,
        *,
        facts: info.ServerFacts,
        services: Sequence[Service],
        table: errors.ErrorTable | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        security: Security | None = None,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            listen: Where to listen, as host:port; port 0 takes a free one.
            facts: What the handshake tells.
            services: What to serve.
            table: What the server's own exceptions become.
            interceptors: What else stands round calls; what they raise becomes what the table says.
            security: How connections are protected; None means not at all.

        Raises:
            errors.InvalidArgumentError: `listen` is no address, or none on loopback although
                nothing protects it.
        """
        self._listen = addresses.parse_loopback(listen, secured=security is not None)
        self._security = security
        self._facts = facts
        self._services = tuple(services)
        self._table = table or errors.ErrorTable()
        self._interceptors = tuple(interceptors)
        self._server: grpc.aio.Server | None = None
        self._health = standard_services.Health()
        self._address: addresses.Address | None = None
        self._certificates_address: addresses.Address | None = None

    @property
    def certificates_address(self) -> str:
        """Where certificates are required beside `address`; empty where that is nowhere."""
        return "" if self._certificates_address is None else str(self._certificates_address)

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
        admit = None if self._security is None else self._security.admit
        server = grpc.aio.server(
            interceptors=(
                interception.ErrorInterceptor(self._table, admit),
                *self._interceptors,
            ),
            options=options.SERVER,
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
        self._bind_all(server)
        await server.start()
        await self._health.set_serving(names, serving=True)
        self._server = server

    def _bind_all(self, server: grpc.aio.Server) -> None:
        if self._security is None:
            self._address = _bind(server, self._listen, None)
            return
        given = self._security.tls
        required = given.files.client_certificates is tls.ClientCertificates.REQUIRED
        credentials = given.grpc_credentials(require_client=required)
        self._address = _bind(server, self._listen, credentials)
        if self._security.certificates_listen:
            second = addresses.parse(self._security.certificates_listen)
            credentials = given.grpc_credentials(require_client=True)
            self._certificates_address = _bind(server, second, credentials)

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


def _bind(
    server: grpc.aio.Server,
    address: addresses.Address,
    credentials: grpc.ServerCredentials | None,
) -> addresses.Address:
    """Bind the server to an address and return it with the port that it got."""
    # gRPC writes its own account of a failure to standard error and does not say why in a way that
    # a program can read; a socket does, so it tries first.
    if problem := _bind_problem(address):
        raise _refusal(address, problem) from problem
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise _refusal(address, _bind_problem(address)) from error
    return addresses.Address(address.host, port)


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


def channel(address: str, secured: tls.ClientTls | None = None) -> grpc.aio.Channel:
    """Return a channel to an Atoll server. It connects when first used; close it in the end.

    Args:
        address: Where the server listens, as host:port.
        secured: The TLS to speak; None speaks none.

    Raises:
        errors.InvalidArgumentError: It is no address.
    """
    if secured is not None:
        return secured.channel(address)
    return grpc.aio.insecure_channel(str(addresses.parse(address)), options=options.CHANNEL)
