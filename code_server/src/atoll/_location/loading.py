"""Imports the user's module, file or package, once, in the process that holds it.

Called by the definitions process and by processes that are spawned. Puts the working directory on
`sys.path` and makes it the current one, as running the code by hand would. Whatever the import
raises becomes a `Failure`: also SystemExit and KeyboardInterrupt, which a module may raise and
which must not end the process without a word. What the module defines is found out elsewhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib
import sys
import types
from collections.abc import Callable

from atoll import errors as public_errors
from atoll._definitions import definitions as definitions_module
from atoll._definitions import discovery
from atoll._definitions.loading import modules
from atoll._location import errors, launch
from atoll._wire import failures
from atoll.definitions.v1 import values_pb2

_FILE_MODULE_PREFIX = "atoll_location_"

Load = Callable[[], definitions_module.Definitions]
"""Gives the definitions: at once in a fork, by importing them anew in a spawned process."""


class LoadError(Exception):
    """The user's code could not be loaded.

    Attributes:
        failure: Why, as data.
    """

    def __init__(self, failure: values_pb2.Failure) -> None:
        super().__init__(failures.summary(failure))
        self.failure = failure


def load_definitions(target: launch.Target) -> definitions_module.Definitions:
    """Import the user's code and return everything it defines.

    Args:
        target: Where the code is.

    Raises:
        LoadError: The import failed, or what it defines does not fit together.
    """
    try:
        definitions = discovery.definitions_in(load_module(target))
        definitions.validate_loadable()
    except BaseException as error:  # the boundary to user code; nothing of it may end this process
        raise LoadError(failure_of(target, error)) from error
    return definitions


def load_module(target: launch.Target) -> types.ModuleType:
    """Import the module, file or package. What user code raises passes through.

    Args:
        target: Where the code is.

    Raises:
        LoadTargetError: It cannot be found.
    """
    _enter(target)
    if target.kind is launch.TargetKind.FILE:
        return _load_file(pathlib.Path(target.value))
    module = _import_named(target)
    if target.kind is launch.TargetKind.PACKAGE:
        return _with_submodules(module, target.value)
    return module


def _enter(target: launch.Target) -> None:
    try:
        os.chdir(target.working_directory)
    except OSError as error:
        text = (
            f"The working directory {target.working_directory!r} cannot be entered "
            f"({error.strerror}): give an existing directory."
        )
        raise errors.LoadTargetError(text) from error
    _put_on_path(str(pathlib.Path.cwd()))


def _put_on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _import_named(target: launch.Target) -> types.ModuleType:
    try:
        return importlib.import_module(target.value)
    except ModuleNotFoundError as error:
        # A missing import inside the user's code is the user's error and names itself.
        missing = error.name or ""
        if not (target.value == missing or target.value.startswith(f"{missing}.")):
            raise
        text = (
            f"There is no {target.kind.value} {target.value!r}: {missing!r} is neither in the "
            f"working directory {target.working_directory!r} nor installed for {sys.executable}."
        )
        raise errors.LoadTargetError(text) from None


def _with_submodules(package: types.ModuleType, name: str) -> types.ModuleType:
    """Return a module that holds what every part of a package defines.

    A package that holds a Definitions object of its own is complete in itself.
    """
    paths = getattr(package, "__path__", None)
    if paths is None:
        text = f"{name!r} is a module, not a package: serve it as a module."
        raise errors.LoadTargetError(text)
    if discovery.is_complete(package):
        return package
    everything = types.ModuleType(name)
    for part in modules.of_package(package):
        # Under names that cannot clash; what several parts import stays one object.
        vars(everything).update(
            {f"{part.__name__}.{key}": value for key, value in vars(part).items()}
        )
    return everything


def _load_file(path: pathlib.Path) -> types.ModuleType:
    file = path.resolve()
    if not file.is_file():
        text = f"There is no file {str(file)!r}: give the path of a Python file with definitions."
        raise errors.LoadTargetError(text)
    _put_on_path(str(file.parent))
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        text = f"The file {str(file)!r} is no Python source: its name must end in .py."
        raise errors.LoadTargetError(text)
    module = importlib.util.module_from_spec(spec)
    # Known by name while it runs: dataclasses and pydantic look their own module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _module_name(file: pathlib.Path) -> str:
    """Return the name that `import` would use, or another where that one is taken or none."""
    stem = file.stem
    taken = stem in sys.modules or stem in sys.stdlib_module_names
    if stem.isidentifier() and not taken:
        return stem
    return _FILE_MODULE_PREFIX + "".join(
        character if character.isalnum() else "_" for character in stem
    )


def failure_of(target: launch.Target, error: BaseException) -> values_pb2.Failure:
    """Return why loading failed, with what to do about it where that can be told.

    Args:
        target: What was loaded.
        error: What was raised.
    """
    failure = failures.from_exception(error)
    if isinstance(error, SystemExit):
        failure.message = (
            f"The {target.kind.value} {target.value!r} called sys.exit({error.code!r}) while it "
            "was imported: guard what only a script should do with `if __name__ == '__main__':`."
        )
    elif isinstance(error, public_errors.InvalidDefinitionError):
        failure.frames.extend(
            values_pb2.StackFrame(file=problem.file, line=problem.line)
            for problem in error.problems
            if problem.file
        )
    elif isinstance(error, KeyboardInterrupt):
        failure.message = f"The import of the {target.kind.value} {target.value!r} was interrupted."
    return failure
