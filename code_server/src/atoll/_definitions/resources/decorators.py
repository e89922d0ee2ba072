"""The decorators that make resources and IO managers of functions.

Called by users.
"""

from collections.abc import Callable, Collection
from typing import Any, overload

from atoll._definitions.resources import definition, io_manager_definitions

Function = definition.ResourceFunction


@overload
def resource(config_schema: Function) -> definition.ResourceDefinition: ...
@overload
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> Callable[[Function], definition.ResourceDefinition]: ...
def resource(
    config_schema: Any = None,
    description: str | None = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> definition.ResourceDefinition | Callable[[Function], definition.ResourceDefinition]:
    """Make a resource of a function that gives it.

    Args:
        config_schema: What the resource takes as config; anything where not given.
        description: What the resource is; the function's docstring where not given.
        required_resource_keys: The resources that it needs.
        version: The version of the code.

    Returns:
        The resource, or a decorator that makes it. The function returns the resource, or yields it
        once and cleans up behind the `yield`.
    """
    if definition.is_function(config_schema):
        return resource()(config_schema)

    def decorate(function: Function) -> definition.ResourceDefinition:
        return definition.ResourceDefinition(
            function,
            config_schema,
            description or definition.docstring(function),
            required_resource_keys,
            version,
        )

    return decorate


@overload
def io_manager(config_schema: Function) -> io_manager_definitions.IOManagerDefinition: ...
@overload
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    output_config_schema: Any = None,
    input_config_schema: Any = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> Callable[[Function], io_manager_definitions.IOManagerDefinition]: ...
def io_manager(
    config_schema: Any = None,
    description: str | None = None,
    output_config_schema: Any = None,
    input_config_schema: Any = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> (
    io_manager_definitions.IOManagerDefinition
    | Callable[[Function], io_manager_definitions.IOManagerDefinition]
):
    """Make a definition of an IO manager of a function that gives it.

    Args:
        config_schema: What the IO manager takes as config; anything where not given.
        description: What it is; the function's docstring where not given.
        output_config_schema: What outputs that are stored by it take as config.
        input_config_schema: What inputs that are loaded by it take as config.
        required_resource_keys: The resources that it needs.
        version: The version of the code.

    Returns:
        The definition, or a decorator that makes it.
    """
    if definition.is_function(config_schema):
        return io_manager()(config_schema)

    def decorate(function: Function) -> io_manager_definitions.IOManagerDefinition:
        return io_manager_definitions.IOManagerDefinition(
            function,
            config_schema,
            description or definition.docstring(function),
            required_resource_keys,
            version,
            input_config_schema,
            output_config_schema,
        )

    return decorate


@overload
def input_manager(config_schema: Function) -> io_manager_definitions.InputManagerDefinition: ...
@overload
def input_manager(
    config_schema: Any = None,
    description: str | None = None,
    input_config_schema: Any = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> Callable[[Function], io_manager_definitions.InputManagerDefinition]: ...
def input_manager(
    config_schema: Any = None,
    description: str | None = None,
    input_config_schema: Any = None,
    required_resource_keys: Collection[str] | None = None,
    version: str | None = None,
) -> (
    io_manager_definitions.InputManagerDefinition
    | Callable[[Function], io_manager_definitions.InputManagerDefinition]
):
    """Make a definition of an input manager of a function that loads values.

    Args:
        config_schema: What it takes as config; anything where not given.
        description: What it is; the function's docstring where not given.
        input_config_schema: What inputs that are loaded by it take as config.
        required_resource_keys: The resources that it needs.
        version: The version of the code.

    Returns:
        The definition, or a decorator that makes it. The function takes an `InputContext`, or
        nothing, and returns the value, or an object whose `load_input` does.
    """
    if definition.is_function(config_schema):
        return input_manager()(config_schema)

    def decorate(function: Function) -> io_manager_definitions.InputManagerDefinition:
        loading = io_manager_definitions.LoadingFunction(function)
        return io_manager_definitions.InputManagerDefinition(
            lambda: loading,
            config_schema,
            description or definition.docstring(function),
            input_config_schema,
            required_resource_keys,
            version,
        )

    return decorate
