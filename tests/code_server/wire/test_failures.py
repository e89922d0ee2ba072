"""What user code raised reaches people with the place in their own code."""

import linecache

import pytest

from atoll import errors
from atoll._definitions import failures
from atoll._wire import failures as wire


def _raised(function) -> BaseException:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - what a test raises, to look at
        return error
    raise AssertionError


def test_the_frames_are_the_users_with_source():
    def compute():
        return 1 / 0

    failure = wire.from_exception(_raised(compute))
    assert failure.type == "ZeroDivisionError"
    assert failure.message == "division by zero"
    assert failure.frames[-1].file == __file__
    assert failure.frames[-1].function == "compute"
    assert failure.frames[-1].source == "return 1 / 0"
    assert (
        failure.frames[-1].line == linecache.getlines(__file__).index("        return 1 / 0\n") + 1
    )


def test_the_chain_of_causes_is_kept():
    def compute():
        try:
            {}["missing"]
        except KeyError as error:
            raise LookupError("no such row") from error

    failure = wire.from_exception(_raised(compute))
    assert (failure.type, failure.cause.type, failure.cause.message) == (
        "LookupError",
        "KeyError",
        "'missing'",
    )


def test_a_wrapped_exception_of_user_code_stands_first():
    def compute():
        try:
            int("theirs")
        except ValueError as error:
            raise errors.UserCodeExecutionError("the sensor raised") from error

    assert wire.of_user_code(_raised(compute)).type == "ValueError"


def test_a_syntax_error_names_its_line(tmp_path):
    path = tmp_path / "broken.py"
    source = "x = 1\ndef f(:\n"
    failure = wire.from_exception(_raised(lambda: compile(source, str(path), "exec")))
    assert failure.type == "SyntaxError"
    assert (failure.frames[-1].file, failure.frames[-1].line) == (str(path), 2)
    assert failure.frames[-1].source == "def f(:"


def test_a_message_that_cannot_be_made_or_sent_does_not_hide_the_failure():
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "RudeError" in wire.from_exception(RudeError()).type
    assert wire.from_exception(ValueError("\udcff")).message == "?"


def test_sizes_are_bounded():
    def deep(n: int):
        return deep(n + 1)

    assert len(wire.from_exception(_raised(lambda: deep(0))).frames) <= 200
    long = wire.from_exception(ValueError("x" * 10_000_000))
    assert len(long.message) <= wire.MESSAGE_CHARACTERS_MAX


def test_metadata_of_a_failure_travels_along():
    failure = wire.from_exception(failures.Failure("bad rows", {"rows": 3}))
    assert wire.to_info(failure).metadata["rows"].value == 3


def test_a_description_comes_back_as_it_was():
    info = failures.FailureInfo(
        type="T",
        message="m",
        frames=(failures.StackFrame("f.py", 1, "g", "src"),),
        cause=failures.FailureInfo(type="C", message=""),
        last_output="last",
    )
    assert wire.to_info(wire.from_info(info)) == info


@pytest.mark.parametrize(("message", "line"), [("one\ntwo", "T: one"), ("", "T")])
def test_the_summary_is_one_line(message, line):
    assert wire.summary(wire.of_process("T", message)) == line
