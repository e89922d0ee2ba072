"""Resource classes: typed, validated resources whose fields are their config, by pydantic.

Called by users, who subclass `ConfigurableResource`. Loaded only when user code asks for it. A
resource stands in the definitions as it was written; each run, tick or test gets a copy of its own,
with what comes from the environment read and with the resources inside it made ready.
"""

import contextlib
import inspect
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, Generic, cast

import pydantic
from pydantic_core import core_schema
from typing_extensions import Self

from atoll import errors
from atoll._definitions import config, config_contract, resource_contract
from atoll._definitions.resources import (
    blueprints,
    configurable_fields,
    definition,
    init_context,
    late_values,
)

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # With the default, `ConfigurableResource` is complete as it stands.
    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")
# The private attribute of resources that is ours.
_MADE = "_atoll_made"


class ResourceDependency(Generic[T]):
    """Annotates a field of a resource class that holds a resource of any other kind.

    `client: ResourceDependency[Client]` takes a resource definition, a resource object or a
    `Client`; the methods of the resource see a `Client`.
    """

    # For type checkers only, which take the field for a descriptor; objects of it are never made.
    def __set_name__(self, owner: type, name: str) -> None: ...
    def __get__(self, instance: Any, owner: Any) -> T:
        """Return the resource."""
        raise NotImplementedError

    def __set__(self, instance: Any, value: "T | definition.ResourceDefinition | Any") -> None: ...

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Take whatever is given."""
        del source, handler
        return core_schema.any_schema()


class ConfigurableResourceFactory(config.Config, resource_contract.ResourceClass, Generic[T]):
    """The base of resource classes that give user code another object than themselves.

    The fields are the config. `create_resource` makes the object that user code gets.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    _atoll_made: blueprints.Made = pydantic.PrivateAttr(default_factory=blueprints.Made)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let through, unvalidated, what is known only where the resource is used."""
        schema = handler(source)
        blueprints.let_late_values_through(handler.resolve_ref_schema(schema))
        return schema

    @classmethod
    def configure_at_launch(cls, **kwargs: Any) -> Self:
        """Return the resource with some of its config left to run configuration.

        Args:
            kwargs: The config, and the resources inside it, that are known already.

        Returns:
            What `resources={...}`, and fields of other resources, take in its place.

        Raises:
            InvalidDefinitionError: There is no such field.
        """
        for name in kwargs:
            if name not in cls.model_fields:
                known = ", ".join(cls.model_fields) or "none at all"
                raise errors.InvalidDefinitionError(
                    f"{cls.__name__} has no field {name!r}; its fields are {known}."
                )
        return cast("Self", PartialResource(cls, kwargs))

    def get_resource_definition(self) -> "ConfigurableResourceDefinition":
        """Return the definition that makes this resource ready."""
        return self.definition_of_blueprint(blueprints.of_object(self))

    @classmethod
    def definition_of_blueprint(
        cls, blueprint: blueprints.Blueprint
    ) -> "ConfigurableResourceDefinition":
        """Return the definition that makes a resource of this class ready.

        Args:
            blueprint: The resource as it was written.
        """
        return ConfigurableResourceDefinition(blueprint)

    def create_resource(self, context: init_context.InitResourceContext) -> T:
        """Return the object that user code gets.

        Args:
            context: What the resource knows while it is made ready.
        """
        raise NotImplementedError(
            f"{type(self).__name__} is a ConfigurableResourceFactory and has to say in "
            "create_resource what user code gets."
        )

    def setup_for_execution(self, context: init_context.InitResourceContext) -> None:
        """Get ready; called before anything else of the resource is used.

        Args:
            context: What the resource knows while it is made ready.
        """

    def teardown_after_execution(self, context: init_context.InitResourceContext) -> None:
        """Clean up; called once nothing uses the resource any more, however that ended.

        Args:
            context: What the resource knew when it was made ready.
        """

    @contextlib.contextmanager
    def yield_for_execution(
        self, context: init_context.InitResourceContext
    ) -> Generator[Any, None, None]:
        """Get ready, give the object that user code gets, and clean up.

        Override it instead of the other two where both share a `with`.

        Args:
            context: What the resource knows while it is made ready.

        Yields:
            The object.
        """
        self.setup_for_execution(context)
        try:
            yield self.create_resource(context)
        finally:
            self.teardown_after_execution(context)

    def get_resource_context(self) -> init_context.InitResourceContext:
        """Return what the resource knew when it was made ready.

        Raises:
            InvariantViolationError: It was not made ready.
        """
        context = self._atoll_made.context
        if context is None:
            raise errors.InvariantViolationError(
                f"{type(self).__name__} has no context, since nothing has made it ready. In a "
                "test, call process_config_and_initialize() or with_replaced_resource_context()."
            )
        return cast("init_context.InitResourceContext", context)

    def with_replaced_resource_context(self, resource_context: Any) -> Self:
        """Return a copy that knows another context.

        Args:
            resource_context: The context.
        """
        copy = self.model_copy()
        # By name, as it is private to pydantic.
        setattr(copy, _MADE, blueprints.Made(self._atoll_made.shown, resource_context))
        return copy

    with_resource_context = with_replaced_resource_context

    @property
    def nested_resources(self) -> Mapping[str, Any]:
        """The resources inside this one, by the name of the field."""
        return blueprints.of_object(self).nested

    @classmethod
    def from_resource_context(
        cls,
        context: init_context.InitResourceContext,
        nested_resources: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make the object that user code gets, of the config in a context.

        Args:
            context: The context of a resource function; its config is that of this class.
            nested_resources: The resources inside it, made ready.

        Returns:
            The object. It is never cleaned up: use `from_resource_context_cm` for that.
        """
        made = blueprints.of_class(cls, _config_in(context))
        return _ready_for_good(made, context, nested_resources)

    @classmethod
    @contextlib.contextmanager
    def from_resource_context_cm(
        cls,
        context: init_context.InitResourceContext,
        nested_resources: Mapping[str, Any] | None = None,
    ) -> Generator[Any, None, None]:
        """Make the object that user code gets, of the config in a context, and clean up.

        Args:
            context: The context of a resource function; its config is that of this class.
            nested_resources: The resources inside it, made ready.

        Yields:
            The object.
        """
        made = cls.definition_of_blueprint(blueprints.of_class(cls, _config_in(context)))
        with _ready(made, context, nested_resources) as value:
            yield value

    def process_config_and_initialize(self) -> Any:
        """Make the object that user code gets, outside any run, as tests do.

        Returns:
            The object. It is never cleaned up: use `process_config_and_initialize_cm` for that.
        """
        return _ready_for_good(blueprints.of_object(self), init_context.InitResourceContext(), None)

    @contextlib.contextmanager
    def process_config_and_initialize_cm(self) -> Generator[Any, None, None]:
        """Make the object that user code gets, outside any run, and clean up.

        Yields:
            The object.
        """
        made = self.get_resource_definition()
        with _ready(made, init_context.InitResourceContext(), None) as value:
            yield value

    def to_run_config(self) -> dict[str, Any]:
        """Return the config as it stands in run configuration; the environment is only named."""
        return blueprints.of_object(self).to_run_config()

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or isinstance(getattr(type(self), name, None), property):
            super().__setattr__(name, value)
            return
        raise errors.InvalidInvocationError(
            f"The field {name!r} of {type(self).__name__} cannot be set: resources are frozen. "
            "Keep what changes in a private attribute: _name: Any = PrivateAttr()."
        )

    def __repr_args__(self) -> Any:
        # Not by its name: an object that is shown while it is being made has none yet.
        private: Any = self.__pydantic_private__
        made = blueprints.Made() if not private else private.get(_MADE, blueprints.Made())
        shown: Mapping[Any, Any] = made.shown
        for name, value in super().__repr_args__():
            yield name, shown.get(name, value)


class ConfigurableResource(ConfigurableResourceFactory[T]):
    """The base of resource classes. The fields are the config; user code gets the object itself."""

    def create_resource(self, context: init_context.InitResourceContext) -> Any:
        """Return the object that user code gets: the resource itself.

        Args:
            context: What the resource knows while it is made ready.
        """
        del context
        return self


class PartialResource(resource_contract.ResourceClass):
    """A resource whose config is completed by run configuration.

    Args:
        resource_cls: The class.
        given: What is known already, by field.
    """

    def __init__(
        self, resource_cls: type[ConfigurableResourceFactory[Any]], given: Mapping[str, Any]
    ) -> None:
        self.resource_cls = resource_cls
        self._given = dict(given)

    def get_resource_definition(self) -> "ConfigurableResourceDefinition":
        """Return the definition that makes this resource ready."""
        return self.resource_cls.definition_of_blueprint(
            blueprints.of_class(self.resource_cls, self._given, is_partial=True)
        )

    def __repr__(self) -> str:
        return f"{self.resource_cls.__name__}.configure_at_launch({', '.join(self._given)})"


class ConfigurableResourceDefinition(definition.ResourceDefinition):
    """Makes a copy of a resource object ready.

    Args:
        blueprint: The resource as it was written.
    """

    def __init__(self, blueprint: blueprints.Blueprint) -> None:
        super().__init__(
            self._make,
            configurable_fields.ConfigurableField(blueprint),
            inspect.cleandoc(blueprint.resource_cls.__doc__ or "") or None,
        )
        self.blueprint = blueprint

    def _make(self, context: init_context.InitResourceContext) -> definition.Opened:
        return self.open(context, {})

    @property
    def configurable_resource_cls(self) -> type[Any]:
        """The class of the resource."""
        kind: type[Any] = self.blueprint.resource_cls
        return kind

    @property
    def nested(self) -> Mapping[str, Any]:
        """The resources that stand inside this one as users gave them, by field."""
        return self.blueprint.nested

    def open(self, context: Any, nested: Mapping[str, Any]) -> definition.Opened:
        """Make the copy, to be entered and to be closed.

        Args:
            context: The context; its config is what run configuration gave, validated.
            nested: The objects of the resources that stand inside this one.
        """
        ready = _initialised(self.blueprint, context, nested)
        return definition.opened(ready.yield_for_execution(ready.get_resource_context()))


def _initialised(
    blueprint: blueprints.Blueprint, context: Any, nested: Mapping[str, Any]
) -> ConfigurableResourceFactory[Any]:
    made: Any
    made, shown = blueprint.initialise(context.resource_config or {}, nested)
    known = context.replace_config(blueprint.to_run_config())
    setattr(made, _MADE, blueprints.Made(shown, known))
    return cast("ConfigurableResourceFactory[Any]", made)


@contextlib.contextmanager
def _ready(
    made: definition.ResourceDefinition, context: Any, given: Mapping[str, Any] | None
) -> Generator[Any, None, None]:
    """Make a resource ready without any other definitions around it."""
    with contextlib.ExitStack() as stack:
        nested = dict(given or {})
        own = context.replace_config({})
        for name, one in made.nested.items():
            if name not in nested:
                nested[name] = stack.enter_context(_ready(definition.coerce(one), own, None))
        yield stack.enter_context(made.open(own, nested))


def _ready_for_good(
    blueprint: blueprints.Blueprint, context: Any, given: Mapping[str, Any] | None
) -> Any:
    """Make a resource ready that nobody will close."""
    default_way = cast("Any", ConfigurableResourceFactory).yield_for_execution
    if blueprint.resource_cls.yield_for_execution is not default_way:
        raise errors.InvalidInvocationError(
            f"{blueprint.resource_cls.__name__} has its own yield_for_execution, so that it has "
            "to be closed. Use the call that ends in _cm, in a with."
        )
    nested = dict(given or {})
    own = context.replace_config({})
    for name, one in blueprint.nested.items():
        if name not in nested:
            nested[name] = _nested_for_good(name, definition.coerce(one), own)
    ready = _initialised(blueprint, own, nested)
    ready.setup_for_execution(ready.get_resource_context())
    return ready.create_resource(ready.get_resource_context())


def _nested_for_good(name: str, made: definition.ResourceDefinition, context: Any) -> Any:
    if isinstance(made, ConfigurableResourceDefinition):
        return _ready_for_good(made.blueprint, context, None)
    opened = made.open(context, {})
    if not isinstance(opened, contextlib.nullcontext):
        raise errors.InvalidInvocationError(
            f"The resource in the field {name!r} has to be closed. Use the call that ends in _cm, "
            "in a with."
        )
    return cast("Any", opened).enter_result


def _config_in(context: Any) -> Mapping[str, Any]:
    given: Any = context.resource_config or {}
    if isinstance(given, config_contract.ConfigClass):
        given = given.to_run_config()
    plain = cast("Mapping[str, Any]", given)
    return {name: late_values.of_run_config(value) for name, value in plain.items()}
