"""One reading of plain config: what is wrong with it, and what came from the environment.

Called by all config types, which report here instead of raising, so that everything that is wrong
with one value is told at once. What was read from the environment is a secret: no message has it.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from atoll import errors
from atoll._definitions import environment, plain_data

Path = tuple[str, ...]

_SHOWN_VALUE_CHARS_MAX = 80
_SECRET_CHARS_MIN = 4


class _Unknown:
    """The type of `UNKNOWN`, which stands for a value that did not fit or was not read."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class Problem(NamedTuple):
    """One thing that does not fit."""

    path: Path
    value: Any
    message: str


class Reading:
    """What one reading of plain config found.

    Attributes:
        problems: What does not fit.
        read: The names of the environment variables that were read, by where they stand.
        gaps: How many values are not known, since they do not fit or were not read.
        conceals: Whether no value may be shown at all.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, *, conceals: bool = False
    ) -> None:
        self._environment = environment
        self._concealed: list[Path] = []
        self._secrets: list[str] = []
        self.problems: list[Problem] = []
        self.read: dict[Path, str] = {}
        self.gaps = 0
        self.conceals = conceals

    @classmethod
    def of_environment(cls, *, conceals: bool = False) -> "Reading":
        """Return a reading that reads the variables of this process."""
        return cls(os.environ, conceals=conceals)

    @property
    def reads(self) -> bool:
        """Whether environment variables are read, and not only the form is checked."""
        return self._environment is not None

    def conceal(self, path: Sequence[str]) -> None:
        """Show no value that stands at a place or below it."""
        self._concealed.append(tuple(path))

    def refuse(self, path: Sequence[str], value: Any, expected: str) -> Any:
        """Note that a value does not fit.

        Args:
            path: Where it stands.
            value: The value.
            expected: What is wrong with it or was expected; the value is added.

        Returns:
            UNKNOWN, which stands for the value.
        """
        shown = "a value that is secret" if self.hides(path) else _shown(value)
        return self.tell(path, value, f"{expected}, got {shown}")

    def tell(self, path: Sequence[str], value: Any, message: str) -> Any:
        """Note that something is wrong at a place, without showing the value.

        Args:
            path: Where.
            value: The value, for whoever catches the error.
            message: What is wrong, without a stop.

        Returns:
            UNKNOWN, which stands for the value.
        """
        self.gaps += 1
        place = "/".join(path) or "its top"
        kept = None if self.hides(path) else value
        for secret in self._secrets:
            # What is shorter than this says nothing, and would tear holes into the message.
            if len(secret) >= _SECRET_CHARS_MIN:
                message = message.replace(secret, "***")
        self.problems.append(Problem(tuple(path), kept, f"At {place}: {message}."))
        return UNKNOWN

    def look_up(self, path: Sequence[str], name: str) -> Any:
        """Read an environment variable.

        Args:
            path: Where the reference stands.
            name: The name of the variable.

        Returns:
            The text, or UNKNOWN where this reading reads nothing or the variable is missing.
        """
        if self._environment is None:
            self.gaps += 1
            return UNKNOWN
        text = self._environment.get(name)
        if text is None:
            return self.tell(
                path,
                {"env": name},
                f"the environment variable {name} is not set where the run takes place; set it "
                "in the environment of the code location",
            )
        self.read[tuple(path)] = name
        self._secrets.append(text)
        return text

    def hides(self, path: Sequence[str]) -> bool:
        """Tell whether the value at a place, or one below it, must not be shown."""
        secret = (*self._concealed, *self.read)
        return self.conceals or any(_meet(tuple(path), one) for one in secret)

    def attempt(self) -> "Reading":
        """Return a reading to try something in, which `adopt` takes over where it fits."""
        made = Reading(self._environment, conceals=self.conceals)
        made._concealed = list(self._concealed)
        made.read = dict(self.read)
        made._secrets = list(self._secrets)
        return made

    def adopt(self, other: "Reading") -> None:
        """Take over what another reading found."""
        self.problems.extend(other.problems)
        self.read.update(other.read)
        self._secrets = other._secrets  # noqa: SLF001 - of this class
        self.gaps += other.gaps

    def raise_problems(self, summary: str = "The run configuration does not fit.") -> None:
        """Raise everything that does not fit.

        Args:
            summary: What the message begins with.

        Raises:
            InvalidConfigError: Something does not fit.
        """
        if not self.problems:
            return
        first = self.problems[0]
        told = " ".join(one.message for one in self.problems)
        raise errors.InvalidConfigError(f"{summary} {told}", first.path, first.value)


def _meet(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


class _Elision:
    """Stands in messages for what is not shown."""

    def __repr__(self) -> str:
        return "..."


_ELISION = _Elision()


def _shown(value: Any) -> str:
    shown = repr(_elided(value))
    if len(shown) > _SHOWN_VALUE_CHARS_MAX:
        return f"{shown[: _SHOWN_VALUE_CHARS_MAX - 3]}..."
    return shown


def _elided(value: Any) -> Any:
    """Return a value without what its keys hold, since secrets may be among it."""
    if plain_data.is_mapping(value) and environment.referred(value) is None:
        return dict.fromkeys(value, _ELISION)
    if plain_data.is_list(value):
        return [_elided(item) for item in value]
    return value
