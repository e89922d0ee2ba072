"""Loaders of types: how the value of an input is made of run configuration.

Called by `definition`, which gives each type its loader, and by users. What a loader gets as its
context is made by whoever runs steps.
"""

import inspect
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import errors
from atoll._definitions import config_contract, config_schemas

LoaderFunction = Callable[[Any, Any], Any]


class TypeLoader:
    """Makes the value of an input of run configuration, where no step gives one.

    Most loaders are made with `type_loader`. One that needs more is a subclass with a
    `schema_type` and `construct_from_config_value`.
    """

    @property
    def schema_type(self) -> Any:
        """What the run configuration of the input must look like, as it was given."""
        return None

    @property
    def config_field(self) -> config_contract.ConfigField:
        """What the run configuration of the input must look like."""
        return field_of(self.schema_type)

    def required_resource_keys(self) -> frozenset[str]:
        """Return the keys of the resources that the loader uses."""
        return frozenset()

    def construct_from_config_value(self, context: Any, config_value: Any) -> Any:
        """Make the value of the input.

        Args:
            context: A `TypeLoaderContext`.
            config_value: The run configuration of the input, as the `config_field` resolved it.

        Returns:
            The value.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no construct_from_config_value(context, config_value). "
            "Define it, or make the loader with type_loader."
        )


class _LoaderOfFunction(TypeLoader):
    """A loader made of a user's function."""

    def __init__(
        self, function: LoaderFunction, config_schema: Any, required_resource_keys: frozenset[str]
    ) -> None:
        self._function = function
        self._config_schema = config_schema
        self._required_resource_keys = required_resource_keys

    @property
    def schema_type(self) -> Any:
        return self._config_schema

    def required_resource_keys(self) -> frozenset[str]:
        return self._required_resource_keys

    def construct_from_config_value(self, context: Any, config_value: Any) -> Any:
        return self._function(context, config_value)


def type_loader(
    config_schema: Any, required_resource_keys: AbstractSet[str] | None = None
) -> Callable[[LoaderFunction], TypeLoader]:
    """Make a loader of a function of the context and the run configuration of an input.

    Args:
        config_schema: What the run configuration of the input must look like.
        required_resource_keys: The resources that the function uses, at `context.resources`.

    Returns:
        A decorator for a function `(context, config)` that returns the value of the input.

    Raises:
        InvalidDefinitionError: The function does not take a context and the configuration.
    """

    def decorate(function: LoaderFunction) -> TypeLoader:
        if not takes_two(function):
            raise errors.InvalidDefinitionError(
                f"The type loader {name_of(function)} takes {inspect.signature(function)}. It is "
                "called with a context and the configuration of the input: give it two parameters."
            )
        return _LoaderOfFunction(function, config_schema, frozenset(required_resource_keys or ()))

    return decorate


def takes_two(function: Callable[..., Any]) -> bool:
    """Tell whether a function can be called with two values in order.

    Args:
        function: The function; what has no signature is taken for one that can.

    Returns:
        Whether it can.
    """
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        # Some callables written in C do not tell their parameters.
        return True
    return True


def name_of(function: Callable[..., Any]) -> str:
    """Return a name for a callable that its author recognises."""
    return repr(getattr(function, "__name__", None) or type(function).__name__)


def field_of(config_schema: Any) -> config_contract.ConfigField:
    """Return what a loader accepts.

    Args:
        config_schema: What the loader was given as its `config_schema`.

    Returns:
        The field; one that accepts anything where no schema was given.
    """
    # The one place that turns the schemas of loaders into fields.
    coerced = config_schemas.coerce(config_schema)
    return AnythingField() if coerced is None else coerced


class AnythingField(config_contract.ConfigField):
    """Accepts any plain value."""

    @property
    def is_required(self) -> bool:
        return True

    def json_schema(self, shared: dict[str, config_contract.JsonSchema]) -> dict[str, Any]:
        return {}

    def resolve(self, value: Any, path: Any) -> Any:
        if value is config_contract.NOT_GIVEN:
            raise errors.InvalidConfigError(
                f"The run configuration gives nothing at {'.'.join(path)}. Give a value there.",
                path,
            )
        return value
