"""Finding the definitions of a module.

Called when a location is loaded. A module holds one `Definitions` object, or one function that
makes them, or neither: then everything found in it is served.
"""

from types import ModuleType
from typing import Any

from atoll import errors
from atoll._definitions import definitions
from atoll._definitions.loading import kinds, lazy, modules

_WHOLE = (definitions.Definitions, lazy.LazyDefinitions)


def definitions_in(module: ModuleType, context: Any = None) -> definitions.Definitions:
    """Return the definitions of a module.

    Args:
        module: The module, imported.
        context: What a function that makes definitions is given, if it takes a context.

    Returns:
        Its `Definitions` object, or what its one function decorated with `definitions` makes; or,
        where it has neither, everything that it defines: assets, bare specs, asset checks, jobs,
        sensors and schedules.

    Raises:
        InvalidDefinitionError: The module holds several of the first two, or nothing at all.
    """
    found = modules.named_values(module, _WHOLE)
    if len(found) > 1:
        raise errors.InvalidDefinitionError(
            f"The module {module.__name__} holds {len(found)} Definitions objects, or functions "
            f"that make them: {', '.join(found)}. Keep one, or put them together with "
            "Definitions.merge."
        )
    if not found:
        return _everything_in(module)
    only = next(iter(found.values()))
    return only.load(context) if isinstance(only, lazy.LazyDefinitions) else only


def is_complete(module: ModuleType) -> bool:
    """Tell whether a module says itself what its definitions are, so that no search is needed."""
    return bool(modules.named_values(module, _WHOLE))


def _everything_in(module: ModuleType) -> definitions.Definitions:
    found = kinds.found_among(modules.values_of(module))
    if not found:
        raise errors.InvalidDefinitionError(
            f"The module {module.__name__} holds no definitions. Define assets, jobs or sensors in "
            "it, or a Definitions object."
        )
    return definitions.Definitions(**found.as_arguments())
