r"""The session with the host: registration, lease, updates.

    away --register--> registered --(stream lost, lease over, epoch stale)--> away

While away it tries again with back-off, for ever: the host may be down for any time, and the code
server goes on without it. A server whose name another one took drains, but keeps its session for as
long as it lives: its runs go on, and the host gives up the runs of servers that it does not hear
from. What is told comes from `builds` and `runs`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll._rpc import info, options
from atoll._server import host_link, services
from atoll.mesh.v1 import mesh_pb2
from atoll.rpc.v1 import server_info_pb2

_logger = logging.getLogger(__name__)

_REGISTER_TIMEOUT_S = 10.0
_PINGS_PER_LEASE = 3
_LEASE_TTL_DEFAULT_S = 10.0

# A ping that is due this soon after the one before is left out.
_TOO_SOON = 0.1
_REFUSALS = (rpc_errors.UnauthenticatedError, rpc_errors.PermissionDeniedError)
_WHAT_TO_DO = (
    "An admin makes the token of a location with 'atoll tokens create NAME --code-server "
    "LOCATION'. Give it to 'atoll serve' in ATOLL_LOCATION_TOKEN or with --token-file; a file is "
    "read anew each time. A certificate names the location as 'atoll:location:LOCATION'."
)

_Call = grpc.aio.StreamStreamCall[mesh_pb2.SessionRequest, mesh_pb2.SessionResponse]


class _SessionOverError(Exception):
    """The session ended without an error of gRPC."""


class Session(services.LoopService):
    """The session of one code server.

    Args:
        link: The connection to the host.
        describe: Returns what to register with, but for what the session itself knows.
        on_superseded: Called once when another server took the name.
        on_host: Called with what the host can do, before each registration.
    """

    def __init__(
        self,
        link: host_link.HostLink,
        describe: Callable[[], mesh_pb2.Registration],
        on_superseded: Callable[[], None],
        on_host: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        super().__init__("session")
        self.incarnation_id = uuid.uuid4().hex
        self.superseded = False
        self._link = link
        self._describe = describe
        self._on_superseded = on_superseded
        self._on_host = on_host
        self._changed = asyncio.Event()
        self._told: set[str] = set()

    def state_changed(self) -> None:
        """Tell the host soon how the location is doing now."""
        self._changed.set()

    async def run(self) -> None:
        """Register, keep the lease, register again."""
        backoff = services.Backoff()
        self.started.set()
        while True:
            try:
                await self._hold(backoff)
            except (grpc.aio.AioRpcError, rpc_errors.RpcError, _SessionOverError) as error:
                self._tell(error)
            finally:
                self._link.set_lost()
            await backoff.wait()

    def _tell(self, error: Exception) -> None:
        """Log the first failure of a kind in a row of failures."""
        if isinstance(error, grpc.aio.AioRpcError):
            error = rpc_errors.from_call(
                error, peer=self._link.address, secured=self._link.secured is not None
            )
        reason = error.reason if isinstance(error, rpc_errors.RpcError) else ""
        if reason in self._told:
            return
        self._told.add(reason)
        if isinstance(error, _REFUSALS):
            _logger.error(
                "The host does not accept this location; asking again until it does",
                extra={
                    "action": "register",
                    "host": self._link.address,
                    "location": self._link.location_name,
                    "reason": reason,
                    "problem": f"{error} {_WHAT_TO_DO}",
                },
            )
            return
        _logger.warning(
            "There is no session with the host; trying until there is one",
            extra={"action": "register", "host": self._link.address, "problem": str(error)},
        )

    def _tell_end(self) -> None:
        """Log the end of what was logged, just as loud: whoever read that waits for it."""
        if self._told:
            self._told.clear()
            _logger.warning(
                "Registered with the host",
                extra={"action": "register", "host": self._link.address},
            )

    async def _hold(self, backoff: services.Backoff) -> None:
        """Register and stay registered for as long as it goes."""
        await self._link.renew()
        facts = await info.check_server(
            self._link.channel,
            kind=server_info_pb2.SERVER_KIND_HOST,
            peer=self._link.address,
            secured=self._link.secured is not None,
        )
        self._on_host(facts.features)
        call = self._link.mesh.Session()
        try:
            registered = await self._register(call)
            backoff.reset()
            self._tell_end()
            self._link.set_registered(registered.epoch, registered.features)
            ttl_s = registered.lease_ttl.ToTimedelta().total_seconds() or _LEASE_TTL_DEFAULT_S
            await self._keep(call, ttl_s)
        finally:
            call.cancel()

    async def _register(self, call: _Call) -> mesh_pb2.Registered:
        self._changed.clear()
        registration = self._describe()
        registration.incarnation_id = self.incarnation_id
        registration.protocol_version = info.PROTOCOL_VERSION
        registration.oldest_protocol_version = info.OLDEST_PROTOCOL_VERSION
        try:
            await asyncio.wait_for(
                call.write(mesh_pb2.SessionRequest(registration=registration)),
                _REGISTER_TIMEOUT_S,
            )
            response = await asyncio.wait_for(_next(call), _REGISTER_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise _SessionOverError("The host did not answer the registration.") from error
        if response.WhichOneof("message") != "registered":
            raise _SessionOverError("The host answered the registration with something else.")
        for conflict in response.registered.conflicts:
            _logger.warning(
                "A check has another owner, so this location does not evaluate it"
                if conflict.check_name
                else "An asset has another owner, so this location does not materialize it",
                extra={
                    "action": "register",
                    "asset_key": "/".join(conflict.asset_key.path),
                    "check_name": conflict.check_name,
                    "owner_location_name": conflict.owner_location_name,
                },
            )
        for denial in response.registered.policy_denials:
            _logger.warning(
                "The policy between locations does not allow it, so the host leaves it out",
                extra={
                    "action": "register",
                    "definition": f"{denial.definition_kind} {denial.definition_name}",
                    "explanation": denial.explanation,
                },
            )
        return response.registered

    async def _keep(self, call: _Call, ttl_s: float) -> None:
        """Ping, tell updates and listen until something ends the session."""
        listening = asyncio.create_task(self._listen(call, ttl_s))
        telling = asyncio.create_task(self._talk(call, ttl_s / _PINGS_PER_LEASE))
        stale = asyncio.create_task(self._link.stale.wait())
        tasks: tuple[asyncio.Task[Any], ...] = (listening, telling, stale)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await services.end_all(tasks)

    async def _listen(self, call: _Call, ttl_s: float) -> None:
        while True:
            try:
                response = await asyncio.wait_for(_next(call), ttl_s)
            except asyncio.TimeoutError as error:
                raise _SessionOverError("The host did not answer within the lease.") from error
            if response.WhichOneof("message") == "superseded":
                self._supersede(response.superseded)

    async def _talk(self, call: _Call, every_s: float) -> None:
        while True:
            if await services.wait_for_event(self._changed, pause_s(time.time(), every_s)):
                self._changed.clear()
                update = mesh_pb2.SessionRequest(update=self._describe().state)
                await asyncio.wait_for(call.write(update), options.DEFAULT_DEADLINE_S)
            ping = mesh_pb2.SessionRequest(ping=mesh_pb2.Ping())
            await asyncio.wait_for(call.write(ping), options.DEFAULT_DEADLINE_S)

    def _supersede(self, superseded: mesh_pb2.Superseded) -> None:
        if self.superseded:
            return
        self.superseded = True
        _logger.warning(
            "Another code server serves the location now; this one drains",
            extra={"action": "supersede", "other_server_id": superseded.server_id},
        )
        self._on_superseded()


def pause_s(now_s: float, every_s: float) -> float:
    """Return how long to wait until the next ping.

    Pings go out when the clock shows a multiple of `every_s`, so that those of many code servers
    reach the host together: it wakes once for all of them, which costs it less than half.

    Args:
        now_s: The time of the day, in seconds since any moment.
        every_s: How often to ping; a pause is a tenth of it at least, and at most a tenth longer.
    """
    left_s = every_s - now_s % every_s
    return left_s if left_s > _TOO_SOON * every_s else left_s + every_s


async def _next(call: _Call) -> mesh_pb2.SessionResponse:
    response = await call.read()
    if not isinstance(response, mesh_pb2.SessionResponse):
        raise _SessionOverError("The host closed the session.")
    return response
