"""``atoll assets graph`` and ``lineage``: slices of the graph over all locations."""

from typing import Final

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import graph_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2

_DIRECTIONS: Final = {
    "up": graph_pb2.LINEAGE_DIRECTION_UPSTREAM,
    "down": graph_pb2.LINEAGE_DIRECTION_DOWNSTREAM,
    "both": graph_pb2.LINEAGE_DIRECTION_BOTH,
}
_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("OWNER"),
    rendering.Column("GROUP"),
    rendering.Column("DEPENDS ON", shrinks=True),
)
_LINEAGE_COLUMNS = (rendering.Column("STEPS", align="right"), *_COLUMNS)


@click.command()
@click.argument("selection", default="")
@click.option("--location", default="", help="Only assets that this location knows of.")
@click.option("--group", "groups", multiple=True, help="Only assets of it; may be repeated.")
@connection.host_option
@connection.json_option
def graph(
    selection: str, location: str, groups: tuple[str, ...], host: str, *, as_json: bool
) -> None:
    """Show the graph of all locations, or the slice that SELECTION means, with its edges."""

    async def work(client: client_connection.Client) -> None:
        nodes = client.graph.nodes(selection, location_name=location, group_names=groups)
        found = [node async for node in nodes]
        if as_json:
            click.echo(documents.listing("nodes", found))
        elif not found:
            click.echo("There are no such assets.")
        else:
            rows = [_row(node) for node in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@click.command()
@click.argument("keys", nargs=-1, required=True, type=connection.asset_key, metavar="KEY...")
@click.option(
    "--direction",
    type=click.Choice(list(_DIRECTIONS)),
    default="both",
    show_default=True,
    help="Which way along the dependencies.",
)
@click.option("--depth", type=click.IntRange(min=0), default=0, help="How many steps; 0 means all.")
@connection.host_option
@connection.json_option
def lineage(
    keys: tuple[values_pb2.AssetKey, ...], direction: str, depth: int, host: str, *, as_json: bool
) -> None:
    """Show what assets depend on and what depends on them, in all locations, nearest first."""

    async def work(client: client_connection.Client) -> None:
        answer = await client.graph.lineage(keys, _DIRECTIONS[direction], depth=depth)
        if as_json:
            click.echo(documents.single(answer))
            return
        rows = [[str(node.distance), *_row(node)] for node in answer.nodes]
        click.echo(rendering.table(_LINEAGE_COLUMNS, rows, connection.terminal()))
        if answer.is_truncated:
            click.echo("There is more than that; limit it with --depth.", err=True)

    connection.run(host, work)


def _row(node: graph_pb2.GraphNode) -> list[str]:
    upstream = ", ".join(documents.format_asset_key(key) for key in node.upstream_keys)
    return [
        documents.format_asset_key(node.asset_key),
        node.owner_location_name or "(external)",
        node.group_name or rendering.NOTHING,
        upstream or rendering.NOTHING,
    ]
