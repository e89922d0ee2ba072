"""By what the code server shows on behalf of which run it asks the host.

The host gives one with each run that it hands over. They are short-lived and in the memory of this
process only: a worker asks through its socket, and never sees one. This service renews them while
their runs go on, and gets new ones for the runs that a new start has adopted. A host of an older
release gives none; questions of runs then go without, as those of ticks do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Sequence

import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll._rpc import options
from atoll._server import host_link, services
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import credentials_pb2

_logger = logging.getLogger(__name__)

HEADER = "atoll-run-credential"
HOST_FEATURE = "run_credentials"
"""What a host that gives credentials names among its features."""

_LOOK_EVERY_S = 15.0
_AT_ONCE_MAX = 500


@dataclasses.dataclass(frozen=True)
class _Held:
    credential: str = dataclasses.field(repr=False)
    renew_at_s: float


class RunCredentials(services.LoopService):
    """Keeps credentials of runs.

    Args:
        link: The connection to the host.
        live_runs: Returns the ids of the runs that go on.
    """

    def __init__(self, link: host_link.HostLink, live_runs: Callable[[], Iterable[str]]) -> None:
        super().__init__("run credentials")
        self._link = link
        self._live_runs = live_runs
        self._held: dict[str, _Held] = {}

    def metadata(self, run_id: str) -> tuple[tuple[str, str], ...]:
        """Return what goes with a call on behalf of a run; nothing where there is no credential."""
        held = self._held.get(run_id)
        return () if held is None else ((HEADER, held.credential),)

    def keep(self, given: location_pb2.RunCredential) -> None:
        """Take a credential of the host; one without a run says that it gives none."""
        if given.run_id and given.credential:
            half_s = given.lifetime.ToTimedelta().total_seconds() / 2
            self._held[given.run_id] = _Held(given.credential, time.monotonic() + half_s)

    async def renew(self, run_ids: Sequence[str]) -> None:
        """Ask the host for new ones; those that it does not give are gone.

        Raises:
            grpc.aio.AioRpcError: The host did not answer, or refused.
        """
        request = credentials_pb2.RenewRunCredentialsRequest(
            location_name=self._link.location_name,
            server_id=self._link.server_id,
            epoch=self._link.epoch,
            run_ids=run_ids,
        )
        answer = await self._link.mesh.RenewRunCredentials(
            request, timeout=options.DEFAULT_DEADLINE_S
        )
        for run_id in run_ids:
            self._held.pop(run_id, None)
        for given in answer.credentials:
            self.keep(given)

    async def run(self) -> None:
        """Renew what is due, again and again."""
        self.started.set()
        while True:
            await self._link.registered()
            try:
                await self._renew_due()
            except grpc.aio.AioRpcError as error:
                # Most likely the session is over as well; it is tried again after the next look.
                _logger.info(
                    "Credentials of runs are not renewed yet",
                    extra={
                        "action": "renew_run_credentials",
                        "problem": rpc_errors.from_call(error, peer=self._link.address).message,
                    },
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _renew_due(self) -> None:
        live = set(self._live_runs())
        for run_id in self._held.keys() - live:
            del self._held[run_id]
        if HOST_FEATURE not in self._link.features:
            return
        now = time.monotonic()
        due = sorted(
            run_id
            for run_id in live
            if (held := self._held.get(run_id)) is None or held.renew_at_s <= now
        )
        for start in range(0, len(due), _AT_ONCE_MAX):
            await self.renew(due[start : start + _AT_ONCE_MAX])
