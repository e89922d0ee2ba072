"""Keys of assets, checks and jobs as the names that conditions use, and back.

Called by everything that takes conditions from definitions to their evaluation.
"""

from __future__ import annotations

from atoll._conditions import entities
from atoll._definitions import keys


def entity_of(key: keys.EntityKey, location_name: str = "") -> entities.Entity:
    """Return the name that conditions have for a key.

    Args:
        key: The key.
        location_name: The location, for the key of a job; empty within one location.
    """
    if isinstance(key, keys.AssetKey):
        return entities.asset(key.path)
    if isinstance(key, keys.AssetCheckKey):
        return entities.check(key.asset_key.path, key.name)
    return entities.job(location_name, key.job_name)


def key_of(entity: entities.Entity) -> keys.EntityKey:
    """Return the key that a name of conditions stands for.

    Args:
        entity: The name.
    """
    if entity.kind == entities.ASSET:
        return keys.AssetKey(entity.path)
    if entity.kind == entities.CHECK:
        return keys.AssetCheckKey(keys.AssetKey(entity.path), entity.name)
    return keys.AssetJobKey(entity.name)
