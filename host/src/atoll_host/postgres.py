"""Keeps the embedded Postgres of a host running, for as long as the host runs.

Started by `host` before everything else, and stopped after it. A server that is killed is started
again on the same data, at the same address; until then the rest of the host sees storage as away.
"""

import logging
import pathlib

from atoll_host import clock as clocks
from atoll_host import services
from atoll_storage import embedded
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
# A server in good order writes what it holds to disk before it ends.
_STOP_DEADLINE_S = 60.0


class Keeper(services.Loop):
    """The embedded Postgres. See the module."""

    def __init__(self, folder: pathlib.Path, clock: clocks.Clock) -> None:
        """Make a keeper of a server that does not run yet.

        Args:
            folder: The data directory.
            clock: Says when to look.
        """
        super().__init__(
            "postgres",
            stop_deadline_s=_STOP_DEADLINE_S,
            expected=(storage_errors.StorageError,),
        )
        self._folder = folder
        self._clock = clock
        self._server: embedded.EmbeddedPostgres | None = None
        self.url = ""

    async def prepare(self) -> None:
        """Start the server; a data directory that cannot be used ends the start of the host."""
        self._server = await embedded.EmbeddedPostgres.start(self._folder)
        self.url = self._server.url

    async def run(self) -> None:
        """Start the server again whenever it is gone."""
        while True:
            if self._server is None:
                self._server = await embedded.EmbeddedPostgres.start(self._folder)
            await self._clock.sleep(_LOOK_EVERY_S)
            if self._server.is_running:
                continue
            _log.warning(
                "the embedded Postgres ended and is started again",
                extra={"action": "postgres_restarted", "pid": self._server.pid},
            )
            ended, self._server = self._server, None
            await ended.stop()

    async def clean_up(self) -> None:
        """Stop the server in good order."""
        if self._server is not None:
            await self._server.stop()
