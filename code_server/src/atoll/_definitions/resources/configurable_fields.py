"""How run configuration configures resource objects.

Called by the definitions of resource classes. Run configuration may override every field that holds
config; what the code gives needs not be repeated, and is never shown.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pydantic

from atoll import errors
from atoll._definitions import config, config_contract
from atoll._definitions.resources import blueprints, late_values

_FROM_ENVIRONMENT = {
    "type": "object",
    "properties": {"env": {"type": "string"}},
    "required": ["env"],
    "additionalProperties": False,
}
# What stays beside the alternatives, for whoever reads the schema.
_DESCRIBES_THE_FIELD = ("title", "description", "default")


class ConfigurableField(config_contract.ConfigField):
    """How one resource object is configured.

    Args:
        blueprint: The resource as it was written.
    """

    def __init__(self, blueprint: blueprints.Blueprint) -> None:
        self._blueprint = blueprint

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to complete the resource."""
        return bool(self._missing({}))

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        """Describe the fields that hold config.

        Args:
            shared: Definitions that schemas refer to as `#/$defs/...`; this one's are added.
        """
        (schema,), defs = config.Config.json_schemas([self._model(self._blueprint.config_fields)])
        if "$ref" in schema:
            # Two resources of one class may be given different values: it stands on its own.
            schema = defs.pop(schema["$ref"].rpartition("/")[2])
        shared.update(defs)
        given = {
            blueprints.key_of(name, field)
            for name, field in self._blueprint.config_fields.items()
            if name in self._blueprint.given or name in self._blueprint.late_defaults
        }
        properties: dict[str, Any] = {}
        for name, one in schema.get("properties", {}).items():
            beside = {key: one[key] for key in _DESCRIBES_THE_FIELD if key in one}
            if name in given:
                beside.pop("default", None)
            inner = {key: value for key, value in one.items() if key not in beside}
            inner.pop("default", None)
            properties[name] = {**beside, "anyOf": [inner, _FROM_ENVIRONMENT]}
        required = [name for name in schema.get("required", ()) if name not in given]
        return {**schema, "properties": properties, "required": required}

    def resolve(self, value: Any, path: Sequence[str]) -> dict[str, Any]:
        """Validate what run configuration overrides.

        Args:
            value: The plain config; `NOT_GIVEN` where run configuration says nothing.
            path: Where in the run configuration that stands, outermost first.

        Returns:
            The overridden fields by name; the environment is not read yet.

        Raises:
            InvalidConfigError: It does not fit.
        """
        given: Any = {} if value is config_contract.NOT_GIVEN or value is None else value
        if not isinstance(given, Mapping):
            raise errors.InvalidConfigError(
                f"The run configuration does not fit. At {'/'.join(path)}: a dict with the fields "
                f"of {self._blueprint.resource_cls.__name__} is required, got {given!r}.",
                path,
                given,
            )
        fields = self._blueprint.config_fields
        names = {blueprints.key_of(name, field): name for name, field in fields.items()}
        late: dict[str, Any] = {}
        now: dict[str, Any] = {}
        plain = cast("Mapping[str, Any]", given)
        for key, one in plain.items():
            known = late_values.of_run_config(one)
            is_late = key in names and late_values.holds_late(known)
            (late if is_late else now)[key] = known
        missing = self._missing({names[key] for key in plain if key in names})
        if not now and not missing:
            return {names[key]: one for key, one in late.items()}
        chosen = {*(names[key] for key in now if key in names), *missing}
        unknown = [key for key in now if key not in names]
        model = self._model(
            fields if unknown else {name: fields[name] for name in fields if name in chosen}
        )
        validated = model.from_run_config(now, path)
        taken = {names[key]: getattr(validated, names[key]) for key in now if key in names}
        extra = {key: now[key] for key in unknown}
        return {**taken, **extra, **{names[key]: one for key, one in late.items()}}

    def _missing(self, given: "set[str] | dict[str, Any]") -> list[str]:
        return [
            name
            for name, field in self._blueprint.config_fields.items()
            if field.is_required() and name not in self._blueprint.given and name not in given
        ]

    def _model(self, fields: Mapping[str, pydantic.fields.FieldInfo]) -> type[config.Config]:
        """Make a config class of some fields, without what else the resource class does."""
        model: Any = self._blueprint.resource_cls
        is_open = model.model_config.get("extra") == "allow"
        described: dict[str, Any] = {}
        for name, field in fields.items():
            alike = copy.copy(field)
            if name in self._blueprint.late_defaults:
                alike.default = None
            described[name] = (field.annotation, alike)
        made: type[config.Config] = pydantic.create_model(
            model.__name__,
            __base__=config.PermissiveConfig if is_open else config.Config,
            __doc__=model.__doc__,
            **described,
        )
        return made
