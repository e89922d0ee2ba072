"""The runs that ended lately: so that a repeated StartRun never runs user code twice.

A run directory is deleted once the host has everything. A StartRun whose answer was lost may come
again after that; this file remembers what the first answer was, over restarts of the code server.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import logging
import os
import pathlib

_logger = logging.getLogger(__name__)

REMEMBERED_MAX = 5_000


@dataclasses.dataclass(frozen=True)
class EndedRun:
    """A run that ended.

    Attributes:
        run_id: The run.
        attempt: The attempt that was accepted.
        build_id: The build that ran it.
    """

    run_id: str
    attempt: int
    build_id: str


class EndedRuns:
    """Remembers the runs that ended last.

    Args:
        path: The file; it is made anew where it is missing.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._runs: collections.OrderedDict[str, EndedRun] = collections.OrderedDict()
        self._lines = 0
        for line in self._read():
            self._remember(line)
        self._rewrite()

    def find(self, run_id: str) -> EndedRun | None:
        """Return a run that ended; None when it is not remembered."""
        return self._runs.get(run_id)

    def add(self, run: EndedRun) -> None:
        """Remember a run. It is in the file when this returns.

        Raises:
            OSError: The file cannot be written.
        """
        self._runs[run.run_id] = run
        self._runs.move_to_end(run.run_id)
        while len(self._runs) > REMEMBERED_MAX:
            self._runs.popitem(last=False)
        if self._lines >= 2 * REMEMBERED_MAX:
            self._rewrite()
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(run))
        self._lines += 1

    def _read(self) -> list[str]:
        if not self._path.exists():
            return []
        return self._path.read_text(encoding="utf-8", errors="replace").splitlines()

    def _remember(self, line: str) -> None:
        try:
            run = EndedRun(**json.loads(line))
        except (ValueError, TypeError):
            # The last line may be cut where the code server died.
            _logger.warning(
                "A line of the ended runs is unreadable",
                extra={"action": "read_ended_runs", "path": str(self._path)},
            )
            return
        self._runs[run.run_id] = run
        while len(self._runs) > REMEMBERED_MAX:
            self._runs.popitem(last=False)

    def _rewrite(self) -> None:
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        temporary.write_text("".join(map(_line, self._runs.values())), encoding="utf-8")
        temporary.replace(self._path)
        self._lines = len(self._runs)


def _line(run: EndedRun) -> str:
    return json.dumps(dataclasses.asdict(run)) + "\n"
