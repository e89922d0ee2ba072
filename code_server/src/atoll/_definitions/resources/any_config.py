"""The config of what has no schema: anything, and nothing just as well.

Called by the definitions of resources and loggers, which take whatever they are given where users
did not say what they take.
"""

from collections.abc import Sequence
from typing import Any

from atoll._definitions import config_contract


class Anything(config_contract.ConfigField):
    """Takes any config, and none."""

    @property
    def is_required(self) -> bool:
        """Nothing has to be given."""
        return False

    def json_schema(self, shared: dict[str, config_contract.JsonSchema]) -> dict[str, Any]:
        """Describe that everything is accepted."""
        del shared
        return {}

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        """Return the config as it is, None where there is none."""
        del path
        return None if value is config_contract.NOT_GIVEN else value
