"""What plain data is, told so that type checkers follow.

Called by everything that looks at config. `isinstance` alone leaves them without the types of what
is inside.
"""

from collections.abc import Mapping
from typing import Any, TypeGuard


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether a value holds others by key."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Tell whether a value is a list, or a tuple, which config takes for one."""
    return isinstance(value, (list, tuple))


def is_collection(
    value: object,
) -> TypeGuard[list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]]:
    """Tell whether a value is a list, a tuple or a set."""
    return isinstance(value, (list, tuple, set, frozenset))
