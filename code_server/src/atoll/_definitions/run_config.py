"""Run configuration: the values that one run gives to its ops, assets, resources and loggers.

Called by users and by everything that takes run configuration. The plain form is a dict with the
keys `ops`, `resources`, `execution` and `loggers`; `RunConfig` is the typed way to write it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from atoll import errors
from atoll._definitions import config_contract, environment, plain_data

SECTIONS = ("loggers", "resources", "ops", "execution")
_SECTIONS_BY_NAME = frozenset({"loggers", "resources", "ops"})


@dataclasses.dataclass
class RunConfig:
    """Typed run configuration.

    Attributes:
        ops: Config objects, or plain config, by op name; an asset's op name joins the parts of its
            key by `__`. For a graph, a `RunConfig` or `{"ops": {...}}` with what its ops take.
        resources: Config objects, resource objects, or plain config of resources by key.
        loggers: Config objects, or plain config, of loggers by name.
        execution: Config of the execution.
    """

    ops: dict[str, Any] = dataclasses.field(default_factory=dict)
    resources: dict[str, Any] = dataclasses.field(default_factory=dict)
    loggers: dict[str, Any] = dataclasses.field(default_factory=dict)
    execution: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        # None stands for nothing, so that it equals what says nothing.
        self.ops = _section("ops", self.ops)
        self.resources = _section("resources", self.resources)
        self.loggers = _section("loggers", self.loggers)
        self.execution = _section("execution", self.execution)

    def to_config_dict(self) -> dict[str, Any]:
        """Return the plain form."""
        return {
            "loggers": _entries(self.loggers),
            "resources": _entries(self.resources),
            "ops": _entries(self.ops),
            "execution": plain(self.execution or {}),
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
    if not plain_data.is_mapping(config):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InvalidConfigError(
            f"Run configuration is a RunConfig or a dict, got {config!r} of type "
            f"{type(config).__name__}.",
            value=config,
        )
    return {
        key: _entries(value)
        if key in _SECTIONS_BY_NAME and plain_data.is_mapping(value)
        else plain(value)
        for key, value in config.items()
    }


def plain(value: Any) -> Any:
    """Return a value of run configuration as plain data, at any depth.

    Args:
        value: Config objects, references to the environment, or plain data.
    """
    if isinstance(value, (environment.EnvVar, environment.IntEnvVar)):
        return environment.reference(value)
    to_run_config = _to_run_config(value)
    if to_run_config is not None:
        return to_run_config()
    if isinstance(value, RunConfig):
        return value.to_config_dict()
    if plain_data.is_mapping(value):
        return {key: plain(item) for key, item in value.items()}
    if plain_data.is_list(value):
        return [plain(item) for item in value]
    return value


def _entries(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _entry(value) for name, value in section.items()}


def _entry(value: Any) -> Any:
    """Return what stands for one op, resource or logger: its config, or those within it."""
    if isinstance(value, RunConfig):
        # For a graph: only ops can stand within one.
        return {"ops": _entries(value.ops)}
    to_run_config = _to_run_config(value)
    if to_run_config is not None:
        return {"config": to_run_config()}
    if not plain_data.is_mapping(value):
        return plain(value)
    return {
        key: _entries(item) if key == "ops" and plain_data.is_mapping(item) else plain(item)
        for key, item in value.items()
    }


def _to_run_config(value: Any) -> Callable[[], dict[str, Any]] | None:
    if isinstance(value, config_contract.ConfigClass):
        return value.to_run_config
    # Resource objects know what they are configured with.
    found = None if isinstance(value, type) else getattr(value, "to_run_config", None)
    return cast("Callable[[], dict[str, Any]]", found) if callable(found) else None


def _section(name: str, section: Any) -> dict[str, Any]:
    if section is None:
        return {}
    if not plain_data.is_mapping(section):
        raise errors.InvalidConfigError(
            f"The section {name} of a RunConfig is {section!r} of type {type(section).__name__}. "
            "Give a dict.",
            (name,),
            section,
        )
    return dict(section)
