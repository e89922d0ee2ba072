"""Draining: new runs are refused, what runs goes on, and then the code server ends.

Begun by the Drain call, or when another code server took the location's name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from atoll._server import runs

_logger = logging.getLogger(__name__)

# Whoever asked for it gets the answer before the server is gone.
_AFTER_LAST_S = 0.25


class Drain:
    """Drains one code server.

    Args:
        held_runs: The runs.
        on_change: Called when draining begins.
    """

    def __init__(self, held_runs: runs.Runs, on_change: Callable[[], None]) -> None:
        self.over = asyncio.Event()
        self._runs = held_runs
        self._on_change = on_change
        held_runs.on_empty(self._look)

    def begin(self) -> None:
        """Drain from now on. Repeating changes nothing."""
        if self._runs.draining:
            return
        self._runs.draining = True
        _logger.info("Draining", extra={"action": "drain", "live_runs": self._runs.live_count})
        self._on_change()
        self._look()

    def _look(self) -> None:
        if self._runs.draining and self._runs.empty:
            asyncio.get_running_loop().call_later(_AFTER_LAST_S, self.over.set)
