"""References to environment variables, which only the location that runs a step may read.

Called by users, who write `EnvVar("NAME")` where config expects a string, and by everything that
takes config. A reference stands in plain config as `{"env": "NAME"}`. Nothing here reads a variable
unless it is asked to by name: definitions are loaded, checked and sent without any of their values.
"""

import os
from collections.abc import Iterator
from typing import Any

from atoll._definitions import plain_data

REFERENCE_KEY = "env"


class EnvVar(str):  # noqa: SLOT000 - users may put attributes on strings of theirs as well
    """The name of an environment variable that is read when a run needs its value.

    It is accepted wherever config takes a string. Using it as a string itself raises, since the
    name would silently stand where the value is meant.
    """

    @property
    def env_var_name(self) -> str:
        """The name of the environment variable."""
        return str.__str__(self)

    def get_value(self, default: str | None = None) -> str | None:
        """Read the environment variable now.

        Args:
            default: What to return where it is not set.

        Returns:
            The value, or the default.
        """
        return os.environ.get(self.env_var_name, default)

    def __repr__(self) -> str:
        return f"EnvVar({str.__repr__(self)})"

    def __reduce__(self) -> tuple[type["EnvVar"], tuple[str]]:
        return type(self), (self.env_var_name,)

    def __str__(self) -> str:
        raise _misuse(self)

    def __format__(self, format_spec: str) -> str:
        raise _misuse(self)

    def __add__(self, other: str) -> str:
        raise _misuse(self)

    def __radd__(self, other: str) -> str:
        raise _misuse(self)

    def __mod__(self, other: Any) -> str:
        raise _misuse(self)

    def __mul__(self, other: Any) -> str:
        raise _misuse(self)

    def __getitem__(self, key: Any) -> str:
        raise _misuse(self)

    def __iter__(self) -> Iterator[str]:
        raise _misuse(self)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Refuse: the name is not the value.

        Raises:
            RuntimeError: Always.
        """
        raise _misuse(self)

    @classmethod
    def int(cls, name: str) -> "IntEnvVar":
        """Return a reference to an environment variable that holds an integer.

        Args:
            name: The name of the environment variable.
        """
        return IntEnvVar(name)


class IntEnvVar(int):
    """The name of an environment variable that holds an integer; made by `EnvVar.int`."""

    env_var_name: str

    def __new__(cls, name: str) -> "IntEnvVar":  # noqa: PYI034 - typing_extensions costs too much here
        """Make the reference; as a number it is 0, which nobody should rely on."""
        made = super().__new__(cls, 0)
        made.env_var_name = name
        return made

    def get_value(self, default: int | None = None) -> int | None:
        """Read the environment variable now.

        Args:
            default: What to return where it is not set.

        Returns:
            The value as an integer, or the default.
        """
        text = os.environ.get(self.env_var_name)
        return default if text is None else int(text)

    def __repr__(self) -> str:
        return f"EnvVar.int({self.env_var_name!r})"

    def __reduce__(self) -> tuple[type["IntEnvVar"], tuple[str]]:
        return type(self), (self.env_var_name,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntEnvVar) and other.env_var_name == self.env_var_name

    def __hash__(self) -> int:
        return hash(self.env_var_name)

    def __str__(self) -> str:
        raise _misuse(self)

    def __format__(self, format_spec: str) -> str:
        raise _misuse(self)

    def __int__(self) -> int:
        raise _misuse(self)

    def __lt__(self, other: object) -> bool:
        raise _misuse(self)

    def __le__(self, other: object) -> bool:
        raise _misuse(self)

    def __gt__(self, other: object) -> bool:
        raise _misuse(self)

    def __ge__(self, other: object) -> bool:
        raise _misuse(self)


def reference(variable: EnvVar | IntEnvVar) -> dict[str, str]:
    """Return a reference as it stands in plain config."""
    return {REFERENCE_KEY: variable.env_var_name}


def referred(value: object) -> str | None:
    """Return the name of the environment variable that plain config refers to, None for none."""
    if isinstance(value, (EnvVar, IntEnvVar)):
        return value.env_var_name
    if plain_data.is_mapping(value):
        entries = value
        name = entries.get(REFERENCE_KEY) if len(entries) == 1 else None
        return name if isinstance(name, str) else None
    return None


def _misuse(variable: EnvVar | IntEnvVar) -> RuntimeError:
    return RuntimeError(
        f"{variable!r} was used as if it were the value of the environment variable "
        f"{variable.env_var_name}. It is read only when a run needs it: give it to config or to a "
        "resource, or call get_value() to read it now."
    )
