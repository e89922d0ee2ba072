"""IO managers that are resource classes: their fields are their config, by pydantic.

Called by users, who subclass `ConfigurableIOManager`. Loaded only when user code asks for it.
"""

import abc
import contextlib
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

from atoll._definitions import config_schemas
from atoll._definitions.resources import (
    blueprints,
    configurable,
    init_context,
    io_manager_definitions,
)
from atoll._execution import io_managers

T = TypeVar("T")


class ConfigurableIOManagerDefinition(
    configurable.ConfigurableResourceDefinition, io_manager_definitions.IOManagerDefinition
):
    """Makes a copy of a configurable IO manager ready.

    Args:
        blueprint: The IO manager as it was written.
    """

    def __init__(self, blueprint: blueprints.Blueprint) -> None:
        super().__init__(blueprint)
        kind: type[ConfigurableIOManagerFactory[Any]] = blueprint.resource_cls
        self._input_field = config_schemas.coerce(kind.input_config_schema())
        self._output_field = config_schemas.coerce(kind.output_config_schema())


class ConfigurableIOManagerFactory(configurable.ConfigurableResourceFactory[T]):
    """The base of resource classes that make an IO manager. The fields are the config."""

    @classmethod
    def definition_of_blueprint(
        cls, blueprint: blueprints.Blueprint
    ) -> configurable.ConfigurableResourceDefinition:
        """Return the definition that makes an IO manager of this class ready.

        Args:
            blueprint: The IO manager as it was written.
        """
        return ConfigurableIOManagerDefinition(blueprint)

    @classmethod
    def input_config_schema(cls) -> Any:
        """Return what inputs that are loaded by it take as config; None for nothing."""
        return None

    @classmethod
    def output_config_schema(cls) -> Any:
        """Return what outputs that are stored by it take as config; None for nothing."""
        return None

    def create_io_manager(self, context: init_context.InitResourceContext) -> T:
        """Return the IO manager.

        Args:
            context: What the resource knows while it is made ready.
        """
        raise NotImplementedError(
            f"{type(self).__name__} is a ConfigurableIOManagerFactory and has to make the IO "
            "manager in create_io_manager."
        )

    def create_resource(self, context: init_context.InitResourceContext) -> T:
        """Return the object that user code gets: the IO manager.

        Args:
            context: What the resource knows while it is made ready.
        """
        return self.create_io_manager(context)


class ConfigurableIOManager(ConfigurableIOManagerFactory[Any], io_managers.IOManager):
    """The base of IO managers whose fields are their config."""

    def create_io_manager(self, context: init_context.InitResourceContext) -> Any:
        """Return the IO manager: itself.

        Args:
            context: What the resource knows while it is made ready.
        """
        del context
        return self


class ConfigurableLegacyIOManagerAdapter(ConfigurableIOManagerFactory[Any], abc.ABC):
    """Gives an IO manager that a definition makes the form of a resource class.

    The fields are the config of the definition that `wrapped_io_manager` returns.
    """

    @property
    @abc.abstractmethod
    def wrapped_io_manager(self) -> io_manager_definitions.IOManagerDefinition:
        """The definition."""

    @contextlib.contextmanager
    def yield_for_execution(
        self, context: init_context.InitResourceContext
    ) -> Generator[Any, None, None]:
        """Make the IO manager of the definition, and clean up.

        Args:
            context: What the resource knows while it is made ready.

        Yields:
            The IO manager.
        """
        wrapped = self.wrapped_io_manager
        fields: Mapping[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        field = wrapped.config_field
        given = field.resolve(fields, ("config",)) if field is not None else fields
        with wrapped.open(context.replace_config(given), {}) as value:
            yield value
