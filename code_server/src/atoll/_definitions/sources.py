"""Where definitions stand in the user's code.

Called by everything that a user defines. Reads positions only, never source text.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

_OWN_FOLDER = __file__.rpartition("_definitions")[0]


@dataclasses.dataclass(frozen=True)
class SourcePosition:
    """A line of the user's code.

    Attributes:
        file: The file.
        line: The line, from 1.
    """

    file: str
    line: int


def of_function(function: Callable[..., Any]) -> SourcePosition | None:
    """Tell where a function is defined, None for what has no code of its own."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return SourcePosition(code.co_filename, code.co_firstlineno) if code is not None else None


def of_caller() -> SourcePosition | None:
    """Tell which line outside Atoll led here."""
    frame = inspect.currentframe()
    while frame is not None:
        filename = frame.f_code.co_filename
        # Generated constructors of dataclasses have names such as "<string>".
        if not filename.startswith((_OWN_FOLDER, "<")):
            return SourcePosition(filename, frame.f_lineno)
        frame = frame.f_back
    return None
