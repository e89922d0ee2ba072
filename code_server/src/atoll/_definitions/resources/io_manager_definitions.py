"""Definitions of IO managers and input managers: resources that store and load values.

Called by users and by the decorators. What an IO manager does is in `_execution.io_managers`.
"""

from collections.abc import Collection
from typing import Any

from atoll._definitions import config_contract, config_schemas
from atoll._definitions.resources import definition


class InputManagerDefinition(definition.ResourceDefinition):
    """Makes an object that loads values for inputs.

    Args:
        resource_fn: Gives the object, as with `ResourceDefinition`.
        config_schema: What it takes as config.
        description: What it is.
        input_config_schema: What inputs that are loaded by it take as config.
        required_resource_keys: The resources that it needs.
        version: The version of the code.
    """

    def __init__(
        self,
        resource_fn: definition.ResourceFunction,
        config_schema: Any = None,
        description: str | None = None,
        input_config_schema: Any = None,
        required_resource_keys: Collection[str] | None = None,
        version: str | None = None,
    ) -> None:
        super().__init__(resource_fn, config_schema, description, required_resource_keys, version)
        self._input_field = config_schemas.coerce(input_config_schema)

    @property
    def input_config_schema(self) -> config_contract.ConfigField | None:
        """What inputs that are loaded by it take as config; None for nothing."""
        return self._input_field


class LoadingFunction:
    """Loads values by a function of the user's.

    Args:
        function: Takes an `InputContext`, or nothing; returns the value, or an object whose
            `load_input` does.
    """

    def __init__(self, function: definition.ResourceFunction) -> None:
        self._function = function
        self._takes_context = definition.takes_context(function)

    def load_input(self, context: Any) -> Any:
        """Load a value.

        Args:
            context: Which value.
        """
        loaded = self._function(context) if self._takes_context else self._function()
        further = getattr(loaded, "load_input", None)
        return further(context) if callable(further) else loaded


class IOManagerDefinition(definition.ResourceDefinition):
    """Makes an IO manager, anew for each run.

    Args:
        resource_fn: Gives the IO manager, as with `ResourceDefinition`.
        config_schema: What it takes as config.
        description: What it is.
        required_resource_keys: The resources that it needs.
        version: The version of the code.
        input_config_schema: What inputs that are loaded by it take as config.
        output_config_schema: What outputs that are stored by it take as config.
    """

    def __init__(
        self,
        resource_fn: definition.ResourceFunction,
        config_schema: Any = None,
        description: str | None = None,
        required_resource_keys: Collection[str] | None = None,
        version: str | None = None,
        input_config_schema: Any = None,
        output_config_schema: Any = None,
    ) -> None:
        super().__init__(resource_fn, config_schema, description, required_resource_keys, version)
        self._input_field = config_schemas.coerce(input_config_schema)
        self._output_field = config_schemas.coerce(output_config_schema)

    @staticmethod
    def hardcoded_io_manager(value: Any, description: str | None = None) -> "IOManagerDefinition":
        """Make an IO manager that is always the same object.

        Args:
            value: The IO manager.
            description: What it is.
        """
        return IOManagerDefinition(lambda: value, description=description)

    @property
    def input_config_schema(self) -> config_contract.ConfigField | None:
        """What inputs that are loaded by it take as config; None for nothing."""
        return self._input_field

    @property
    def output_config_schema(self) -> config_contract.ConfigField | None:
        """What outputs that are stored by it take as config; None for nothing."""
        return self._output_field
