"""Resource objects as they were written, and the copies that are made of them.

Called by resource classes. A blueprint knows which fields hold resources, which values come from
the environment, and how all of them together become an object that is ready.
"""

import functools
import typing
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, cast

import pydantic
from pydantic_core import core_schema

from atoll import errors
from atoll._definitions import config, resource_contract
from atoll._definitions.resources import definition, late_values

Model = type[pydantic.BaseModel]
_USERS_OWN_WORDS = ("value_error", "assertion_error")


class _Initialising:
    """Tells validators that values were validated already, or are resources made ready."""

    def __init__(self, trusted: frozenset[str]) -> None:
        self.trusted = trusted


class Made:
    """What a resource object knows of how it was made. It has no part in comparing resources.

    Args:
        shown: What fields said before the environment was read, so that nobody is shown what it
            holds.
        context: What the resource knew when it was made ready; None for one that was not.
    """

    def __init__(self, shown: Mapping[str, Any] | None = None, context: Any = None) -> None:
        self.shown: Mapping[str, Any] = shown or {}
        self.context = context

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Made)

    __hash__ = None  # type: ignore[assignment]


class Blueprint:
    """A resource as it was written.

    Args:
        resource_cls: Its class.
        given: What was given, by field.
        is_validated: Whether that was validated when the object was made.
        is_partial: Whether run configuration may have to complete it.
    """

    def __init__(
        self,
        resource_cls: Any,
        given: Mapping[str, Any],
        *,
        is_validated: bool,
        is_partial: bool,
    ) -> None:
        self.resource_cls = resource_cls
        self.given = dict(given)
        self.is_partial = is_partial
        self._is_validated = is_validated

    @functools.cached_property
    def nested(self) -> Mapping[str, Any]:
        """The resources inside it, by the name of the field."""
        fields: dict[str, pydantic.fields.FieldInfo] = self.resource_cls.model_fields
        found: dict[str, Any] = {}
        for name in resource_fields(self.resource_cls):
            value = self.given.get(name)
            if value is None:
                value = fields[name].get_default(call_default_factory=True, validated_data={})
            if isinstance(value, (resource_contract.ResourceClass, definition.ResourceDefinition)):
                found[name] = value
        return found

    @functools.cached_property
    def config_fields(self) -> Mapping[str, pydantic.fields.FieldInfo]:
        """The fields that hold config, by name."""
        fields: dict[str, pydantic.fields.FieldInfo] = self.resource_cls.model_fields
        held = resource_fields(self.resource_cls)
        return {name: field for name, field in fields.items() if name not in held}

    @functools.cached_property
    def late_defaults(self) -> Mapping[str, Any]:
        """The defaults of the class that come from the environment, by the name of the field."""
        return {
            name: field.default
            for name, field in self.config_fields.items()
            if late_values.holds_late(field.default)
        }

    def to_run_config(self) -> dict[str, Any]:
        """Return the config as it stands in run configuration; the environment is only named."""
        told: dict[str, Any] = {}
        for name, field in self.config_fields.items():
            if name in self.given:
                value = late_values.to_run_config(self.given[name])
                told[key_of(name, field)] = value
        # What pydantic and enums become in plain data is the business of Config.
        plain = config.PermissiveConfig.model_construct(**told)
        return plain.to_run_config() if told else {}

    def initialise(
        self, overrides: Mapping[str, Any], nested: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Make a copy that is ready but for its own set-up.

        Args:
            overrides: What run configuration gives, by field; `late_values` among them.
            nested: The objects of the resources inside it, by field.

        Returns:
            The copy; and, by field, what stands for the values that came from the environment.

        Raises:
            InvalidConfigError: What the environment holds, or all of it together, does not fit.
        """
        written = {**self.late_defaults, **self.given, **overrides}
        late = {name: value for name, value in written.items() if _is_late(name, value, nested)}
        values = {**written, **{name: late_values.resolve(one) for name, one in late.items()}}
        values.update(nested)
        trusted = {*nested}
        if self._is_validated:
            trusted |= self.given.keys() - overrides.keys() - late.keys()
        model: Model = self.resource_cls
        fields = model.model_fields
        data = {
            key_of(name, fields[name]) if name in fields else name: value
            for name, value in values.items()
        }
        unfit: pydantic.ValidationError | None = None
        made: Any = None
        try:
            made = model.model_validate(data, context=_Initialising(frozenset(trusted)))
        except pydantic.ValidationError as error:
            unfit = error
        if unfit is not None:
            # Raised apart from the error of pydantic, which shows the values.
            secrets = [str(one) for name in late for one in late_values.leaves(values[name])]
            raise _unfit(model, unfit, late, secrets)
        return made, late


def of_object(resource: Any) -> Blueprint:
    """Return the blueprint of a resource object."""
    model: Model = cast("Any", type(resource))
    given = {name: getattr(resource, name) for name in model.model_fields}
    made: Made = resource._atoll_made  # noqa: SLF001 - the object's own note
    return Blueprint(model, {**given, **made.shown}, is_validated=True, is_partial=False)


def of_class(resource_cls: Any, given: Mapping[str, Any], *, is_partial: bool = False) -> Blueprint:
    """Return the blueprint of a resource of which only some fields are known.

    Args:
        resource_cls: The class.
        given: What is known, by field.
        is_partial: Whether run configuration may have to complete it.
    """
    return Blueprint(resource_cls, given, is_validated=False, is_partial=is_partial)


@functools.lru_cache(maxsize=1024)
def resource_fields(model: Model) -> frozenset[str]:
    """Return the fields of a resource class that hold resources."""
    return frozenset(name for name, field in model.model_fields.items() if _holds_resource(field))


def key_of(name: str, field: pydantic.fields.FieldInfo) -> str:
    """Return the name by which config gives a field."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else name


def let_late_values_through(schema: Any) -> None:
    """Change the schema of a resource class, so that late values pass its fields unvalidated.

    Args:
        schema: The schema of the model.
    """
    while schema["type"] != "model-fields":
        if not isinstance(schema.get("schema"), dict):
            return
        schema = schema["schema"]
    for name, field in schema["fields"].items():
        # Inside the default, which is taken without being validated.
        holder = field["schema"] if field["schema"]["type"] == "default" else field
        inner = holder["schema"]
        if isinstance(inner.get("function", {}).get("function"), _Gate):
            continue
        holder["schema"] = core_schema.with_info_wrap_validator_function(_Gate(name), inner)


class _Gate:
    """Decides which values a field takes without validating them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, value: Any, handler: Any, info: Any) -> Any:
        context = info.context
        if isinstance(context, _Initialising):
            return value if self._name in context.trusted else handler(value)
        if late_values.holds_late(value) or _is_stand_in(value):
            return value
        return handler(value)


def _is_stand_in(value: Any) -> bool:
    """Tell whether a value stands for a resource that is made ready later."""
    return isinstance(value, definition.ResourceDefinition) or (
        isinstance(value, resource_contract.ResourceClass)
        and not isinstance(value, pydantic.BaseModel)
    )


def _is_late(name: str, value: Any, nested: Mapping[str, Any]) -> bool:
    is_resource = isinstance(value, resource_contract.ResourceClass)
    return name not in nested and not is_resource and late_values.holds_late(value)


def _holds_resource(field: pydantic.fields.FieldInfo) -> bool:
    marked = any(mark is resource_contract.RESOURCE_PARAMETER for mark in field.metadata)
    return marked or _names_resource(field.annotation)


def _names_resource(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is UnionType:
        return any(map(_names_resource, typing.get_args(annotation)))
    kind = annotation if origin is None else origin
    is_dependency = getattr(kind, "__name__", "") == "ResourceDependency"
    return is_dependency or resource_contract.is_resource(annotation)


def _unfit(
    model: Model,
    error: pydantic.ValidationError,
    late: Mapping[str, Any],
    secrets: Sequence[str],
) -> errors.InvalidConfigError:
    told: list[str] = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        place = [str(part) for part in detail["loc"]]
        source = late.get(place[0]) if place else None
        says = detail["msg"]
        if late and (detail["type"] in _USERS_OWN_WORDS or any(one in says for one in secrets)):
            # What a validator of the user's says may tell parts of the value.
            says = "it is refused"
        origin = f", which comes from {source!r}" if source is not None else ""
        told.append(f"{'/'.join(place) or 'all of it'}{origin}: {says}.")
    return errors.InvalidConfigError(
        f"The resource {model.__name__} cannot be made ready, because its config does not fit. "
        + " ".join(told),
        tuple(str(part) for part in cast("Any", error.errors(include_input=False)[0]["loc"])),
    )
