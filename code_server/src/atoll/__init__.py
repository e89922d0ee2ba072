"""Atoll: orchestrates data work across teams that do not share an environment.

Everything public is here; modules with a leading underscore are not. Each name is loaded when it is
first asked for: `import atoll` stays light, and loads neither pydantic nor gRPC nor protobuf. Where
each of them is defined stands in `_exports`; what type checkers see, in `__init__.pyi`.
"""

import importlib
import types
from collections.abc import Callable
from typing import Any as Any

from atoll import _exports


def __getattr__(name: str) -> Any:
    """Load a public name that is asked for the first time."""
    module = _exports.MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    # Kept, so that the next access does not come here.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names that are not loaded yet as well."""
    return sorted({*globals(), *_exports.MODULES})


class _Definitions(types.ModuleType):
    """The generated package `atoll.definitions`, whose name is also that of a decorator."""

    def __call__(self, fn: Callable[..., Any]) -> Any:
        """Mark a function that makes the definitions of a module; see `LazyDefinitions`."""
        return importlib.import_module("atoll._definitions.loading.lazy").definitions(fn)


# One name belongs to two things, and importing the package would take it from the decorator. So the
# package itself can be called; it is empty, and its parts are loaded by whoever needs them.
importlib.import_module("atoll.definitions").__class__ = _Definitions
