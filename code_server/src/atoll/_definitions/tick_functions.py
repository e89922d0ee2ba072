"""Functions that are called with the context of a tick, or with nothing, and with resources.

Called by schedule definitions. A function takes at most the context, under any name, and resources
by annotation or by name.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from atoll import errors
from atoll._definitions import parameters


class TickFunction:
    """A function of the user.

    Args:
        function: The function.
        whose: What it belongs to, for errors: "The schedule 'x'".
        builder: What makes such a context in a test, for errors.

    Raises:
        InvalidDefinitionError: A parameter cannot be given.
    """

    def __init__(self, function: Callable[..., Any], whose: str, builder: str) -> None:
        if not callable(function):
            raise errors.InvalidDefinitionError(
                f"{whose} has {function!r} in the place of a function. Give a function of the "
                "context."
            )
        read = parameters.read(function, whose, has_context=False, has_config=False)
        if read.takes_any_keyword:
            raise errors.InvalidDefinitionError(
                f"The function of {_inside(whose)} takes any keyword. Name its parameters one by "
                "one."
            )
        self.function = function
        self._whose = whose
        self._builder = builder
        self._resources = read.resources
        self._free = tuple(one.name for one in read.inputs)

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that its annotations ask for."""
        return frozenset(self._resources.values())

    def unknown_parameters(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return the parameters that nothing is known to give to, if these resources are there."""
        return [name for name in self._free if name not in resource_keys][1:]

    def named_resources(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return those of the resources that parameters are called like."""
        return [name for name in self._free if name in resource_keys]

    def call(self, context: Any) -> Any:
        """Call it with the context of a tick.

        Raises:
            UnknownResourceError: It takes a resource that nobody provides.
            InvalidDefinitionError: It takes more than the context.
        """
        offered: Mapping[str, Any] = context.resources_by_key
        given = {name: self._resource(offered, key) for name, key in self._resources.items()}
        given.update((name, offered[name]) for name in self.named_resources(offered))
        free = [name for name in self._free if name not in given]
        if len(free) > 1:
            raise errors.InvalidDefinitionError(
                f"The function of {_inside(self._whose)} takes {', '.join(free)}; it is given the "
                f"context, and no resource is called {free[-1]!r}."
            )
        return self.function(*([context] if free else []), **given)

    def call_directly(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call it as a test does; resources that are not given come from the context."""
        given = dict(kwargs)
        offered = _offered((*args, *kwargs.values()))
        if offered is not None:
            positional = tuple(inspect.signature(self.function).parameters)[: len(args)]
            for name, key in self._resources.items():
                if name not in given and name not in positional:
                    given[name] = self._resource(offered, key)
        return self.function(*args, **given)

    def _resource(self, offered: Mapping[str, Any], key: str) -> Any:
        if key not in offered:
            raise errors.UnknownResourceError(
                f"{self._whose} requires the resource {key!r}, which nobody provides. Give "
                f"Definitions(resources={{{key!r}: ...}}), or in a test "
                f"{self._builder}(resources={{{key!r}: ...}}).",
                key,
            )
        return offered[key]


def _offered(arguments: Sequence[Any]) -> Mapping[str, Any] | None:
    """Return the resources of the context among the arguments, if it is there."""
    for one in arguments:
        offered = getattr(one, "resources_by_key", None)
        if isinstance(offered, Mapping):
            return cast("Mapping[str, Any]", offered)
    return None


def _inside(whose: str) -> str:
    return whose[:1].lower() + whose[1:]
