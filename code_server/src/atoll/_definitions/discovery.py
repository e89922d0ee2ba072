"""Finding the definitions of a module.

Called when a location is loaded. A module holds one `Definitions` object, or none: then everything
found in it is served.
"""

from types import ModuleType
from typing import Any

from atoll._definitions import assets, definitions, errors, jobs, sensors, specs


def definitions_in(module: ModuleType) -> definitions.Definitions:
    """Return the definitions of a module.

    Args:
        module: The module, imported.

    Returns:
        Its `Definitions` object; or, where it has none, everything that it defines: assets, bare
        specs, jobs and sensors.

    Raises:
        InvalidDefinitionError: The module holds several `Definitions` objects, or nothing at all.
    """
    found = _named(module, definitions.Definitions)
    if len(found) == 1:
        only: definitions.Definitions = next(iter(found.values()))
        return only
    if found:
        raise errors.InvalidDefinitionError(
            f"The module {module.__name__} holds {len(found)} Definitions objects: "
            f"{', '.join(found)}. "
            "Keep one, or put them together with Definitions.merge."
        )
    return _everything_in(module)


def _everything_in(module: ModuleType) -> definitions.Definitions:
    every_asset = [
        item
        for item in _items(module)
        if isinstance(item, (assets.AssetsDefinition, specs.AssetSpec))
    ]
    every_job = _named(module, jobs.UnresolvedAssetJobDefinition).values()
    every_sensor = _named(module, sensors.SensorDefinition).values()
    if not (every_asset or every_job or every_sensor):
        raise errors.InvalidDefinitionError(
            f"The module {module.__name__} holds no definitions. Define assets, jobs or sensors in "
            "it, or a Definitions object."
        )
    return definitions.Definitions(assets=every_asset, jobs=every_job, sensors=every_sensor)


def _items(module: ModuleType) -> list[Any]:
    """Return the values of a module in order, lists of values opened, each once."""
    flat: list[Any] = []
    for value in list(vars(module).values()):
        flat += value if isinstance(value, (list, tuple)) else [value]
    return list({id(item): item for item in flat}.values())


def _named(module: ModuleType, kind: type[Any]) -> dict[str, Any]:
    """Return the values of a kind under the first of their names."""
    found: dict[int, tuple[str, Any]] = {}
    for name, value in list(vars(module).items()):
        if isinstance(value, kind):
            found.setdefault(id(value), (name, value))
    return dict(found.values())
