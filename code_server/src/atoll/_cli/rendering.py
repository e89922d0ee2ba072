"""Text for people: tables that fit a terminal, times, durations and colours.

Every client command and ``atoll dev`` print through this module, so that a status, a duration or an
asset key looks the same everywhere. It knows nothing of protobuf messages, of the network or of
click; what it takes are strings, numbers and datetimes, what it gives are strings. Programs read
``--json`` instead.
"""

import dataclasses
import datetime as dt
import os
import re
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal, TextIO

ELLIPSIS = "…"
NOTHING = "-"
# Below this a terminal is not believed: some report 0 or 1 columns when nothing is attached.
WIDTH_MIN = 40
# Where no terminal is attached (a pipe, a file) nothing is cut off: whoever reads it wants the
# whole.
WIDTH_UNLIMITED = 1_000_000
COLUMN_GAP = "  "
# A column that may shrink is never made narrower than this, or it would say nothing any more.
SHRUNK_WIDTH_MIN = 8

Colour = Literal["red", "green", "yellow", "blue", "magenta", "cyan", "bold", "dim"]

_CODES: Mapping[Colour, str] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}
# Everything that moves a terminal's cursor or changes its state: what user code writes must not.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Unit, how many of them a second has, the value that would round to more digits, digits shown.
_SMALL_UNITS = (
    ("ms", 1000, 0.05, 0),
    ("ms", 1000, 9.95, 1),
    ("ms", 1000, 999.5, 0),
    ("s", 1, 9.995, 2),
    ("s", 1, 59.5, 1),
)
_LARGE_UNITS = (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1))

_STATUS_COLOURS: Mapping[str, Colour] = {
    "SUCCESS": "green",
    "PASS": "green",
    "PASSED": "green",
    "DELIVERED": "green",
    "SERVING": "green",
    "RUNNING": "green",
    "STARTED": "blue",
    "STARTING": "blue",
    "QUEUED": "cyan",
    "SKIPPED": "dim",
    "STOPPED": "dim",
    "CANCELING": "yellow",
    "CANCELED": "yellow",
    "UNREACHABLE": "yellow",
    "FAILURE": "red",
    "FAILED": "red",
    "FAIL": "red",
    "DEAD": "red",
    "WAITING": "cyan",
    "WARN": "yellow",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "red",
    "MATERIALIZED": "green",
    "FRESH": "green",
    "STALE": "yellow",
    "MISSING": "dim",
    "IN_PROGRESS": "blue",
}


@dataclasses.dataclass(frozen=True)
class Terminal:
    """What is known of the place that text is printed to."""

    width: int = WIDTH_UNLIMITED
    coloured: bool = False

    def paint(self, text: str, *colours: Colour) -> str:
        """Return the text in these colours, or as it is where colours are not wanted."""
        if not self.coloured or not colours or not text:
            return text
        return f"\x1b[{';'.join(_CODES[colour] for colour in colours)}m{text}\x1b[0m"

    def status(self, status: str) -> str:
        """Return a status in the colour that it has everywhere."""
        colour = _STATUS_COLOURS.get(status)
        return self.paint(status, colour) if colour else status


def terminal_of(stream: TextIO, environment: Mapping[str, str] | None = None) -> Terminal:
    """Return what is known of a stream.

    Colours are on terminals that know them. NO_COLOR is against them whatever else is said;
    FORCE_COLOR and CLICOLOR_FORCE have them anywhere, CLICOLOR=0 nowhere.

    Args:
        stream: Where the text will be written.
        environment: The environment variables; None means those of the process.
    """
    variables = os.environ if environment is None else environment
    is_terminal = stream.isatty()
    coloured = _coloured(variables, is_terminal=is_terminal)
    if not is_terminal:
        return Terminal(coloured=coloured)
    columns = shutil.get_terminal_size((100, 24)).columns
    return Terminal(width=max(columns, WIDTH_MIN), coloured=coloured)


def _coloured(variables: Mapping[str, str], *, is_terminal: bool) -> bool:
    if variables.get("NO_COLOR"):
        return False
    if any(variables.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if variables.get("CLICOLOR") == "0":
        return False
    return is_terminal and variables.get("TERM") != "dumb"


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: What stands above it.
        align: Where its cells are aligned.
        shrinks: Whether it may give way where the table is wider than the terminal.
        names: Whether its cells name what a row is about: it gives way last, and not in vain.
        colour: The colour of its cells.
        is_status: Whether its cells are statuses, with the colours that these have everywhere.
    """

    title: str
    align: Literal["left", "right"] = "left"
    shrinks: bool = False
    names: bool = False
    colour: Colour | None = None
    is_status: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], terminal: Terminal) -> str:
    """Lay rows out in aligned columns no wider than the terminal.

    Columns that may shrink give way, the widest first; what does not fit them ends in an ellipsis.
    A cell is one
    line: line ends and control characters in it become spaces.

    Args:
        columns: The columns, from the left.
        rows: The cells, one sequence for each row, as many as there are columns.
        terminal: Where the table will be printed.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = _widths(columns, cells, terminal.width)
    titles = [
        terminal.paint(_pad(column.title, width, column.align), "bold")
        for column, width in zip(columns, widths, strict=True)
    ]
    lines = [COLUMN_GAP.join(titles).rstrip()]
    for row in cells:
        parts = [
            _painted(column, _pad(cell, width, column.align), cell, terminal)
            for column, width, cell in zip(columns, widths, row, strict=True)
        ]
        lines.append(COLUMN_GAP.join(parts).rstrip())
    return "\n".join(lines)


def fields(pairs: Sequence[tuple[str, str]], terminal: Terminal, *, indent: str = "") -> str:
    """Lay named values out one a line, aligned; pairs with an empty value are left out.

    The first one says what it is all about, and is bold; statuses have their colours.
    """
    shown = [(name, value) for name, value in pairs if value]
    if not shown:
        return ""
    width = max(display_width(name) for name, _ in shown)
    lines: list[str] = []
    for name, value in shown:
        first, *rest = printable(value).splitlines() or [""]
        label = terminal.paint(_pad(name, width, "left"), "dim")
        text = terminal.status(first) if lines else terminal.paint(first, "bold")
        lines.append(f"{indent}{label}{COLUMN_GAP}{text}")
        lines.extend(f"{indent}{' ' * width}{COLUMN_GAP}{line}" for line in rest)
    return "\n".join(lines)


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def shortened(text: str, width: int) -> str:
    """Return the text, cut and ended by an ellipsis where it is wider than this."""
    if display_width(text) <= width:
        return text
    kept: list[str] = []
    left = width - 1
    for character in text:
        left -= _character_width(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + ELLIPSIS


def printable(text: str) -> str:
    """Return a text without what would steer the terminal; line ends and tabs stay."""
    return _CONTROL.sub("", text)


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    if text.isprintable():
        return text
    return " ".join(printable(text).split())


def duration(seconds: float | None) -> str:
    """Return a duration as people say it: about three digits below a minute, two units above.

    Args:
        seconds: The duration; None gives the sign for nothing.
    """
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return "-" + duration(-seconds)
    for unit, factor, ceiling, digits in _SMALL_UNITS:
        if seconds * factor < ceiling:
            return f"{seconds * factor:.{digits}f} {unit}"
    whole = round(seconds)
    unit, size, part, part_size = next(each for each in _LARGE_UNITS if whole >= each[1])
    return f"{whole // size} {unit} {whole % size // part_size:02d} {part}"


def moment(when: dt.datetime | None, zone: dt.tzinfo | None = None) -> str:
    """Return a time to the second on the clock of whoever reads it.

    Args:
        when: The time, aware of its zone; None gives the sign for nothing.
        zone: The zone to show it in; None means the local one.
    """
    if when is None:
        return NOTHING
    return f"{when.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def moment_exact(when: dt.datetime | None, zone: dt.tzinfo | None = None) -> str:
    """Return a time to the millisecond with its offset from UTC."""
    if when is None:
        return NOTHING
    local = when.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local:%z}"


def clock_time(when: dt.datetime | None, zone: dt.tzinfo | None = None) -> str:
    """Return the time of day to the millisecond, for lines of a stream."""
    if when is None:
        return NOTHING
    local = when.astimezone(zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun: ``1 run``, ``2 runs``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], width_max: int) -> list[int]:
    widths = [
        max([display_width(column.title), *(display_width(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    excess = sum(widths) + len(COLUMN_GAP) * (len(columns) - 1) - width_max
    lowest = [max(SHRUNK_WIDTH_MIN, display_width(column.title)) for column in columns]
    for names in (False, True):
        floors = [
            min(width, low) if column.shrinks and column.names is names else width
            for column, width, low in zip(columns, widths, lowest, strict=True)
        ]
        if names and excess > sum(widths) - sum(floors):
            break
        excess = _shrink(widths, floors, excess)
    return widths


def _shrink(widths: list[int], floors: Sequence[int], excess: int) -> int:
    """Take from the widths what is too much, the widest first; return what could not be taken."""
    while excess > 0:
        # The widest gives way until it is as wide as the next one, so that short columns stay
        # whole.
        index = max(range(len(widths)), key=lambda i: (widths[i] > floors[i], widths[i]))
        if widths[index] <= floors[index]:
            break
        others = [
            widths[each]
            for each in range(len(widths))
            if each != index and floors[each] < widths[each] < widths[index]
        ]
        step = min(excess, widths[index] - max([floors[index], *others]))
        widths[index] -= max(step, 1)
        excess -= max(step, 1)
    return excess


def _pad(text: str, width: int, align: Literal["left", "right"]) -> str:
    cut = shortened(text, width)
    space = " " * (width - display_width(cut))
    return space + cut if align == "right" else cut + space


def _painted(column: Column, padded: str, cell: str, terminal: Terminal) -> str:
    if column.is_status:
        colour = _STATUS_COLOURS.get(cell)
        return terminal.paint(padded, colour) if colour else padded
    return terminal.paint(padded, column.colour) if column.colour else padded


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("F", "W") else 1
