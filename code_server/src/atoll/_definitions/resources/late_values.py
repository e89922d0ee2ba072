"""Values of resources that are read from the environment only where the resource is used.

Called by resource classes. Whatever is a string or a number and has `get_value` is such a value:
that is what `EnvVar` promises. What was read is secret: nobody but the resource may show it.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, cast

import pydantic

from atoll import errors

_ENV = "env"
Read = Callable[[Any], Any]


class FromEnvironment(str):
    """Names an environment variable, as run configuration does with `{"env": "NAME"}`."""

    __slots__ = ()

    def get_value(self, default: str | None = None) -> str | None:
        """Return what the variable holds."""
        return os.environ.get(str(self), default)

    def __repr__(self) -> str:
        return f"EnvVar({str(self)!r})"


def is_late(value: Any) -> bool:
    """Tell whether a value is read from the environment."""
    return isinstance(value, (str, int)) and callable(getattr(value, "get_value", None))


def holds_late(value: Any) -> bool:
    """Tell whether a value is read from the environment, or holds one that is, at any depth."""
    if isinstance(value, (str, int)):
        return is_late(value)
    return any(map(holds_late, _parts(value)))


def leaves(value: Any) -> list[Any]:
    """Return the strings and numbers that a value holds, at any depth."""
    parts = _parts(value)
    if parts:
        return [leaf for part in parts for leaf in leaves(part)]
    return [value] if isinstance(value, (str, int, float)) and value != "" else []


def resolve(value: Any) -> Any:
    """Read what has to be read from the environment, at any depth.

    Args:
        value: The value.

    Returns:
        The value with what was read.

    Raises:
        InvalidConfigError: A variable is not set.
    """
    return _mapped(value, _read)


def to_run_config(value: Any) -> Any:
    """Replace what is read from the environment by the name of its variable, at any depth."""
    return _mapped(value, lambda late: {_ENV: variable_of(late)})


def of_run_config(value: Any) -> Any:
    """Put late values where run configuration names the environment, at any depth."""
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        if _names_variable(named):
            return FromEnvironment(named[_ENV])
        return {key: of_run_config(item) for key, item in named.items()}
    if isinstance(value, list):
        return [of_run_config(item) for item in _any(value)]
    return value


def _names_variable(plain: Mapping[str, Any]) -> bool:
    return len(plain) == 1 and isinstance(plain.get(_ENV), str)


def variable_of(late: Any) -> str:
    """Return the name of the variable that a value is read from."""
    named = getattr(late, "env_var_name", None)
    return str(named if named is not None else late)


def _read(late: Any) -> Any:
    name = variable_of(late)
    try:
        found = late.get_value()
    except ValueError:
        # Neither the value nor the exception, which may tell it, goes any further.
        found, unfit = None, True
    else:
        unfit = False
    if unfit:
        raise errors.InvalidConfigError(
            f"The environment variable {name!r} does not hold what {late!r} asks for. Set it to a "
            "value of that type."
        )
    if found is None:
        raise errors.InvalidConfigError(
            f"The environment variable {name!r} is not set, and a resource is configured with it. "
            "Set it where the run is executed."
        )
    return found


def _parts(value: Any) -> Any:
    if isinstance(value, pydantic.BaseModel):
        return tuple(value.__dict__.values())
    if isinstance(value, Mapping):
        return tuple(_any(value).values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(_any(value))
    return ()


def _mapped(value: Any, read: Read) -> Any:
    if is_late(value):
        return read(value)
    if not holds_late(value):
        return value
    if isinstance(value, pydantic.BaseModel):
        fields = {name: _mapped(item, read) for name, item in value.__dict__.items()}
        return value.model_copy(update=fields)
    if isinstance(value, Mapping):
        return {key: _mapped(item, read) for key, item in _any(value).items()}
    return [_mapped(item, read) for item in _parts(value)]


def _any(value: Any) -> Any:
    """Return a value of the user's, whose parts may be anything."""
    return value
