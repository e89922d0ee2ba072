"""What the definitions need from a config class, without knowing how it validates.

Implemented by `_definitions.config` with pydantic. Everything else speaks to this class, so that
pydantic loads only where a user's code asks for `Config`.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

JsonSchema = dict[str, Any]


class ConfigClass:
    """The root of all config classes."""

    @classmethod
    def config_field(cls) -> "ConfigField":
        """Return how definitions that take this class are configured; made once for each class."""
        raise NotImplementedError

    @property
    def refers_to_environment(self) -> bool:
        """Whether the config, or one within it, names environment variables not read yet."""
        raise NotImplementedError

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any], path: Sequence[str]) -> "ConfigClass":
        """Validate run configuration and make the config of it.

        Args:
            values: What the run configuration says for this class.
            path: Where in the run configuration that stands.

        Returns:
            The config.

        Raises:
            InvalidConfigError: It does not fit.
        """
        raise NotImplementedError

    @classmethod
    def json_schemas(
        cls, classes: Sequence["type[ConfigClass]"]
    ) -> tuple[list[JsonSchema], dict[str, JsonSchema]]:
        """Describe several config classes together.

        Args:
            classes: The classes.

        Returns:
            A JSON Schema for each class, and the definitions that they refer to as `#/$defs/...`.
        """
        raise NotImplementedError

    def to_run_config(self) -> dict[str, Any]:
        """Return the config as it stands in run configuration."""
        raise NotImplementedError


def meaning_of_marker(raw: Any) -> Any:
    """Return the annotation that a marker stands for; what is no marker stands for itself.

    A marker is an object with an attribute `config_annotation`, a type or an annotation of Python:
    `atoll.Int` has int, and others have `list[int]`, `int | None` or `typing.Any`.

    Args:
        raw: What a user wrote where a config schema belongs.
    """
    return raw if isinstance(raw, type) else getattr(raw, "config_annotation", raw)


class _NotGiven:
    """The type of `NOT_GIVEN`, which stands for config that the run configuration leaves out."""

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN = _NotGiven()


class ConfigField(abc.ABC):
    """How one definition is configured: what it accepts, and what user code gets for it.

    What users give as `config_schema=`, and the annotation of a parameter called `config`, both
    become one of these. Ops, graphs, resources, IO managers, loggers and executors hold one, or
    None where they take no config.
    """

    @property
    @abc.abstractmethod
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""

    @abc.abstractmethod
    def json_schema(self, shared: dict[str, JsonSchema]) -> JsonSchema:
        """Describe what is accepted.

        Args:
            shared: Definitions that schemas refer to as `#/$defs/...`; this one's are added.

        Returns:
            The JSON Schema.
        """

    @abc.abstractmethod
    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        """Validate plain config and return what user code gets: defaults filled in, `EnvVar` read.

        Args:
            value: The plain config; `NOT_GIVEN` where run configuration says nothing.
            path: Where in the run configuration that stands, outermost first.

        Returns:
            A config object, or plain data, as the definition asks.

        Raises:
            InvalidConfigError: It does not fit; names the path and the value.
        """

    def check(self, value: Any, path: Sequence[str]) -> None:
        """Validate plain config without reading the environment, as the host does.

        Args:
            value: The plain config; `NOT_GIVEN` where run configuration says nothing.
            path: Where in the run configuration that stands, outermost first.

        Raises:
            InvalidConfigError: It does not fit; names the path and the value.
        """
        self.resolve(value, path)
