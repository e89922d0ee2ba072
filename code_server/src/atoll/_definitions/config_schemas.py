"""What definitions take as `config_schema=`, or annotate `config` with, as config fields.

Called by the decorators and by everything else that is configured. `coerce` is the one entry point:
what comes out checks plain config, resolves it and describes itself.
"""

from typing import Any, TypeAlias

from atoll._definitions import config_contract
from atoll._definitions.config_types import annotations as annotations  # its rules
from atoll._definitions.config_types import (
    classes,
    collections,
    enums,
    fields,
    scalars,
    shapes,
)

# What users may give as a config schema; nearly everything, told apart when it is read.
ConfigSchema: TypeAlias = Any

NOT_GIVEN = config_contract.NOT_GIVEN
Field = fields.Field
Shape = shapes.Shape
Permissive = shapes.Permissive
Selector = shapes.Selector
Array = collections.Array
Map = collections.Map
Noneable = collections.Noneable
ScalarUnion = collections.ScalarUnion
Enum = enums.Enum
EnumValue = enums.EnumValue
StringSource = scalars.StringSource
IntSource = scalars.IntSource
BoolSource = scalars.BoolSource


def coerce(raw: Any) -> config_contract.ConfigField | None:
    """Return the config field that a user's config schema, or the annotation of config, means.

    Args:
        raw: A config type, a field, a Python type, a dict, a list with one item, a config class,
            an annotation, a marker such as `atoll.Int`, or None.

    Returns:
        The field; None where None was given, which means that no config is taken.

    Raises:
        InvalidConfigDefinitionError: It stands for no config type.
    """
    if raw is None:
        return None
    if isinstance(raw, config_contract.ConfigField):
        return raw
    if classes.is_config_class(raw):
        return classes.field_of(raw)
    return fields.entry(raw, "The config schema")
