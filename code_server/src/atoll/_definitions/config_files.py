"""Run configuration from YAML.

Called by users. PyYAML is no dependency of a code location: it is looked for when YAML is read.
"""

import functools
import glob
import importlib
import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from atoll import errors
from atoll._definitions import plain_data


def config_from_yaml_strings(yaml_strings: Iterable[str]) -> dict[str, Any]:
    """Return the run configuration that several YAML documents make together.

    Args:
        yaml_strings: The documents; what a later one says goes before what earlier ones do, key by
            key at any depth.

    Returns:
        The plain run configuration.

    Raises:
        InvariantViolationError: A document is no YAML, or no mapping, or PyYAML is missing.
    """
    return _merged([(f"YAML string {number}", text) for number, text in enumerate(yaml_strings, 1)])


def config_from_files(config_files: Iterable[str]) -> dict[str, Any]:
    """Return the run configuration that several YAML files make together.

    Args:
        config_files: Paths or patterns of paths; later ones go before earlier ones.

    Returns:
        The plain run configuration.

    Raises:
        InvariantViolationError: There is no such file, or one is no YAML mapping.
    """
    documents: list[tuple[str, str]] = []
    for pattern in config_files:
        found = sorted(glob.glob(str(pattern)))  # noqa: PTH207 - patterns may be absolute
        if not found:
            raise errors.InvariantViolationError(
                f"No file is there for {pattern!r}. Give paths, or patterns that match some file."
            )
        documents.extend((path, Path(path).read_text(encoding="utf-8")) for path in found)
    return _merged(documents)


def config_from_pkg_resources(
    pkg_resource_defs: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """Return the run configuration that several YAML files within packages make together.

    Args:
        pkg_resource_defs: The packages and the names of the files; later ones go before earlier
            ones.

    Returns:
        The plain run configuration.

    Raises:
        InvariantViolationError: There is no such file, or one is no YAML mapping.
    """
    documents: list[tuple[str, str]] = []
    for package, name in pkg_resource_defs:
        try:
            text = importlib.resources.files(package).joinpath(name).read_text(encoding="utf-8")
        except (ModuleNotFoundError, FileNotFoundError, IsADirectoryError, TypeError) as error:
            raise errors.InvariantViolationError(
                f"The package {package!r} has no file {name!r}. Correct the name, or install the "
                "package with its data."
            ) from error
        documents.append((f"{package}:{name}", text))
    return _merged(documents)


def _merged(documents: Sequence[tuple[str, str]]) -> dict[str, Any]:
    yaml = _yaml() if documents else None
    parsed = [_parsed(yaml, place, text) for place, text in documents]
    return functools.reduce(_merge, parsed, {})


def _parsed(yaml: Any, place: str, text: str) -> dict[str, Any]:
    try:
        parsed: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise errors.InvariantViolationError(f"{place} is no YAML: {error}. Correct it.") from error
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise errors.InvariantViolationError(
            f"{place} holds {parsed!r}. Run configuration is a mapping with the keys ops, "
            "resources, loggers and execution."
        )
    return cast("dict[str, Any]", parsed)


def _merge(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(earlier)
    for key, value in later.items():
        before = merged.get(key)
        if plain_data.is_mapping(before) and plain_data.is_mapping(value):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


def _yaml() -> ModuleType:
    try:
        return importlib.import_module("yaml")
    except ModuleNotFoundError as error:
        raise errors.InvariantViolationError(
            "YAML cannot be read, since PyYAML is not installed. Install atoll[yaml]."
        ) from error
