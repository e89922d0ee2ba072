"""What the definitions need from resource classes, without knowing how they are configured.

Implemented by `_definitions.resources` (with pydantic). The decorators tell by `ResourceClass` and
`RESOURCE_PARAMETER` which parameters of a user's function receive a resource, so that pydantic
loads only where a user's code asks for `ConfigurableResource`.
"""

import types
import typing
from typing import Annotated, Any, TypeVar

T = TypeVar("T")


class ResourceClass:
    """The root of resource classes: a parameter annotated with a subclass receives a resource."""

    def get_resource_definition(self) -> Any:
        """Return the `ResourceDefinition` that makes this resource ready."""
        raise NotImplementedError


class _ResourceParameter:
    """The type of `RESOURCE_PARAMETER`, the mark in `Annotated` that `ResourceParam[...]` makes."""

    def __repr__(self) -> str:
        return "RESOURCE_PARAMETER"


RESOURCE_PARAMETER = _ResourceParameter()

# How a user annotates a parameter that receives a resource of any other class:
# `client: ResourceParam[Client]`.
ResourceParam = Annotated[T, RESOURCE_PARAMETER]


def is_resource(annotation: Any) -> bool:
    """Tell whether a parameter with this annotation receives a resource.

    Args:
        annotation: The annotation, resolved.

    Returns:
        Whether it is a resource class, a union with one, or `ResourceParam[...]`.
    """
    # The quick way for nearly all parameters; `list[int]` passes for a type on 3.10.
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return issubclass(annotation, ResourceClass)
    origin: Any = typing.get_origin(annotation)
    if origin is Annotated:
        inner, *marks = typing.get_args(annotation)
        return any(mark is RESOURCE_PARAMETER for mark in marks) or is_resource(inner)
    if origin is typing.Union or origin is types.UnionType:
        return any(is_resource(one) for one in typing.get_args(annotation))
    return isinstance(origin, type) and issubclass(origin, ResourceClass)
