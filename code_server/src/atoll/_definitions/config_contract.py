"""What the definitions need from a config class, without knowing how it validates.

Implemented by `_definitions.config` with pydantic. Everything else speaks to this class, so that
pydantic loads only where a user's code asks for `Config`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

JsonSchema = dict[str, Any]


class ConfigClass:
    """The root of all config classes."""

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
