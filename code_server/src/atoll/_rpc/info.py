"""The handshake: which protocol versions this release speaks, and whether the other side fits.

Every server answers `GetServerInfo`; clients ask it first on every connection. The rule: the newest
version that both sides speak is used, and where there is none the versions of both are named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import grpc
import grpc.aio

from atoll._rpc import errors, options, reasons
from atoll.rpc.v1 import server_info_pb2, server_info_pb2_grpc

PROTOCOL_VERSION = 1
OLDEST_PROTOCOL_VERSION = 1

_KIND_NAMES: dict[int, str] = {
    server_info_pb2.SERVER_KIND_HOST: "host",
    server_info_pb2.SERVER_KIND_CODE_SERVER: "code server",
}


@dataclasses.dataclass(frozen=True)
class ServerFacts:
    """What a server tells about itself.

    Attributes:
        kind: Which part of Atoll it is.
        version: The version of the distribution that serves.
        instance_id: Identifies the process.
        features: Named abilities.
    """

    kind: server_info_pb2.ServerKind.ValueType
    version: str
    instance_id: str
    features: Sequence[str] = ()


class ServerInfoServicer(server_info_pb2_grpc.ServerInfoServiceServicer):
    """Answers the handshake."""

    def __init__(self, facts: ServerFacts) -> None:
        self._response = server_info_pb2.GetServerInfoResponse(
            kind=facts.kind,
            version=facts.version,
            protocol_version=PROTOCOL_VERSION,
            oldest_protocol_version=OLDEST_PROTOCOL_VERSION,
            features=facts.features,
            instance_id=facts.instance_id,
        )

    async def GetServerInfo(  # noqa: N802  # the name of the rpc
        self,
        request: server_info_pb2.GetServerInfoRequest,
        context: grpc.aio.ServicerContext[
            server_info_pb2.GetServerInfoRequest, server_info_pb2.GetServerInfoResponse
        ],
    ) -> server_info_pb2.GetServerInfoResponse:
        """Return the facts of the handshake."""
        return self._response


def agreed_version(newest: int, oldest: int, *, peer: str) -> int:
    """Return the newest protocol version that this release and a peer both speak.

    Args:
        newest: The newest version that the peer speaks.
        oldest: The oldest version that it still speaks.
        peer: Who that is, for the message.

    Raises:
        errors.FailedPreconditionError: There is none.
    """
    agreed = min(newest, PROTOCOL_VERSION)
    if agreed < max(oldest, OLDEST_PROTOCOL_VERSION):
        raise errors.FailedPreconditionError(
            f"The {peer} speaks the protocol versions {oldest} to {newest}, this side "
            f"{OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}. Upgrade the older of the two.",
            reason=reasons.PROTOCOL_INCOMPATIBLE,
            metadata={"newest": str(newest), "oldest": str(oldest)},
        )
    return agreed


async def check_server(
    channel: grpc.aio.Channel,
    *,
    kind: server_info_pb2.ServerKind.ValueType,
    peer: str = "",
    timeout_s: float = options.DEFAULT_DEADLINE_S,
    secured: bool = False,
) -> server_info_pb2.GetServerInfoResponse:
    """Ask a server for the facts of the handshake and refuse one that does not fit.

    Args:
        channel: The connection.
        kind: Which part of Atoll it is to be.
        peer: Its address, for messages.
        timeout_s: How long it may take.
        secured: Whether the channel speaks TLS, for messages.

    Raises:
        errors.RpcError: It does not answer, is another kind of server, or speaks no common
            protocol version.
    """
    stub = cast(
        "server_info_pb2_grpc.ServerInfoServiceAsyncStub",
        server_info_pb2_grpc.ServerInfoServiceStub(channel),
    )
    try:
        facts = await stub.GetServerInfo(server_info_pb2.GetServerInfoRequest(), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise errors.from_call(error, peer=peer, secured=secured) from error
    if facts.kind != kind:
        found = _KIND_NAMES.get(facts.kind, "server of an unknown kind")
        raise errors.FailedPreconditionError(
            f"{peer or 'The address'} is a {found}, not a {_KIND_NAMES.get(kind, kind)}. "
            "Check the address.",
            reason=reasons.WRONG_SERVER,
            metadata={"address": peer},
        )
    agreed_version(
        facts.protocol_version,
        facts.oldest_protocol_version,
        peer=f"{_KIND_NAMES.get(kind, 'server')} {peer}".strip(),
    )
    return facts
