"""What inputs and outputs take as config by the IO managers that load and store them.

Called by the configuration of jobs, which describes and checks it, and by the execution of steps,
which resolves it. A resource that is no IO manager, and one that names no schema, takes nothing.
"""

from collections.abc import Mapping
from typing import Any

from atoll._definitions import config_contract, config_schemas


def input_field(
    resources: Mapping[str, Any], manager_key: str
) -> config_contract.ConfigField | None:
    """Return what inputs that a resource loads take as config; None for nothing.

    Args:
        resources: What users gave as resources, by key.
        manager_key: The resource that loads.
    """
    return _field(resources.get(manager_key), "input_config_schema")


def output_field(
    resources: Mapping[str, Any], manager_key: str
) -> config_contract.ConfigField | None:
    """Return what outputs that a resource stores take as config; None for nothing.

    Args:
        resources: What users gave as resources, by key.
        manager_key: The resource that stores.
    """
    return _field(resources.get(manager_key), "output_config_schema")


def any_inputs(resources: Mapping[str, Any]) -> bool:
    """Tell whether one of the resources takes config for the inputs that it loads."""
    return any(input_field(resources, key) is not None for key in resources)


def _field(manager: Any, attribute: str) -> config_contract.ConfigField | None:
    told = getattr(manager, attribute, None)
    if told is None or isinstance(told, config_contract.ConfigField):
        return told
    # A resource class tells it by a class method, in whatever form users write schemas.
    return config_schemas.coerce(told()) if callable(told) else None
