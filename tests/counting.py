"""Counts what code does, for tests of what it costs: counts are the same on a busy machine."""

import collections
import sys
import types
from collections.abc import Callable
from typing import Any


def calls_of(function: Callable[[], object]) -> collections.Counter[str]:
    """Run a function and return how often each function was called by it, by qualified name.

    Functions of Python and built-in ones count alike.
    """
    found: collections.Counter[str] = collections.Counter()

    def note(frame: types.FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found[frame.f_code.co_name] += 1
        elif event == "c_call":
            found[f"{argument.__module__}.{argument.__name__}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return found
