"""How fields of config classes take references to environment variables while code is loaded.

Called by `config` when a class is made. The value is not known yet, so that whatever validates it,
of pydantic or of the user, is passed by; it runs when the location has read the value.
"""

import functools
from typing import Any, cast

import pydantic
from pydantic_core import core_schema

from atoll._definitions import config_contract, config_fields
from atoll._definitions.config_types import schema

_PLAIN_KINDS = frozenset({str, int, float, bool, type(None)})
# Never from the environment; pydantic wants to see them bare where they tell classes apart.
_FIXED = frozenset({"literal", "enum"})
_AROUND = frozenset({"function-before", "function-after", "function-wrap"})


def let_through(kind: type[pydantic.BaseModel], made: Any) -> None:
    """Let the fields of a class take `EnvVar`, past what validates their values.

    Args:
        kind: The class; a config class.
        made: The core schema of the class, which is changed.
    """
    while made.get("type", "") in _AROUND:
        made = made["schema"]
    if made.get("type") != "model":
        return
    inner = made["schema"]
    while inner.get("type", "") in _AROUND:
        inner = inner["schema"]
    for name, field in inner.get("fields", {}).items():
        _take_references_in(kind, name, field)


def _take_references_in(kind: type[pydantic.BaseModel], name: str, field: Any) -> None:
    # The default has to stay outermost: that is where pydantic looks for it.
    holder = field["schema"] if field["schema"]["type"] == "default" else field
    if isinstance(holder["schema"].get("function", {}).get("function"), functools.partial):
        # Made already, for a class that this one refers to.
        return
    if holder["schema"]["type"] in _FIXED:
        return
    take = functools.partial(_take_field, kind, name)
    holder["schema"] = core_schema.no_info_wrap_validator_function(take, holder["schema"])
    info = kind.model_fields.get(name)
    if holder is field and info is not None and config_fields.takes_none(info.annotation):
        field["schema"] = core_schema.with_default_schema(field["schema"], default=None)


def _take_field(
    kind: type[pydantic.BaseModel],
    name: str,
    value: Any,
    validate: core_schema.ValidatorFunctionWrapHandler,
) -> Any:
    if type(value) in _PLAIN_KINDS or not schema.refers_to_environment(value):
        return validate(value)
    if isinstance(value, config_contract.ConfigClass):
        return validate(value)
    # The value is not known yet. Whether a reference may stand there is.
    field = cast("type[config_contract.ConfigClass]", kind).config_field()
    taken = cast("config_fields.ClassField", field).entries[name].type
    taken.check(taken.plain(value), (kind.__name__, name))
    return value
