"""How far long work is: one line on a terminal that is written anew as things change.

It goes to standard error, so that what is printed can be piped, and only where that is a terminal
that can go back in a line; never beside ``--json``. Used by the commands that wait.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final, TextIO

from atoll._cli import rendering

_MINUTE_S: Final = 60
_EVERY_S: Final = 1.0
_BAR_WIDTH: Final = 24
_BACK: Final = "\r\x1b[2K"


class Line:
    """The line. What it says is asked for every second, for the time that has passed."""

    def __init__(self, stream: TextIO, *, active: bool) -> None:
        self._stream = stream
        self._terminal = rendering.terminal_of(stream)
        self._began = time.monotonic()
        self._shown = ""
        self.active = active
        self.text: Callable[[], str] = lambda: ""

    def show(self) -> None:
        """Write the line anew."""
        text = rendering.one_line(self.text()) if self.active else ""
        if not text:
            return
        passed = int(time.monotonic() - self._began)
        time_text = f"{passed} s" if passed < _MINUTE_S else rendering.duration(passed)
        said = rendering.shortened(text, self._terminal.width - len(time_text) - 3)
        line = f"{said}  {time_text}"
        if line != self._shown:
            self._write(f"{_BACK}{line}")
            self._shown = line

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        if self._shown:
            self._write(_BACK)
            self._shown = ""

    def _write(self, text: str) -> None:
        # Whoever has closed the terminal does not want to know.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


@contextlib.asynccontextmanager
async def line(*, as_json: bool) -> AsyncGenerator[Line, None]:
    """Show a line inside the block, where there is a terminal for it.

    Args:
        as_json: Whether the command speaks to programs: then there is none.
    """
    stream = sys.stderr
    able = stream.isatty() and os.environ.get("TERM") != "dumb"
    made = Line(stream, active=able and not as_json)
    ticking = asyncio.ensure_future(_tick(made)) if made.active else None
    try:
        yield made
    finally:
        if ticking is not None:
            ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticking
        made.clear()


async def _tick(made: Line) -> None:
    while True:
        made.show()
        await asyncio.sleep(_EVERY_S)


def bar(done: int, total: int) -> str:
    """Return how much is done, drawn: ``[######------] 50%``. Pure."""
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    filled = int(share * _BAR_WIDTH)
    return f"[{'#' * filled}{'-' * (_BAR_WIDTH - filled)}] {int(share * 100)}%"
