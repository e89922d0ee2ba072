"""Selections of assets over the whole mesh, as commands take them.

Called by ``atoll backfills``. A host knows the graph; the language of selections is that of user
code, so it is read here.
"""

from collections.abc import Iterable

import click

from atoll import errors
from atoll._definitions import keys, specs
from atoll._definitions.selections import deferred
from atoll.api.v1 import assets_pb2
from atoll.definitions.v1 import values_pb2


def chosen(text: str, assets: Iterable[assets_pb2.Asset]) -> list[values_pb2.AssetKey]:
    """Return the assets that a selection means, as far as a location can materialize them.

    Args:
        text: The selection, such as ``group:sales`` or ``+key:report``.
        assets: All assets of the mesh.

    Raises:
        click.BadParameter: It is none, or names what is not there.
    """
    listed = list(assets)
    known = {spec.key: spec for spec in map(_spec, listed)}
    executable = {
        keys.AssetKey(list(asset.definition.key.path))
        for asset in listed
        if asset.owner_location_name
    }
    try:
        found = deferred.resolve_specs(deferred.parse(text), known)
    except errors.Error as error:
        raise click.BadParameter(str(error), param_hint="--select") from error
    return [values_pb2.AssetKey(path=key.path) for key in sorted(found & executable)]


def _spec(asset: assets_pb2.Asset) -> specs.AssetSpec:
    definition = asset.definition
    return specs.AssetSpec(
        keys.AssetKey(list(definition.key.path)),
        deps=[keys.AssetKey(list(edge.asset_key.path)) for edge in definition.dependencies],
        group_name=definition.group_name or None,
        owners=list(definition.owners),
        tags=dict(definition.tags),
        kinds=set(definition.kinds),
        code_version=definition.code_version or None,
    )
