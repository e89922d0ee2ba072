"""Definitions that a function makes when they are loaded.

Called by users, through the `definitions` decorator, and by whoever loads a module.
"""

import inspect
from collections.abc import Callable
from typing import Any

from atoll import errors
from atoll._definitions import definitions as whole_definitions
from atoll._definitions import sources


class LazyDefinitions:
    """A function that makes definitions. Made by `definitions`.

    Attributes:
        name: The name of the function.
        takes_context: Whether the function takes the context of the loading.
        source: Where the function stands in the user's code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.name = str(getattr(function, "__name__", "definitions"))
        self.source = sources.of_function(function)
        self.takes_context = _takes_context(self.name, function, self.source)

    def load(self, context: Any = None) -> whole_definitions.Definitions:
        """Call the function.

        Args:
            context: The context of the loading; passed over where the function takes none.

        Returns:
            What the function made.

        Raises:
            InvalidDefinitionError: The function takes a context and there is none, or it returned
                something else.
        """
        if self.takes_context and context is None:
            raise _complaint(
                f"The function {self.name!r} takes a context, which only exists where a folder of "
                "components is loaded. Take the parameter away, or load it from such a folder.",
                self.source,
            )
        made = self._function(context) if self.takes_context else self._function()
        if isinstance(made, LazyDefinitions):
            return made.load(context)
        if not isinstance(made, whole_definitions.Definitions):
            raise _complaint(
                f"The function {self.name!r} is to return Definitions, got {made!r}.", self.source
            )
        return made

    def __call__(self, context: Any = None) -> whole_definitions.Definitions:
        """Call the function, as `load` does."""
        return self.load(context)

    def __repr__(self) -> str:
        return f"LazyDefinitions({self.name!r})"


def definitions(fn: Callable[..., whole_definitions.Definitions]) -> LazyDefinitions:
    """Mark a function that makes the definitions of a module.

    It is called when the module is loaded as a location, not when it is imported.

    Args:
        fn: The function. It takes nothing, or the context of the loading.

    Returns:
        What calls the function.

    Raises:
        InvalidDefinitionError: It takes something else.
    """
    return LazyDefinitions(fn)


def _takes_context(
    name: str, function: Callable[..., Any], source: sources.SourcePosition | None
) -> bool:
    parameters = inspect.signature(function).parameters.values()
    needed = [one for one in parameters if one.default is one.empty]
    if len(needed) > 1 or any(
        one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.KEYWORD_ONLY) for one in needed
    ):
        raise _complaint(
            f"The function {name!r} takes {', '.join(map(str, parameters))}. Let it take nothing, "
            "or one context.",
            source,
        )
    return bool(needed)


def _complaint(
    message: str, source: sources.SourcePosition | None
) -> errors.InvalidDefinitionError:
    problem = errors.Problem(message)
    if source is not None:
        problem = errors.Problem(message, source.file, source.line)
    return errors.InvalidDefinitionError(str(problem), [problem])
