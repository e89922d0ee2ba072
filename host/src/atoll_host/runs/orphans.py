"""Tells which code servers have been away for so long that their runs are given up. Pure.

Called by `watching` with what it sees at each look. Only time that was watched counts: a host that
could not see (its database was away, it slept, it has just started) knows nothing about the
servers, so its clocks begin anew.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

ServerKey = tuple[str, str]
"""A location and the id of a code server of it."""


class AbsenceWatch:
    """Measures for how long each code server has been seen away, without a gap."""

    def __init__(self, *, timeout_s: float, gap_max_s: float) -> None:
        """Begin with nothing seen.

        Args:
            timeout_s: How long a server may be away.
            gap_max_s: A longer time between two looks makes all that was measured count for
                nothing.
        """
        self._timeout_s = timeout_s
        self._gap_max_s = gap_max_s
        self._away_since: dict[ServerKey, float] = {}
        self._looked_at: float | None = None

    def look(
        self, bound: Iterable[ServerKey], alive: AbstractSet[ServerKey], now: float
    ) -> set[ServerKey]:
        """Take note of what is seen now.

        Args:
            bound: The servers that runs are bound to.
            alive: The servers that have a lease.
            now: The time.

        Returns:
            Those of `bound` that have been away for too long.
        """
        if self._looked_at is not None and now - self._looked_at > self._gap_max_s:
            self._away_since.clear()
        self._looked_at = now
        away = {key for key in bound if key not in alive}
        self._away_since = {key: self._away_since.get(key, now) for key in away}
        return {key for key, since in self._away_since.items() if now - since >= self._timeout_s}
