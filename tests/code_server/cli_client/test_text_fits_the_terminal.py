import datetime as dt
import io

import pytest

from atoll._cli import rendering

COLUMNS = (
    rendering.Column("NAME"),
    rendering.Column("COUNT", align="right"),
    rendering.Column("WHY", shrinks=True),
)


def widths(text: str) -> list[int]:
    return [rendering.display_width(line) for line in text.splitlines()]


def test_columns_are_aligned():
    text = rendering.table(COLUMNS, [["a", "1", "x"], ["long", "100", "y"]], rendering.Terminal())
    assert text == "NAME  COUNT  WHY\na         1  x\nlong    100  y"


def test_only_columns_that_may_shrink_give_way():
    rows = [["a" * 20, "1", "reason " * 30]]
    text = rendering.table(COLUMNS, rows, rendering.Terminal(width=60))
    assert max(widths(text)) == 60
    assert "a" * 20 in text
    assert text.endswith("…")


def test_wide_characters_count_twice():
    rows = [["日本", "1", "語" * 60], ["abcd", "2", "x"]]
    text = rendering.table(COLUMNS, rows, rendering.Terminal(width=50))
    assert max(widths(text)) <= 50
    second, third = text.splitlines()[1:]
    assert second.startswith("日本      1")
    assert third.startswith("abcd      2")


def test_the_widest_column_gives_way_first():
    columns = (rendering.Column("A", shrinks=True), rendering.Column("B", shrinks=True))
    text = rendering.table(columns, [["x" * 60, "y" * 12]], rendering.Terminal(width=40))
    assert "y" * 12 in text


NAMED = (
    rendering.Column("NAME", shrinks=True, names=True),
    rendering.Column("FIXED"),
    rendering.Column("WHY", shrinks=True),
)


def test_what_a_row_is_about_gives_way_last():
    rows = [["n" * 24, "x", "y" * 20]]
    assert "n" * 24 in rendering.table(NAMED, rows, rendering.Terminal(width=50))
    narrow = rendering.table(NAMED, rows, rendering.Terminal(width=40))
    assert max(widths(narrow)) == 40
    assert "n" * 20 in narrow


def test_what_a_row_is_about_is_not_cut_in_vain():
    rows = [["n" * 24, "x" * 40, "y" * 20]]
    assert "n" * 24 in rendering.table(NAMED, rows, rendering.Terminal(width=40))


def test_named_values_have_their_colours():
    text = rendering.fields(
        [("run", "r1"), ("status", "SUCCESS")], rendering.Terminal(coloured=True)
    )
    assert "\x1b[1mr1\x1b[0m" in text
    assert "\x1b[32mSUCCESS\x1b[0m" in text


def test_without_a_terminal_nothing_is_cut():
    text = rendering.table(COLUMNS, [["a", "1", "x" * 500]], rendering.Terminal())
    assert "x" * 500 in text


def test_a_cell_cannot_steer_the_terminal():
    text = rendering.table(COLUMNS, [["\x1b[31mred\x1b[0m", "1", "a\nb\x07"]], rendering.Terminal())
    assert "\x1b" not in text
    assert text.splitlines()[1] == "red       1  a b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (0.0042, "4.2 ms"),
        (0.00999, "10 ms"),
        (0.9996, "1.00 s"),
        (1.234, "1.23 s"),
        (59.4, "59.4 s"),
        (59.7, "1 min 00 s"),
        (3599.9, "1 h 00 min"),
        (3660, "1 h 01 min"),
        (90_000, "1 d 01 h"),
        (-1.5, "-1.50 s"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert rendering.duration(seconds) == text


def test_times_are_shown_on_the_clock_of_the_reader():
    when = dt.datetime(2026, 1, 2, 23, 30, 0, 250_000, tzinfo=dt.UTC)
    zone = dt.timezone(dt.timedelta(hours=2))
    assert rendering.moment(when, zone) == "2026-01-03 01:30:00"
    assert rendering.moment_exact(when, zone) == "2026-01-03 01:30:00.250 +0200"
    assert rendering.clock_time(when, zone) == "01:30:00.250"


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_only_on_a_terminal_and_never_against_no_color():
    assert rendering.terminal_of(FakeTerminal(), {"TERM": "xterm"}).coloured
    assert not rendering.terminal_of(FakeTerminal(), {"NO_COLOR": "1"}).coloured
    assert not rendering.terminal_of(FakeTerminal(), {"TERM": "dumb"}).coloured
    assert not rendering.terminal_of(io.StringIO(), {"TERM": "xterm"}).coloured


def test_colours_do_not_disturb_the_columns():
    columns = (rendering.Column("S", is_status=True), rendering.Column("N"))
    plain = rendering.table(columns, [["SUCCESS", "x"]], rendering.Terminal())
    coloured = rendering.table(columns, [["SUCCESS", "x"]], rendering.Terminal(coloured=True))
    assert "\x1b[32mSUCCESS\x1b[0m" in coloured
    assert rendering.printable(coloured) == plain


def test_fields_leave_out_what_is_empty():
    text = rendering.fields([("a", "1"), ("none", ""), ("long", "x\ny")], rendering.Terminal())
    assert text == "a     1\nlong  x\n      y"


class _Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("variables", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0"}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colours_are_where_they_are_wanted(variables, on_terminal, elsewhere):
    assert rendering.terminal_of(_Stream(terminal=True), variables).coloured is on_terminal
    piped = rendering.terminal_of(_Stream(terminal=False), variables)
    assert piped.coloured is elsewhere
    assert piped.width == rendering.WIDTH_UNLIMITED
