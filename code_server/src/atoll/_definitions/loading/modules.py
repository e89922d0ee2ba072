"""Modules, the modules of packages, and their values.

Called by everything that loads definitions. An import that fails keeps none of the others from
being tried, so that all that is wrong is told at once.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType, TracebackType
from typing import Any

from atoll import errors

_OWN_FOLDER = __file__.rpartition("_definitions")[0]
_MAIN = "__main__"


def listed(given: Iterable[ModuleType]) -> list[ModuleType]:
    """Return modules as a list.

    Args:
        given: The modules.

    Returns:
        The same.

    Raises:
        InvalidDefinitionError: It is one module, or holds something else.
    """
    # Not all users check types.
    whole: Any = given
    if isinstance(whole, (ModuleType, str)):
        raise errors.InvalidDefinitionError(
            f"The modules are a list of imported modules, got {whole!r}. Put it into brackets, or "
            "load it as a package."
        )
    modules = list(given)
    for one in modules:
        if not isinstance(one, ModuleType):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidDefinitionError(
                f"The modules are imported modules, got {one!r}. Import it, or load it by its name "
                "as a package."
            )
    return modules


def values_of(module: ModuleType) -> list[Any]:
    """Return the values of a module in order, lists of values opened, each once."""
    flat: list[Any] = []
    for value in list(vars(module).values()):
        flat += value if isinstance(value, (list, tuple)) else [value]
    return list({id(item): item for item in flat}.values())


def named_values(module: ModuleType, kinds: tuple[type, ...]) -> dict[str, Any]:
    """Return the values of some classes under the first of their names."""
    found: dict[int, tuple[str, Any]] = {}
    for name, value in list(vars(module).items()):
        if isinstance(value, kinds):
            found.setdefault(id(value), (name, value))
    return dict(found.values())


def of_caller() -> ModuleType:
    """Return the module outside Atoll that led here."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith((_OWN_FOLDER, "<")):
        frame = frame.f_back
    if frame is None:
        raise errors.InvalidInvocationError(
            "There is no module that called this. Call it at the top of a module, or name the "
            "module: load_..._from_modules([module])."
        )
    names = frame.f_globals
    module = sys.modules.get(str(names.get("__name__")))
    if module is not None and vars(module) is names:
        return module
    made = ModuleType(str(names.get("__name__")))
    vars(made).update(names)
    return made


def of_package_name(name: str) -> list[ModuleType]:
    """Import a package and every module below it.

    Args:
        name: The package, as in an import.

    Returns:
        The package first, then its modules in order of their names.

    Raises:
        ModuleImportError: Some of them cannot be imported; all of them are told.
        InvalidDefinitionError: It is a module, not a package.
    """
    failures: dict[str, Exception] = {}
    package = _imported(name, failures)
    if package is None:
        raise _complaint(name, failures)
    return of_package(package)


def of_package(package: ModuleType) -> list[ModuleType]:
    """Import every module below a package.

    Args:
        package: The package, imported.

    Returns:
        The package first, then its modules in order of their names.

    Raises:
        ModuleImportError: Some of them cannot be imported; all of them are told.
        InvalidDefinitionError: It is a module, not a package.
    """
    paths = getattr(package, "__path__", None)
    if paths is None:
        raise errors.InvalidDefinitionError(
            f"{package.__name__!r} is a module, not a package. Load it as a module: "
            "load_..._from_modules([module])."
        )
    failures: dict[str, Exception] = {}
    modules = [package, *_below(package.__name__, paths, failures)]
    if failures:
        raise _complaint(package.__name__, failures)
    return modules


def _below(name: str, paths: Iterable[str], failures: dict[str, Exception]) -> Iterator[ModuleType]:
    for found in sorted(pkgutil.iter_modules(paths, f"{name}."), key=lambda one: one.name):
        if found.name.rpartition(".")[2] == _MAIN:
            continue
        module = _imported(found.name, failures)
        if module is None:
            continue
        yield module
        if found.ispkg:
            yield from _below(found.name, module.__path__, failures)


def _imported(name: str, failures: dict[str, Exception]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - boundary to user code; it is told with the others
        failures[name] = error
        return None


def _complaint(package: str, failures: dict[str, Exception]) -> errors.ModuleImportError:
    problems = [_problem(name, error) for name, error in failures.items()]
    if len(problems) == 1:
        message = str(problems[0])
    else:
        listed = "\n".join(f"  {problem}" for problem in problems)
        message = f"{len(problems)} modules of {package!r} cannot be imported:\n{listed}"
    told = errors.ModuleImportError(message, problems, failures)
    told.__cause__ = next(iter(failures.values()))
    return told


def _problem(name: str, error: Exception) -> errors.Problem:
    file, line = _place_of(error)
    text = str(error).partition("\n")[0]
    return errors.Problem(
        f"The module {name!r} cannot be imported. It raises {type(error).__name__}: {text}",
        file,
        line,
    )


def _place_of(error: Exception) -> tuple[str, int]:
    """Return where an import failed: the text that is no Python, or the innermost line that ran."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    place = ("", 0)
    step: TracebackType | None = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if not file.startswith((_OWN_FOLDER, "<")) and file != importlib.__file__:
            place = (file, step.tb_lineno)
        step = step.tb_next
    return place
