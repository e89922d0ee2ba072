"""Paths on any file system: those of `universal-pathlib` where it is installed, else local ones.

Called by IO managers that keep values by path. The library is the extra `atoll[upath]`, imported
only here and only when a path is made.
"""

import functools
import importlib
import pathlib
from typing import Any

from atoll import errors


def path_of(given: Any) -> Any:
    """Return a path for what a user gave as one.

    Args:
        given: A path of `universal-pathlib` or `pathlib`, which is returned as it is, or the text
            of one, such as `memory://values` or `/data`.

    Raises:
        InvalidDefinitionError: It is a remote path and `universal-pathlib` is not installed.
    """
    if not isinstance(given, str):
        return given if hasattr(given, "joinpath") else pathlib.Path(given)
    kind = _universal()
    if kind is not None:
        return kind(given)
    if "://" in given and not given.startswith("file://"):
        raise errors.InvalidDefinitionError(
            f"The path {given!r} needs universal-pathlib, which is not installed here. Install "
            "atoll[upath] and the library of the file system."
        )
    return pathlib.Path(given.removeprefix("file://"))


@functools.cache
def _universal() -> Any:
    try:
        return importlib.import_module("upath").UPath
    except ModuleNotFoundError:
        return None
