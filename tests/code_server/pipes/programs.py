"""Programs of an environment without Atoll, and the steps that run them.

The programs get a copy of the one module, as users are told to make one, and neither the packages
nor the environment variables of the test.
"""

import contextlib
import logging
import pathlib
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator

import atoll as dg
import atoll_pipes
from atoll._definitions import runs
from atoll._execution import logs

HEADER = """
import sys
sys.path.insert(0, {folder!r})
from atoll_pipes import *
import os
"""


def program(folder: pathlib.Path, text: str, name: str = "program.py") -> list[str]:
    """Write a program beside a copy of the module; return the command that runs it."""
    shutil.copy(atoll_pipes.__file__, folder / "atoll_pipes.py")
    path = folder / name
    path.write_text(HEADER.format(folder=str(folder)) + textwrap.dedent(text))
    return [sys.executable, "-I", "-S", str(path)]


def materialize(run: Callable[[dg.AssetExecutionContext], object], name: str = "thing"):
    """Materialize an asset whose function is `run`; return the result of the run."""

    @dg.asset(name=name)
    def thing(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        return run(context)

    return dg.materialize([thing])


def logged(result) -> list[tuple[int, str]]:
    """Return the levels and texts that a run logged."""
    return [(one.event_specific_data.level, one.message) for one in result.all_log_messages]


class Telling(logging.Handler):
    """Calls a function for each message, in the thread that logs."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one message."""
        self._tell(record.getMessage())


class Context:
    """The least that a step's context is: a log, whose messages go to a function, and a run."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        self.log = logs.to_handler(Telling(tell))
        self.run = runs.Run("job", "run")


@contextlib.contextmanager
def told_of_logs(tell: Callable[[str], None]) -> Iterator[None]:
    """Call a function for each message that any run logs, as soon as it does."""
    logger = logging.getLogger(logs.CONTEXT_LOGGER_NAME)
    handler = Telling(tell)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
