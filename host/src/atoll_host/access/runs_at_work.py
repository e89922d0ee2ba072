"""Gives code servers credentials for their runs, and tells by one on behalf of which run they call.

Called by `runs.launching` with each hand-over, by the mesh servicer where a code server renews, and
by `engine` with each call that shows one. A credential counts as long as it says, and only while
the run is live, in the attempt that it was made for. That is read for each credential, then known
for `KNOWN_S`.
"""

import collections
import dataclasses

from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import credentials_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers, run_credentials
from atoll_storage import errors as storage_errors
from atoll_storage import location_store, records, run_store

KNOWN_S = 2.0
"""So long a run counts as live that was just seen to be."""

RUNS_MAX = 1000
_KNOWN_MAX = 10_000
_LIVE = frozenset(
    {records.RunStatus.STARTING, records.RunStatus.STARTED, records.RunStatus.CANCELING}
)


class RunsAtWork:
    """Makes and checks credentials of runs."""

    def __init__(
        self,
        key: bytes,
        runs: run_store.RunStore,
        servers: location_store.LocationStore,
        clock: clocks.Clock,
    ) -> None:
        """Make one.

        Args:
            key: What the hosts of the mesh sign with.
            runs: Tells which runs are live.
            servers: Tells which session of a code server is the newest.
            clock: Tells what is over.
        """
        self._key = key
        self._runs = runs
        self._servers = servers
        self._clock = clock
        self._known: collections.OrderedDict[run_credentials.Claims, float] = (
            collections.OrderedDict()
        )

    def credential(self, run: records.RunRecord) -> location_pb2.RunCredential:
        """Return a credential for a run that is being handed over, or was."""
        claims = run_credentials.Claims(
            run.run_id,
            run.attempt,
            run.location_name,
            int(self._clock.now().timestamp()) + run_credentials.LIFETIME_S,
        )
        given = location_pb2.RunCredential(
            run_id=run.run_id, credential=run_credentials.sign(self._key, claims)
        )
        given.lifetime.FromSeconds(run_credentials.LIFETIME_S)
        return given

    async def renewed(
        self, request: credentials_pb2.RenewRunCredentialsRequest
    ) -> list[location_pb2.RunCredential]:
        """Return a credential for each run that is live and bound to a code server.

        Raises:
            errors.InvalidRequest: There are too many.
            atoll_storage.errors.StaleEpoch: The session of the code server was replaced.
        """
        name, server_id = request.location_name, request.server_id
        server = await self._servers.server(name, server_id)
        epoch = 0 if server is None else server.epoch
        if not epoch or request.epoch != epoch:
            raise storage_errors.StaleEpoch(name, server_id, request.epoch, epoch)
        wanted = list(dict.fromkeys(request.run_ids))
        if len(wanted) > RUNS_MAX:
            raise errors.InvalidRequest(
                f"{len(wanted)} runs are named; {RUNS_MAX} are the most. Ask several times.",
                field="run_ids",
            )
        found = [await self._runs.get(run_id) for run_id in wanted]
        return [
            self.credential(run)
            for run in found
            if run is not None
            and run.status in _LIVE
            and (run.location_name, run.server_id) == (name, server_id)
        ]

    async def on_behalf(self, caller: callers.Caller, text: str) -> callers.Caller:
        """Return a caller who shows the credential of a run.

        Raises:
            errors.RunCredentialInvalid: It is none, or does not count any more.
        """
        claims = run_credentials.read(self._key, text)
        if claims is None or claims.expires_at <= self._clock.now().timestamp():
            raise errors.RunCredentialInvalid
        # Who asks nobody for credentials does not know which location calls.
        of_caller = caller.location_name or claims.location_name
        may_have_one = caller.location_name or caller.kind is callers.Kind.LOCAL
        if not may_have_one or claims.location_name != of_caller:
            raise errors.RunCredentialInvalid
        await self._check_live(claims)
        return dataclasses.replace(caller, run_id=claims.run_id)

    async def _check_live(self, claims: run_credentials.Claims) -> None:
        now = self._clock.monotonic()
        if now - self._known.get(claims, float("-inf")) < KNOWN_S:
            return
        run = await self._runs.get(claims.run_id)
        said = claims.attempt, claims.location_name
        if run is None or run.status not in _LIVE or (run.attempt, run.location_name) != said:
            self._known.pop(claims, None)
            raise errors.RunCredentialInvalid
        self._known[claims] = now
        self._known.move_to_end(claims)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
