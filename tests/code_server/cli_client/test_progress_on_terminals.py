"""One line on a terminal while something long is under way, and nothing anywhere else."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll._cli import backfills, progress, waiting
from atoll.api.v1 import backfills_pb2, runs_pb2

BACK = "\r\x1b[2K"
WITHIN_S = 30.0


class Screen(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "as_json", "active"),
    [
        (Screen, "xterm", False, True),
        (Screen, "xterm", True, False),
        (Screen, "dumb", False, False),
        (io.StringIO, "xterm", False, False),
    ],
)
async def test_the_line_is_only_where_it_can_be_read(monkeypatch, stream, term, as_json, active):
    screen = stream()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", term)
    async with progress.line(as_json=as_json) as line:
        line.text = lambda: "half of it\x1b[31m"
        line.show()
        assert line.active is active
        assert ("half of it  0 s" in screen.getvalue()) is active
    written = screen.getvalue()
    assert written.endswith(BACK) if active else not written
    assert "[31m" not in written


async def test_the_line_fits_the_terminal_and_is_not_written_in_vain(monkeypatch):
    screen = Screen()
    monkeypatch.setenv("COLUMNS", "50")
    line = progress.Line(screen, active=True)
    line.text = lambda: "long " * 100
    for _ in range(5):
        line.show()
    assert screen.getvalue().count(BACK) == 1
    assert len(screen.getvalue().removeprefix(BACK)) == 49


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_bar_has_one_length_and_is_full_at_the_end_only(done, total):
    drawn = progress.bar(done, total)
    assert drawn.index("]") == 25
    assert ("-" not in drawn) == (0 < total <= done)


def test_steps_are_counted():
    steps = waiting.Steps(runs_pb2.Run(run_id="0123456789"))
    assert "waits" in steps.text()
    steps.take("run_started", "")
    for kind, key in [
        ("step_started", "a"),
        ("step_started", "b"),
        ("step_succeeded", "a"),
        ("step_up_for_retry", "b"),
        ("step_started", "b"),
        ("step_started", "c"),
        ("step_failed", "c"),
    ]:
        steps.take(kind, key)
    assert steps.text().endswith(": 1 step done, 1 failed, b is under way")


def test_a_backfill_in_one_line():
    counts = backfills_pb2.BackfillCounts(total=4, materialized=1, failed=1, in_progress=2)
    status = backfills_pb2.BACKFILL_STATUS_REQUESTED
    text = waiting.backfill_text(backfills_pb2.Backfill(status=status, counts=counts))
    assert text.endswith("25% of 4 partitions, 2 in progress, 1 failed")


def _in_a_terminal(code: str, **environment: str) -> str:
    """Run some Python in a terminal of its own; return what is seen there."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # as terminals tell that nobody writes any more
            break
        if not read:
            break
        seen += read
    os.close(ours)
    assert process.wait(WITHIN_S) in {0, 1}
    return seen.decode()


@pytest.mark.slow
def test_a_watch_in_a_terminal_is_one_line_and_its_end(say, host):
    counts = {"total": 4, "materialized": 4}
    status = backfills_pb2.BACKFILL_STATUS_COMPLETED_SUCCESS
    host.backfills.coming = [
        backfills_pb2.Backfill(
            backfill_id="b1", status=status, counts=backfills_pb2.BackfillCounts(**counts)
        )
    ] * 2
    address = say.address
    code = (
        "from atoll._cli.main import main\n"
        f"main(['backfills', 'watch', 'b1', '--host', {address!r}], prog_name='atoll')"
    )
    seen = _in_a_terminal(code)
    assert "100% of 4 partitions" in seen
    assert re.sub(r"\x1b\[[0-9;]*[mK]", "", seen).endswith(
        "\rCOMPLETED_SUCCESS 100% of 4: 4 materialized\r\n"
    )
    plain = _in_a_terminal(code, TERM="dumb")
    assert plain == "COMPLETED_SUCCESS 100% of 4: 4 materialized\r\n"


def test_colours_that_are_asked_for_are_in_what_is_piped(say, host, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    host.backfills.backfills = [backfills_pb2.Backfill(backfill_id="b1", status=1)]
    assert "\x1b[" not in say(backfills.backfills, "list").output
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in say(backfills.backfills, "list").output
    assert "\x1b[" not in say(backfills.backfills, "list", "--json").output
