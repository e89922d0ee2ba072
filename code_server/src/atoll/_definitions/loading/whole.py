"""`load_definitions_from_...`: everything that modules and packages define, as `Definitions`.

Called by users. `Definitions` objects that stand in the modules are passed over: what they hold
may be there for other purposes. `Definitions.merge` puts those together.
"""

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from atoll._definitions import definitions
from atoll._definitions.loading import kinds
from atoll._definitions.loading import modules as python_modules


def load_definitions_from_modules(
    modules: Iterable[ModuleType],
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> definitions.Definitions:
    """Return everything that modules define: assets, specs, checks, jobs, sensors, schedules.

    Args:
        modules: The modules, imported.
        resources: Objects by resource key.
        loggers: Loggers by name.
        executor: What executes runs.

    Returns:
        New definitions. What several of the modules hold is in them once.
    """
    found = kinds.found_among(
        value for one in python_modules.listed(modules) for value in python_modules.values_of(one)
    )
    given: dict[str, Any] = {"resources": resources, "loggers": loggers, "executor": executor}
    arguments = {name: value for name, value in given.items() if value is not None}
    return definitions.Definitions(**found.as_arguments(), **arguments)


def load_definitions_from_module(
    module: ModuleType,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> definitions.Definitions:
    """Return everything that a module defines.

    Takes the module, and otherwise the same as `load_definitions_from_modules`.
    """
    return load_definitions_from_modules([module], resources, loggers, executor)


def load_definitions_from_current_module(
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> definitions.Definitions:
    """Return everything that the calling module has defined so far.

    Takes the same as `load_definitions_from_modules`.
    """
    return load_definitions_from_modules([python_modules.of_caller()], resources, loggers, executor)


def load_definitions_from_package_module(
    package_module: ModuleType,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> definitions.Definitions:
    """Return everything that a package and every module below it define; they are imported.

    Takes the package, and otherwise the same as `load_definitions_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    every = python_modules.of_package(package_module)
    return load_definitions_from_modules(every, resources, loggers, executor)


def load_definitions_from_package_name(
    package_name: str,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> definitions.Definitions:
    """Return everything that a package and every module below it define; they are imported.

    Takes the name of the package, and otherwise the same as `load_definitions_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    every = python_modules.of_package_name(package_name)
    return load_definitions_from_modules(every, resources, loggers, executor)
