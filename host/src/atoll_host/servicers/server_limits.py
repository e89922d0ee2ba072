"""ServerService: the limits and features of a host, for everyone."""

import dataclasses

from atoll._rpc import options
from atoll.api.v1 import server_pb2, server_pb2_grpc
from atoll_host.api import pages, slices
from atoll_host.instance import dynamic_partitions
from atoll_host.servicers import contexts

REQUEST_ID_TTL_S = 24 * 3600
"""As long as storage keeps what it answered."""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What differs from host to host.

    Attributes:
        version: The version of the distribution.
        features: Named abilities.
        active_runs_max: How many runs may be active at once; None where nothing limits them.
    """

    version: str
    features: tuple[str, ...]
    active_runs_max: int | None


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """Tells limits."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    async def GetLimits(
        self, request: server_pb2.GetLimitsRequest, context: contexts.Context
    ) -> server_pb2.GetLimitsResponse:
        """Return the limits and features of this host."""
        limits = server_pb2.GetLimitsResponse(
            version=self._facts.version,
            features=self._facts.features,
            message_bytes_max=options.MESSAGE_BYTES_MAX,
            page_size_default=pages.SIZE_DEFAULT,
            page_size_max=pages.SIZE_MAX,
            graph_page_size_max=slices.PAGE_SIZE_MAX,
            active_runs_max=self._facts.active_runs_max,
            partition_keys_max=dynamic_partitions.KEYS_MAX,
        )
        limits.deadline_default.FromMilliseconds(round(options.SERVER_DEADLINE_S * 1000))
        limits.request_id_ttl.FromSeconds(REQUEST_ID_TTL_S)
        return limits
