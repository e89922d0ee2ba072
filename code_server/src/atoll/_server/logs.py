"""How a code server logs: to standard error, one line an event, values behind the message.

Called by `atoll serve`. What is logged is decided where it happens.
"""

from __future__ import annotations

import logging
import sys

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "action"}


class _Formatter(logging.Formatter):
    """Puts the values of `extra` behind the message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        line = super().formatMessage(record)
        values = (f"{key}={value}" for key, value in vars(record).items() if key not in _PLAIN)
        text = " ".join(values)
        return f"{line} ({text})" if text else line


def configure(level: str) -> None:
    """Log to standard error from a level on.

    Args:
        level: The name of the level, such as "INFO".

    Raises:
        ValueError: There is no such level.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers[:] = [handler]
