"""Config classes as config types.

Called for classes that stand where a config type belongs. The class itself says how it is
configured, so that nothing here knows pydantic.
"""

from typing import Any, TypeGuard

from atoll._definitions import config_contract
from atoll._definitions.config_types import rules, schema


def is_config_class(raw: Any) -> TypeGuard[type[config_contract.ConfigClass]]:
    """Tell whether something is a config class."""
    return isinstance(raw, type) and issubclass(raw, config_contract.ConfigClass)


def field_of(raw: type[config_contract.ConfigClass]) -> config_contract.ConfigField:
    """Return how definitions that take a config class are configured."""
    return raw.config_field()


def _of_class(raw: Any) -> schema.ConfigType | None:
    if not is_config_class(raw):
        return None
    found = field_of(raw)
    return found if isinstance(found, schema.ConfigType) else rules.Foreign(found)


rules.add(_of_class)
