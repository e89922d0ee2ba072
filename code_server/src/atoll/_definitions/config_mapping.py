"""Functions that make config of other config: for graphs, jobs, and configured definitions.

Called by users as `config_mapping` and `configured`, and by whoever resolves the config of a graph.
Values that came from the environment go through the functions of users; from there on no message
shows any value, since nobody knows which of them is still the secret.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from atoll import errors
from atoll._definitions import annotations, config_contract, config_schemas
from atoll._definitions.config_types import classes, reading, rules, schema

ConfigFunction = Callable[[Any], Any]
T = TypeVar("T")
_GIVEN_BY_KEYWORD = frozenset({"name", "description"})


class ConfigMapping:
    """A function that makes the config of what is inside of config for the whole."""

    def __init__(
        self,
        config_fn: ConfigFunction,
        config_schema: Any = None,
        receive_processed_config_values: bool | None = None,  # noqa: FBT001 - the field's signature
    ) -> None:
        """Make a mapping.

        Args:
            config_fn: Takes the config of the whole and returns the config of what is inside.
            config_schema: What the config of the whole looks like; anything where None.
            receive_processed_config_values: Whether the function gets config with defaults filled
                in and the environment read, which it does where None.
        """
        self.config_fn = config_fn
        self.config_schema = config_schemas.coerce(config_schema)
        self.receive_processed_config_values = receive_processed_config_values

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """How the whole is configured; None where it takes anything."""
        return self.config_schema

    def resolve_from_unvalidated_config(self, config: Any, path: Sequence[str] = ()) -> Any:
        """Return the config of what is inside.

        Args:
            config: The plain config of the whole.
            path: Where that stands in run configuration.

        Raises:
            InvalidConfigError: The config does not fit.
            ConfigMappingFunctionError: The function raised.
        """
        if self.config_schema is None:
            return self.resolve_from_validated_config(config)
        if self.receive_processed_config_values is False:
            self.config_schema.check(config, path)
            return self.resolve_from_validated_config(config)
        return self.resolve_from_validated_config(self.config_schema.resolve(config, path))

    def resolve_from_validated_config(self, config: Any) -> Any:
        """Return the config of what is inside.

        Args:
            config: The config of the whole, as the function is to get it.

        Raises:
            ConfigMappingFunctionError: The function raised.
        """
        return schema.plain(_call(self.config_fn, config))


@overload
def config_mapping(config_fn: ConfigFunction) -> ConfigMapping: ...
@overload
def config_mapping(
    config_fn: None = None,
    *,
    config_schema: Any = None,
    receive_processed_config_values: bool | None = None,
) -> Callable[[ConfigFunction], ConfigMapping]: ...
def config_mapping(
    config_fn: ConfigFunction | None = None,
    *,
    config_schema: Any = None,
    receive_processed_config_values: bool | None = None,
) -> ConfigMapping | Callable[[ConfigFunction], ConfigMapping]:
    """Make a `ConfigMapping` of a function.

    Args:
        config_fn: The function, where the decorator stands without parentheses.
        config_schema: What the config of the whole looks like; the annotation of the function's
            parameter, where that is a config class.
        receive_processed_config_values: Whether the function gets config with defaults filled in.

    Returns:
        The mapping, or a decorator that makes it.
    """

    def decorate(function: ConfigFunction) -> ConfigMapping:
        return ConfigMapping(
            function, _schema_of(function, config_schema), receive_processed_config_values
        )

    return decorate if config_fn is None else decorate(config_fn)


class Configurable(Protocol):
    """A definition that takes config: an op, graph, resource, IO manager, logger or executor."""

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """How the definition is configured; None where it takes no config."""

    @property
    def copy_for_configured(self) -> Callable[..., Any]:
        """Returns the definition with another name, description and config schema."""
        ...


D = TypeVar("D", bound=Configurable)


class Configured(Generic[D]):
    """What `configured` returns: gives a definition its config, or a function that makes it."""

    def __init__(self, configurable: D, config_schema: Any, texts: Mapping[str, Any]) -> None:
        unknown = texts.keys() - _GIVEN_BY_KEYWORD
        if unknown:
            raise errors.InvalidDefinitionError(
                f"configured was given {', '.join(sorted(unknown))}. It takes name and description."
            )
        self._configurable = configurable
        self._config_schema = config_schema
        self._texts = texts

    def __call__(self, config_or_config_fn: Any) -> D:
        """Return the configured definition.

        Args:
            config_or_config_fn: The plain config, or a function that makes it of other config.

        Raises:
            InvalidDefinitionError: A name or a schema is missing or too much.
            InvalidConfigError: The config does not fit.
        """
        name, description = self._texts.get("name"), self._texts.get("description")
        if callable(config_or_config_fn) and not isinstance(
            config_or_config_fn, config_contract.ConfigClass
        ):
            name = name or getattr(config_or_config_fn, "__name__", None)
            description = description or inspect.getdoc(config_or_config_fn)
        return configure(
            self._configurable, config_or_config_fn, name, self._config_schema, description
        )


def configured(configurable: D, config_schema: Any = None, **kwargs: Any) -> Configured[D]:
    """Give a definition its config in code, or reduce it to config that is simpler.

    Args:
        configurable: The definition.
        config_schema: What the function takes that the result is applied to.
        **kwargs: The name and the description of what is made.

    Returns:
        Takes the config, or the function that makes it, and returns the definition.
    """
    return Configured(configurable, config_schema, kwargs)


def configure(
    configurable: D,
    config_or_config_fn: Any,
    name: str | None = None,
    config_schema: Any = None,
    description: str | None = None,
) -> D:
    """Return a definition with its config given in code; what `.configured(...)` methods call.

    Args:
        configurable: The definition.
        config_or_config_fn: The plain config, or a function that makes it of other config.
        name: The name of what is made; needed where definitions of this kind have names.
        config_schema: What the function takes; where None, what its annotation says, else anything.
        description: What the definition is for; that of the original where None.

    Returns:
        The definition, whose config is what the function takes, or nothing.

    Raises:
        InvalidDefinitionError: A name or a schema is missing or too much.
        InvalidConfigError: The config does not fit.
    """
    copy = configurable.copy_for_configured
    inner = configurable.config_field or rules.require(Any, "The config")
    is_function = callable(config_or_config_fn) and not isinstance(
        config_or_config_fn, config_contract.ConfigClass
    )
    if is_function:
        outer_schema = _schema_of(config_or_config_fn, config_schema)
        outer = config_schemas.coerce(Any if outer_schema is None else outer_schema)
        field: config_contract.ConfigField = MappedField(
            inner,
            cast("config_contract.ConfigField", outer),
            cast("ConfigFunction", config_or_config_fn),
        )
    elif config_schema is not None:
        raise errors.InvalidDefinitionError(
            f"A config_schema was given, {config_schema!r}, for config that is given in code and "
            "takes none. Leave it out, or give a function."
        )
    else:
        field = GivenField(inner, config_or_config_fn)
    texts: dict[str, Any] = {"description": description, "config_schema": field}
    if "name" in inspect.signature(copy).parameters:
        if not name:
            raise errors.InvalidDefinitionError(
                f"{configurable!r} was configured without a name, which would be taken twice. "
                "Give name=, or a function that has one."
            )
        texts["name"] = name
    return cast("D", copy(**texts))


class GivenField(config_contract.ConfigField):
    """The config of a definition that has it in code: run configuration gives none."""

    def __init__(self, inner: config_contract.ConfigField, values: Any) -> None:
        """Make the field.

        Args:
            inner: What the definition takes.
            values: The config.

        Raises:
            InvalidConfigError: The config does not fit.
        """
        self._inner = inner
        self._values = schema.plain(values)
        inner.check(self._values, ("config",))

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value: never."""
        return False

    def json_schema(
        self,
        shared: dict[str, config_contract.JsonSchema],
    ) -> config_contract.JsonSchema:
        """Describe what is accepted; see `ConfigField`."""
        return {"type": "object", "maxProperties": 0}

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        """Return the config; see `ConfigField`."""
        self.check(value, path)
        return self._inner.resolve(self._values, path)

    def check(self, value: Any, path: Sequence[str]) -> None:
        """Refuse any config; see `ConfigField`."""
        if value is not config_contract.NOT_GIVEN and value != {}:
            found = reading.Reading()
            found.refuse(path, value, "the config is given in code; leave it out")
            found.raise_problems()


class MappedField(config_contract.ConfigField):
    """The config of which a function makes the config that a definition takes."""

    def __init__(
        self,
        inner: config_contract.ConfigField,
        outer: config_contract.ConfigField,
        config_fn: ConfigFunction,
    ) -> None:
        """Make the field.

        Args:
            inner: What the definition takes.
            outer: What the function takes.
            config_fn: The function.
        """
        self._inner = inner
        self._outer = outer
        self._config_fn = config_fn

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""
        return self._outer.is_required

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        """Describe what is accepted; see `ConfigField`."""
        return self._outer.json_schema(shared)

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        """Return the config that the function makes; see `ConfigField`."""
        outer, inner = self._outer, self._inner
        if not isinstance(outer, schema.ConfigType):
            return inner.resolve(
                schema.plain(_call(self._config_fn, outer.resolve(value, path))), path
            )
        found = reading.Reading.of_environment()
        made = _call(self._config_fn, outer.read(value, path, found), conceals=bool(found.read))
        values = schema.plain(made)
        if isinstance(inner, schema.ConfigType):
            return inner.read(
                values, path, reading.Reading.of_environment(conceals=bool(found.read))
            )
        return inner.resolve(values, path)

    def check(self, value: Any, path: Sequence[str]) -> None:
        """Check what the function takes; see `ConfigField`."""
        self._outer.check(value, path)


def _call(config_fn: ConfigFunction, config: Any, *, conceals: bool = False) -> Any:
    name = getattr(config_fn, "__name__", repr(config_fn))
    try:
        return config_fn(config)
    except errors.Error:
        raise
    except Exception as error:
        told = f"The function {name} that makes config raised {type(error).__name__}"
        if not conceals:
            raise errors.ConfigMappingFunctionError(
                f"{told}: {error}. Correct it, or the config that it got."
            ) from error
    # Beyond the handler, so that the error of the user, which may show secrets, is no context.
    raise errors.ConfigMappingFunctionError(
        f"{told}. What it says is not shown, since it got values from the environment. Correct it."
    )


def _schema_of(config_fn: Any, config_schema: Any) -> Any:
    """Return what a function that makes config takes: what is given, or its annotation says."""
    parameters = list(inspect.signature(config_fn).parameters.values())
    if len(parameters) != 1:
        raise errors.InvalidDefinitionError(
            f"The function {getattr(config_fn, '__name__', config_fn)!r} makes config of config, "
            f"so that it takes one parameter; it takes {len(parameters)}."
        )
    annotation = annotations.resolve(
        parameters[0].annotation, config_fn, annotations.names_of_definition()
    )
    if not classes.is_config_class(annotation):
        return config_schema
    if config_schema is not None:
        raise errors.InvalidDefinitionError(
            f"The parameter of {getattr(config_fn, '__name__', config_fn)!r} is annotated with "
            f"{annotation.__name__}, and a config_schema is given as well. Leave one of them out."
        )
    return annotation
