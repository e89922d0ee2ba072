"""Values of other libraries and of richer types as the plain values that they stand for.

Called by `metadata` for what users attach: numbers of numerical libraries, members of enumerations,
days, mappings and sequences of any class. No library is imported: their values tell themselves.
"""

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from typing import Any

_PLAIN = (str, bool, int, float, type(None), dict, list)


def plain(value: Any) -> Any:
    """Return the plain value that a value stands for, or the value itself.

    Args:
        value: Any value.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if _is_numerical_scalar(value):
        return plain(value.item())
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    return value


def _is_numerical_scalar(value: Any) -> bool:
    """Tell whether a value is a single number of a numerical library, not an array of them."""
    return (
        hasattr(value, "item") and hasattr(value, "dtype") and getattr(value, "shape", None) == ()
    )


def _same(value: Any) -> Any:
    return value


def _day(value: dt.date) -> str:
    return value.isoformat()


# A point in time is a day as well: it comes first.
_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (tuple, list),
    (Mapping, dict),
    (dt.datetime, _same),
    (dt.date, _day),
)
