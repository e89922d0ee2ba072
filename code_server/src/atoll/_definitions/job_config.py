"""What run configuration says for a job, checked.

Called when a run is planned, and when definitions are checked: the configuration that a job brings
along is held to the same rules as the one that a launch brings.
"""

from collections.abc import Mapping
from typing import Any

from atoll._definitions import assets, config_contract, errors, jobs
from atoll._definitions import run_config as run_configs


def check(job: jobs.JobDefinition, config: Mapping[str, Any]) -> None:
    """Check run configuration for a job.

    Args:
        job: The job.
        config: The plain run configuration.

    Raises:
        InvalidConfigError: It does not fit.
    """
    ops = checked_ops(config, job)
    for one in job.graph.definitions_of(sorted(job.asset_keys)):
        config_of(one, ops.get(one.op_name, {}))


def config_of(
    one: assets.AssetsDefinition, values: Mapping[str, Any]
) -> config_contract.ConfigClass | None:
    """Make the config of an asset's function.

    Args:
        one: The asset.
        values: Its plain config.

    Returns:
        The config, None where the function takes none.

    Raises:
        InvalidConfigError: The plain config does not fit.
    """
    config_class = one.computation.config_class
    if config_class is None:
        return None
    return config_class.from_run_config(values, ("ops", one.op_name, "config"))


def checked_ops(config: Mapping[str, Any], job: jobs.JobDefinition) -> Mapping[str, Any]:
    """Check the outer shape of run configuration.

    Args:
        config: The plain run configuration.
        job: The job.

    Returns:
        The plain config of each op that has one.

    Raises:
        InvalidConfigError: A section or an op is unknown, or takes no config.
    """
    for section, value in config.items():
        if section not in run_configs.SECTIONS:
            raise errors.InvalidConfigError(
                f"Run configuration has no section {section!r}; it has "
                f"{', '.join(sorted(run_configs.SECTIONS))}.",
                (section,),
                value,
            )
        if value and section != "ops":
            raise errors.InvalidConfigError(
                f"Nothing of the job {job.name!r} takes configuration at {section}, got {value!r}. "
                "Leave it out.",
                (section,),
                value,
            )
    given: Any = config.get("ops") or {}
    if not _is_mapping(given):
        raise errors.InvalidConfigError(
            f"At ops: expected config by op name, got {given!r}.", ("ops",), given
        )
    configurable = {
        one.op_name: one.computation.config_class is not None
        for one in job.graph.definitions_of(job.asset_keys)
    }
    entries: Mapping[str, Any] = given
    return {
        name: _op_config(name, entry, configurable, job.name) for name, entry in entries.items()
    }


def _op_config(
    name: str, entry: Any, configurable: Mapping[str, bool], job_name: str
) -> Mapping[str, Any]:
    path = ("ops", name)
    if name not in configurable:
        raise errors.InvalidConfigError(
            f"At ops/{name}: the job {job_name!r} has no op {name!r}; it has "
            f"{', '.join(sorted(configurable)) or 'none'}.",
            path,
            entry,
        )
    if not _is_mapping(entry) or set(entry) - {"config"}:
        raise errors.InvalidConfigError(
            f"At ops/{name}: expected {{'config': {{...}}}}, got {entry!r}.", path, entry
        )
    values: Any = entry.get("config") or {}
    if not _is_mapping(values):
        raise errors.InvalidConfigError(
            f"At ops/{name}/config: expected values by name, got {values!r}.",
            (*path, "config"),
            values,
        )
    if values and not configurable[name]:
        raise errors.InvalidConfigError(
            f"At ops/{name}/config: the asset takes no config, got {values!r}. "
            "Give its function a parameter 'config' annotated with a Config class.",
            (*path, "config"),
            values,
        )
    plain: Mapping[str, Any] = values
    return plain


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)
