"""What ``atoll dev`` prints: lines with the name of who speaks, in the colour of that name.

One writer for everything, so that lines of several processes never mix. It neither reads nor
decides.
"""

import sys
from collections.abc import Sequence
from typing import Final, TextIO

from atoll._cli import rendering

ATOLL: Final = "atoll"
HOST: Final = "host"
_COLOURS: Final[tuple[rendering.Colour, ...]] = ("cyan", "magenta", "yellow", "blue", "green")


class Console:
    """Prints lines with prefixes."""

    def __init__(self, names: Sequence[str], stream: TextIO | None = None) -> None:
        """Make a console.

        Args:
            names: The names of the locations, in the order of the project file.
            stream: Where to print; None means standard output.
        """
        self._stream = stream or sys.stdout
        self.terminal = rendering.terminal_of(self._stream)
        self._width = max(len(name) for name in (*names, ATOLL))
        self._colours: dict[str, rendering.Colour] = {
            name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)
        }

    def line(self, name: str, text: str, *colours: rendering.Colour) -> None:
        """Print a line that somebody says."""
        shown = rendering.shortened(name, self._width).ljust(self._width)
        prefix = self.terminal.paint(f"{shown} |", self._colours.get(name, "dim"))
        body = rendering.printable(text).rstrip()
        self.plain(f"{prefix} {self.terminal.paint(body, *colours)}".rstrip())

    def lines(self, name: str, text: str, *colours: rendering.Colour) -> None:
        """Print several lines that somebody says."""
        for line in text.splitlines():
            self.line(name, line, *colours)

    def plain(self, text: str) -> None:
        """Print text that nobody in particular says."""
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError:
            # The reader is gone (a closed pipe, a closed terminal). The stop comes as a signal;
            # until then there is nobody to tell.
            return
