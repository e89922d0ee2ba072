"""What a step writes, by whatever means, is kept with the step."""

# ruff: noqa: T201 - printing is what is captured here

import ctypes
import logging
import os
import subprocess
import sys

import pytest

from atoll._location import capture, run_directory
from atoll.location.v1 import location_pb2


@pytest.fixture
def directory(tmp_path):
    found = run_directory.run_directory(tmp_path, "run")
    found.accept(location_pb2.RunPlan(run_id="run"), "b")
    return found


def _in_child(directory, body) -> None:
    """Run the body in a fork: it points the standard streams of its process elsewhere."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            steps = capture.StepCapture(directory)
            steps.begin()
            body(steps)
            steps.end()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _kept(directory) -> dict[tuple[str, str], str]:
    return {
        (one.step_key, one.stream): one.path.read_text()
        for one in directory.captured_outputs()
        if one.path.stat().st_size
    }


def test_each_step_keeps_its_own_output(directory):
    def body(steps):
        print("before")
        with steps.step("a"):
            print("in a")
            print("error in a", file=sys.stderr)
        print("between")
        with steps.step("b"):
            print("in b")

    _in_child(directory, body)
    assert _kept(directory) == {
        ("", "out"): "before\nbetween\n",
        ("a", "out"): "in a\n",
        ("a", "err"): "error in a\n",
        ("b", "out"): "in b\n",
    }


def test_c_code_and_children_are_captured_too(directory):
    def body(steps):
        with steps.step("a"):
            ctypes.CDLL(None).puts(b"from C")
            subprocess.run(["/bin/sh", "-c", "echo from a child; echo err >&2"], check=True)
            os.write(1, b"raw\n")
            logging.StreamHandler(sys.stderr).emit(logging.makeLogRecord({"msg": "logged"}))

    _in_child(directory, body)
    kept = _kept(directory)
    assert sorted(kept["a", "out"].split("\n")) == ["", "from C", "from a child", "raw"]
    assert kept["a", "err"] == "err\nlogged\n"


def test_a_step_that_raises_still_gives_the_streams_back(directory):
    def body(steps):
        try:
            with steps.step("a"):
                print("in a")
                int("no number")
        except ValueError:
            print("after")

    _in_child(directory, body)
    assert _kept(directory) == {("a", "out"): "in a\n", ("", "out"): "after\n"}


def test_a_flood_is_cut_with_a_note(directory, monkeypatch):
    monkeypatch.setattr(capture, "STREAM_BYTES_MAX", 1000)

    def body(steps):
        with steps.step("a"):
            print("x" * 5000)

    _in_child(directory, body)
    kept = _kept(directory)["a", "out"].encode()
    assert kept == b"x" * 1000 + capture.CUT_NOTE


def test_a_writer_that_goes_on_is_cut_again_behind_the_note(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "STREAM_BYTES_MAX", 10)
    path = tmp_path / "a.out"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(3):
        os.write(descriptor, b"y" * 500)
        capture.enforce_bound(path)
        assert path.read_bytes() == b"y" * 10 + capture.CUT_NOTE
    os.close(descriptor)


def test_streams_that_user_code_closed_do_not_end_the_run(directory):
    def body(steps):
        with steps.step("a"):
            sys.stdout.close()
            sys.stderr = None
        os.write(1, b"still here\n")

    _in_child(directory, body)
    assert _kept(directory) == {("", "out"): "still here\n"}


def test_the_tail_begins_at_a_line(tmp_path):
    path = tmp_path / "x"
    path.write_text("first line\nsecond\nthird\n")
    assert capture.tail(path, 15) == "second\nthird"
    assert capture.tail(path, 1000) == "first line\nsecond\nthird"
    assert capture.tail(tmp_path / "missing", 10) == ""
