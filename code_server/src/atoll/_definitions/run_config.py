"""Run configuration: the values that one run gives to its assets.

Called by users and by everything that takes run configuration. The plain form is a dict with the
keys `ops`,
`resources`, `execution` and `loggers`; `RunConfig` is the typed way to write it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from atoll._definitions import config_contract, errors

SECTIONS = ("loggers", "resources", "ops", "execution")


@dataclasses.dataclass
class RunConfig:
    """Typed run configuration.

    Attributes:
        ops: Config objects, or plain config, by op name; an asset's op name joins the parts of its
            key by `__`.
        resources: Config of resources by key.
        loggers: Config of loggers by name.
        execution: Config of the execution.
    """

    ops: dict[str, Any] = dataclasses.field(default_factory=dict)
    resources: dict[str, Any] = dataclasses.field(default_factory=dict)
    loggers: dict[str, Any] = dataclasses.field(default_factory=dict)
    execution: dict[str, Any] | None = None

    def to_config_dict(self) -> dict[str, Any]:
        """Return the plain form."""
        return {
            "loggers": dict(self.loggers or {}),
            "resources": {key: _entry(value) for key, value in (self.resources or {}).items()},
            "ops": {name: _entry(value) for name, value in (self.ops or {}).items()},
            "execution": dict(self.execution or {}),
        }


CoercibleToRunConfig: TypeAlias = RunConfig | Mapping[str, Any]


def to_plain(config: CoercibleToRunConfig | None) -> dict[str, Any]:
    """Return run configuration in its plain form.

    Args:
        config: Typed or plain run configuration, or nothing.

    Returns:
        A new dict; empty where nothing was given.

    Raises:
        InvalidConfigError: It is no run configuration.
    """
    if config is None:
        return {}
    if isinstance(config, RunConfig):
        return config.to_config_dict()
    if not isinstance(config, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InvalidConfigError(
            f"Run configuration is a RunConfig or a dict, got {config!r} of type "
            f"{type(config).__name__}.",
            value=config,
        )
    return {key: _without_config_objects(value) for key, value in config.items()}


def _entry(value: Any) -> Any:
    if isinstance(value, config_contract.ConfigClass):
        return {"config": value.to_run_config()}
    return value


def _without_config_objects(value: Any) -> Any:
    # A plain dict may still hold a config object where its plain form belongs.
    if isinstance(value, config_contract.ConfigClass):
        return value.to_run_config()
    if isinstance(value, dict):
        return {key: _without_config_objects(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value
