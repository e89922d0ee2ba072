"""What all config types have in common.

Called by every module of this package. A config type reports to a `Reading` what does not fit, and
describes itself to a `Describing`.
"""

import abc
import enum
from collections.abc import Sequence
from typing import Any

from atoll._definitions import config_contract, environment, plain_data
from atoll._definitions.config_types import describing, limits, reading

NOT_GIVEN = config_contract.NOT_GIVEN
_SCALARS = frozenset({str, int, float, bool, type(None)})


class ConfigType(config_contract.ConfigField):
    """What config may look like at one place."""

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""
        return True

    @property
    def has_value_of_nothing(self) -> bool:
        """Whether `nothing` gives a value, so that null may stand for it in a selector."""
        return False

    @abc.abstractmethod
    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config.

        Args:
            value: The plain config; never `NOT_GIVEN`.
            path: Where it stands.
            found: Takes note of what does not fit.

        Returns:
            What user code gets; UNKNOWN where it does not fit.
        """

    @abc.abstractmethod
    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted.

        Args:
            into: Takes the definitions that the description refers to.
        """

    def nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what user code gets where config says nothing; `NOT_GIVEN` for nothing at all."""
        return NOT_GIVEN

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value that user code wrote in Python."""
        return plain(value)

    def limited(self, limit: limits.Limits) -> "ConfigType":
        """Return the same type with limits on length or magnitude."""
        return Limited(self, limit)

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        """Describe what is accepted; see `ConfigField`."""
        return describing.merge(self.described, shared)

    def described(
        self, skipped: int
    ) -> tuple[describing.JsonSchema, dict[str, describing.JsonSchema]]:
        """Describe what is accepted, without the given number of shortest names."""
        into = describing.Describing(skipped)
        described = self.describe(into)
        return described, into.definitions

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        """Validate plain config and return what user code gets; see `ConfigField`."""
        return self.read(value, path, reading.Reading.of_environment())

    def check(self, value: Any, path: Sequence[str]) -> None:
        """Validate plain config without reading the environment; see `ConfigField`."""
        self.read(value, path, reading.Reading())

    def read(self, value: Any, path: Sequence[str], found: reading.Reading) -> Any:
        """Validate plain config and return what user code gets.

        Args:
            value: The plain config; `NOT_GIVEN` where run configuration says nothing.
            path: Where that stands.
            found: The reading.

        Raises:
            InvalidConfigError: It does not fit.
        """
        place = tuple(path)
        if value is NOT_GIVEN:
            given = self.given_nothing(place, found)
        else:
            given = self.walk(value, place, found)
        found.raise_problems()
        return None if given is NOT_GIVEN else given

    def given_nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what user code gets for nothing, and report where a value is required."""
        if self.is_required:
            return found.tell(path, None, "a value is required and none is given")
        return self.nothing(path, found)


class Limited(ConfigType):
    """A type with limits on the number of its items."""

    def __init__(self, inner: ConfigType, limit: limits.Limits) -> None:
        self._inner = inner
        self._limit = limit

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""
        return self._inner.is_required

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        gaps = found.gaps
        taken = self._inner.walk(value, path, found)
        if found.gaps == gaps:
            for complaint in self._limit.complaints(value):
                found.refuse(path, value, complaint)
        return taken

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described = self._inner.describe(into)
        kind = str(described.get("type", ""))
        return {**described, **self._limit.keywords(kind)}

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        return self._inner.plain(value)


def plain(value: Any) -> Any:
    """Return the plain config of a value that user code wrote in Python, at any depth.

    Args:
        value: Config objects, references to the environment, members of enums, or plain data.

    Returns:
        Plain data; what is not known stays as it is.
    """
    if isinstance(value, (environment.EnvVar, environment.IntEnvVar)):
        return environment.reference(value)
    if isinstance(value, config_contract.ConfigClass):
        return value.to_run_config()
    if isinstance(value, enum.Enum):
        return value.name
    if plain_data.is_mapping(value):
        entries = value
        return {plain(key): plain(item) for key, item in entries.items()}
    if plain_data.is_collection(value):
        return [plain(item) for item in value]
    return value


def refers_to_environment(value: Any) -> bool:
    """Tell whether a value that user code wrote in Python holds an `EnvVar`, at any depth."""
    if type(value) in _SCALARS:
        return False
    if isinstance(value, (environment.EnvVar, environment.IntEnvVar)):
        return True
    if isinstance(value, config_contract.ConfigClass):
        return value.refers_to_environment
    if plain_data.is_mapping(value):
        return any(refers_to_environment(item) for item in value.values())
    if plain_data.is_collection(value):
        return any(refers_to_environment(item) for item in value)
    return False
