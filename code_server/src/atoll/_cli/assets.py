"""``atoll assets``: the asset graph over all locations."""

from typing import Final

import click

from atoll._cli import (
    asset_events,
    asset_graph,
    asset_states,
    checks,
    connection,
    definition_texts,
    freshness,
    rendering,
)
from atoll.api.v1 import assets_pb2, checks_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

MATERIALIZATIONS_SHOWN: Final = 5
CHECKS_FEATURE: Final = "checks"

_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("OWNER"),
    rendering.Column("GROUP"),
    rendering.Column("DEPENDS ON", shrinks=True),
    rendering.Column("MATERIALIZED"),
    rendering.Column("RUN"),
)
_MATERIALIZATION_COLUMNS = (
    rendering.Column("EVENT", align="right"),
    rendering.Column("TIME"),
    rendering.Column("RUN"),
    rendering.Column("METADATA", shrinks=True),
)


@click.group()
def assets() -> None:
    """Show assets. Keys are written a/b/c."""


for _command in (
    asset_graph.graph,
    asset_graph.lineage,
    asset_events.materializations,
    asset_events.observations,
    asset_states.partitions,
    asset_states.staleness,
):
    assets.add_command(_command)


@assets.command("list")
@click.option("--location", default="", help="Only assets of this location.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(location: str, limit: int | None, host: str, *, as_json: bool) -> None:
    """List the assets of all locations."""

    async def work(client: client_connection.Client) -> None:
        found = [asset async for asset in client.assets.list(location_name=location, limit=limit)]
        if as_json:
            click.echo(documents.listing("assets", found))
        elif not found:
            click.echo("There are no assets" + (f" in {location}." if location else " yet."))
        else:
            terminal = connection.terminal()
            rows = [_row(asset, terminal) for asset in found]
            click.echo(rendering.table(_COLUMNS, rows, terminal))

    connection.run(host, work)


@assets.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@connection.host_option
@connection.json_option
def show(key: values_pb2.AssetKey, host: str, *, as_json: bool) -> None:
    """Show one asset, its checks and its newest materializations."""

    async def work(client: client_connection.Client) -> None:
        asset = await client.assets.get(key)
        if as_json:
            click.echo(documents.single(asset))
            return
        newest = client.assets.materializations(key, limit=MATERIALIZATIONS_SHOWN)
        events = [event async for event in newest]
        found: list[checks_pb2.AssetCheck] = []
        # A host of the release before knows of no checks, and shows its assets all the same.
        if CHECKS_FEATURE in client.server.features:
            found = [check async for check in client.checks.list(asset_key=key)]
        fresh = ""
        if freshness.FEATURE in client.server.features:
            fresh = freshness.summary(await client.freshness.get(key))
        click.echo(_details(asset, found, fresh))
        if events:
            terminal = connection.terminal()
            rows = [_materialization_row(event, terminal) for event in events]
            click.echo("")
            click.echo(rendering.table(_MATERIALIZATION_COLUMNS, rows, terminal))

    connection.run(host, work)


def _row(asset: assets_pb2.Asset, terminal: rendering.Terminal) -> list[str]:
    latest = asset.latest_materialization if asset.HasField("latest_materialization") else None
    return [
        documents.format_asset_key(asset.definition.key),
        asset.owner_location_name or "(external)",
        asset.definition.group_name or rendering.NOTHING,
        _keys([each.asset_key for each in asset.definition.dependencies]) or rendering.NOTHING,
        rendering.moment(documents.moment(latest.event, "timestamp") if latest else None),
        connection.run_id(latest.event.run_id, terminal) if latest else rendering.NOTHING,
    ]


def _materialization_row(stored: events_pb2.StoredEvent, terminal: rendering.Terminal) -> list[str]:
    values = documents.metadata(stored.event.asset_materialization.metadata)
    return [
        str(stored.id),
        rendering.moment(documents.moment(stored.event, "timestamp")),
        connection.run_id(stored.event.run_id, terminal) or rendering.NOTHING,
        "  ".join(f"{name}={value}" for name, value in values.items()),
    ]


def _details(asset: assets_pb2.Asset, found: list[checks_pb2.AssetCheck], fresh: str) -> str:
    terminal = connection.terminal()
    definition = asset.definition
    dependencies = [each.asset_key for each in definition.dependencies]
    metadata = documents.metadata(definition.metadata)
    pairs = [
        ("asset", documents.format_asset_key(definition.key)),
        ("description", definition.description),
        ("owner", asset.owner_location_name or "(external: no location materializes it)"),
        ("known in", ", ".join(asset.location_names)),
        ("group", definition.group_name),
        ("owners", ", ".join(definition.owners)),
        ("kinds", ", ".join(definition.kinds)),
        ("tags", ", ".join(f"{name}={definition.tags[name]}" for name in sorted(definition.tags))),
        ("code version", definition.code_version),
        (
            "partitions",
            definition_texts.partitions(definition.partitions)
            if definition.HasField("partitions")
            else "",
        ),
        (
            "checks",
            "\n".join(f"{each.definition.key.name} {checks.result(each)}" for each in found),
        ),
        ("freshness", fresh),
        ("depends on", _keys(dependencies)),
        ("needed by", _keys(list(asset.downstream_keys))),
        ("metadata", "\n".join(f"{name} = {value}" for name, value in metadata.items())),
        ("defined in", _position(asset)),
    ]
    return rendering.fields(pairs, terminal)


def _keys(keys: list[values_pb2.AssetKey]) -> str:
    return ", ".join(documents.format_asset_key(key) for key in keys)


def _position(asset: assets_pb2.Asset) -> str:
    source = asset.definition.source
    return f"{source.file}:{source.line}" if source.file else ""
