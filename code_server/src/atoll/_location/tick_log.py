"""Collects what a sensor logs and writes during one tick, within bounds.

Made anew for each tick by the evaluator, which hands it to the evaluation as a `logging.Handler`.
How lines get to the host stays outside.
"""

from __future__ import annotations

import logging
import time

from atoll._wire import events, texts, timestamps
from atoll.location.v1 import location_pb2

LINES_MAX = 1000
LINE_CHARACTERS_MAX = 8 * 1024
CHARACTERS_MAX = 256 * 1024

# What a stream of standard output counts as, among what was logged.
_STREAM_LEVELS = {"out": logging.INFO, "err": logging.WARNING}


class TickLog(logging.Handler):
    """The log of one tick."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self._lines: list[location_pb2.LogLine] = []
        self._characters = 0
        self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, as far as there is room.

        Args:
            record: What was logged.
        """
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - user code gave arguments that do not fit its message
            text = f"{record.msg} (its arguments do not fit it)"
        self._keep(record.created, record.levelno, text)

    def keep_output(self, stream: str, text: str) -> None:
        """Keep what was written to a standard stream, line by line.

        Args:
            stream: "out" or "err".
            text: What was written.
        """
        now = time.time()
        for line in text.splitlines():
            self._keep(now, _STREAM_LEVELS[stream], line)

    def lines(self) -> list[location_pb2.LogLine]:
        """Return what was kept, and a note when there was more."""
        if not self._left_out:
            return self._lines
        note = f"{self._left_out} more lines were left out: a tick keeps {LINES_MAX} lines."
        return [*self._lines, _line(time.time(), logging.WARNING, note)]

    def _keep(self, seconds: float, level: int, text: str) -> None:
        if len(self._lines) >= LINES_MAX or self._characters >= CHARACTERS_MAX:
            self._left_out += 1
            return
        line = _line(seconds, level, text)
        self._characters += len(line.message)
        self._lines.append(line)


def _line(seconds: float, level: int, text: str) -> location_pb2.LogLine:
    return location_pb2.LogLine(
        timestamp=timestamps.from_seconds(seconds),
        level=events.level_to_message(level),
        message=texts.bounded(text, LINE_CHARACTERS_MAX),
    )
