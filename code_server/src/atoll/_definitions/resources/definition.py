"""Definitions of resources: how the object that user code gets is made, and from which config.

Called by users, by the decorators and by whoever opens resources. What users put into
`Definitions(resources={...})` becomes one of these by `coerce`.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from types import GeneratorType
from typing import Any, TypeAlias, TypeVar, cast

from atoll import errors
from atoll._definitions import (
    config_contract,
    config_mapping,
    config_schemas,
    resource_contract,
)
from atoll._definitions.resources import any_config

D = TypeVar("D", bound="ResourceDefinition")
ResourceFunction: TypeAlias = Callable[..., Any]
Opened: TypeAlias = "contextlib.AbstractContextManager[Any]"
_CONTEXT_NAMES = ("context", "init_context", "_context", "_init_context", "_")


class ResourceDefinition:
    """Makes a resource ready. Made by `resource`; called directly, it calls the function.

    Args:
        resource_fn: Gives the resource: returns it, yields it once and cleans up behind the
            `yield`, or returns a context manager of `contextlib`. It takes an
            `InitResourceContext`, or nothing.
        config_schema: What the resource takes as config; anything where not given.
        description: What the resource is.
        required_resource_keys: The resources that it needs.
        version: The version of the code.

    Raises:
        InvalidDefinitionError: The function or a parameter cannot be what it says.
    """

    def __init__(
        self,
        resource_fn: ResourceFunction,
        config_schema: Any = None,
        description: str | None = None,
        required_resource_keys: Collection[str] | None = None,
        version: str | None = None,
    ) -> None:
        self._function = resource_fn
        self._takes_context = takes_context(resource_fn)
        self._field = config_schemas.coerce(config_schema) or any_config.Anything()
        self._description = description
        self._required = _checked_keys(required_resource_keys)
        self._version = version

    @staticmethod
    def hardcoded_resource(value: Any, description: str | None = None) -> "ResourceDefinition":
        """Make a resource that is always the same object.

        Args:
            value: The object.
            description: What it is.
        """
        return ResourceDefinition(lambda: value, description=description)

    @staticmethod
    def none_resource(description: str | None = None) -> "ResourceDefinition":
        """Make a resource that is None."""
        return ResourceDefinition(lambda: None, description=description)

    @staticmethod
    def mock_resource(description: str | None = None) -> "ResourceDefinition":
        """Make a resource that is a `MagicMock`, anew each time."""
        return ResourceDefinition(_mock, description=description)

    @staticmethod
    def string_resource(description: str | None = None) -> "ResourceDefinition":
        """Make a resource that is the string which its config gives."""
        return ResourceDefinition(_config, str, description=description)

    @property
    def resource_fn(self) -> ResourceFunction:
        """The function that gives the resource."""
        return self._function

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """How the resource is configured."""
        return self._field

    @property
    def config_schema(self) -> config_contract.ConfigField | None:
        """How the resource is configured."""
        return self.config_field

    @property
    def description(self) -> str | None:
        """What the resource is."""
        return self._description

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that it needs."""
        return self._required

    @property
    def version(self) -> str | None:
        """The version of the code."""
        return self._version

    @property
    def nested(self) -> Mapping[str, Any]:
        """The resources that stand inside this one as users gave them, by field."""
        return {}

    def open(self, context: Any, nested: Mapping[str, Any]) -> Opened:
        """Make the resource, to be entered and to be closed.

        Args:
            context: The `InitResourceContext`.
            nested: The objects of the resources that stand inside this one.

        Returns:
            A context manager that gives what user code gets.
        """
        del nested
        return opened(self._function(context) if self._takes_context else self._function())

    def configured(  # noqa: PYI019 - Self is in typing_extensions, which is dear to import
        self: D,
        config_or_config_fn: Any,
        config_schema: Any = None,
        description: str | None = None,
    ) -> D:
        """Return the resource with its config given in code.

        Args:
            config_or_config_fn: The config, or a function that makes it of other config.
            config_schema: What that function takes.
            description: What the resource is; as before where not given.
        """
        return config_mapping.configure(
            self, config_or_config_fn, config_schema=config_schema, description=description
        )

    def copy_for_configured(  # noqa: PYI019 - as above
        self: D, description: str | None, config_schema: Any
    ) -> D:
        """Return the resource with another schema, which gives the config that this one needs.

        Args:
            description: What the resource is; as before where not given.
            config_schema: What it takes as config.
        """
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._field = config_schemas.coerce(config_schema) or any_config.Anything()
        copy._description = description or self._description
        return copy

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as tests do, with the context where it takes one.

        Raises:
            InvalidInvocationError: The arguments do not fit.
        """
        given = [*args, *kwargs.values()]
        if len(given) > 1 or (self._takes_context and not given):
            raise errors.InvalidInvocationError(
                f"A resource is called with one context, got {len(given)} arguments. Make one "
                "with build_init_resource_context(config=..., resources=...)."
            )
        if not self._takes_context:
            return self._function()
        (context,) = given
        if context is not None and self.config_field is not None:
            raw = context.resource_config
            value = config_contract.NOT_GIVEN if raw is None else raw
            context = context.replace_config(self.config_field.resolve(value, ("config",)))
        return self._function(context)


def opened(made: Any) -> Opened:
    """Return what a user's function made as a context manager.

    Args:
        made: A generator that yields once, a context manager of `contextlib`, or the resource.
    """
    if isinstance(made, GeneratorType):
        return _Yielded(made)  # pyright: ignore[reportUnknownArgumentType]
    # As contextlib makes them. Other objects that happen to be context managers, connections for
    # instance, are resources themselves.
    if isinstance(made, contextlib.ContextDecorator):
        return cast("Opened", made)
    return contextlib.nullcontext(made)


def coerce(value: Any) -> ResourceDefinition:
    """Return the definition for what a user put into `resources={...}`.

    Args:
        value: A definition, a resource object, or any other object, which is then the resource.

    Returns:
        The definition.

    Raises:
        InvalidDefinitionError: It is a resource class and no object of it.
    """
    # By its own class: a mock with a spec only says that it is one.
    kinds: tuple[Any, ...] = type(value).__mro__
    if ResourceDefinition in kinds:
        made: ResourceDefinition = value
        return made
    if resource_contract.ResourceClass in kinds:
        found: ResourceDefinition = value.get_resource_definition()
        return found
    if isinstance(value, type) and issubclass(value, resource_contract.ResourceClass):
        raise errors.InvalidDefinitionError(
            f"{value.__name__} is a class of resources. Give an object of it: {value.__name__}(...)"
            f", or {value.__name__}.configure_at_launch()."
        )
    return ResourceDefinition.hardcoded_resource(value)


def docstring(function: ResourceFunction) -> str | None:
    """Return what a function says of itself."""
    return inspect.cleandoc(function.__doc__) if function.__doc__ else None


def is_function(first: Any) -> bool:
    """Tell whether a decorator without parentheses was given the function itself.

    Args:
        first: What the decorator was given as its first parameter, a schema otherwise.

    Raises:
        InvalidDefinitionError: It is a class that is no schema.
    """
    if isinstance(first, config_contract.ConfigField):
        return False
    if isinstance(first, type):
        if issubclass(first, config_contract.ConfigClass) or first in (str, int, float, bool):
            return False
        raise errors.InvalidDefinitionError(
            f"A config schema is needed, got the class {first.__name__}. To make a resource of a "
            f"class, write ResourceDefinition({first.__name__})."
        )
    return callable(first)


def make_values_resource(**kwargs: Any) -> ResourceDefinition:
    """Make a resource that is a dict of the values which its config gives.

    Args:
        kwargs: What each value is: a schema by name. Anything where no name is given.
    """
    return ResourceDefinition(_config, kwargs or None)


class _Yielded(contextlib.AbstractContextManager[Any]):
    """A generator that yields the resource and cleans up behind the `yield`."""

    def __init__(self, generator: "GeneratorType[Any, Any, Any]") -> None:
        self._generator = generator

    def __enter__(self) -> Any:
        for value in self._generator:
            return value
        raise errors.InvariantViolationError(
            f"The resource function {self._generator.__qualname__!r} yields nothing. Let it yield "
            "the resource once."
        )

    def __exit__(self, *_raised: object) -> None:
        # Goes on behind the yield in any case: users clean up there with or without a finally.
        for _ in self._generator:
            self._generator.close()
            raise errors.InvariantViolationError(
                f"The resource function {self._generator.__qualname__!r} yields twice. Let it "
                "yield the resource once."
            )


def _config(context: Any) -> Any:
    return context.resource_config


def _mock() -> Any:
    # Dear to import, and for tests only.
    return importlib.import_module("unittest.mock").MagicMock()


def takes_context(function: ResourceFunction) -> bool:
    """Tell whether a function of the user's takes a context.

    Args:
        function: The function.

    Raises:
        InvalidDefinitionError: It is none, or it takes more.
    """
    if not callable(function):
        raise errors.InvalidDefinitionError(
            f"A resource is made by a function, got {function!r} of type {type(function).__name__}."
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Written in C: such a callable knows nothing of our contexts.
        return False
    free = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
    required = [one for one in free if one.default is one.empty and one.kind != one.VAR_POSITIONAL]
    if len(required) > 1:
        named = ", ".join(one.name for one in required)
        raise errors.InvalidDefinitionError(
            f"The resource function {getattr(function, '__name__', function)!r} requires the "
            f"parameters {named}. It is given one at the most: the InitResourceContext."
        )
    # A class whose parameters have defaults, or a lambda that binds a value by one, takes none.
    return bool(required) or any(
        one.kind is one.VAR_POSITIONAL or one.name in _CONTEXT_NAMES for one in free[:1]
    )


def _checked_keys(required: Collection[str] | None) -> frozenset[str]:
    if isinstance(required, str):
        raise errors.InvalidDefinitionError(
            f"required_resource_keys is a set of keys, got the string {required!r}. Write "
            f"{{{required!r}}}."
        )
    return frozenset(required or ())
