"""``atoll partitions``: partition keys that are data, the same for all locations."""

import json

import click

from atoll._cli import connection, rendering
from atoll.client import connection as client_connection
from atoll.client import documents

_COLUMNS = (
    rendering.Column("PARTITION", shrinks=True, names=True, colour="bold"),
    rendering.Column("ADDED"),
)


@click.group()
def partitions() -> None:
    """Show, add and delete keys of dynamic partitions definitions."""


@partitions.command("list")
@click.argument("name")
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def list_(name: str, limit: int, host: str, *, as_json: bool) -> None:
    """List the keys of the definition NAME in the order in which they were added."""

    async def work(client: client_connection.Client) -> None:
        found = [one async for one in client.partitions.list(name, limit=limit)]
        if as_json:
            click.echo(documents.listing("partitions", found))
        elif not found:
            click.echo(f"{name} has no partitions yet.")
        else:
            rows = [
                [one.partition_key, rendering.moment(documents.moment(one, "create_time"))]
                for one in found
            ]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@partitions.command()
@click.argument("name")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@connection.host_option
@connection.json_option
def add(name: str, keys: tuple[str, ...], host: str, *, as_json: bool) -> None:
    """Add keys to the definition NAME; those that are there already stay where they are."""

    async def work(client: client_connection.Client) -> None:
        count = await client.partitions.add(name, keys)
        _tell("added", count, name, as_json=as_json)

    connection.run(host, work)


@partitions.command()
@click.argument("name")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@connection.host_option
@connection.json_option
def delete(name: str, keys: tuple[str, ...], host: str, *, as_json: bool) -> None:
    """Take keys out of the definition NAME; what was materialized for them stays."""

    async def work(client: client_connection.Client) -> None:
        count = await client.partitions.delete(name, keys)
        _tell("deleted", count, name, as_json=as_json)

    connection.run(host, work)


def _tell(what: str, count: int, name: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({f"{what}_count": count}))
        return
    partitions_ = "partition" if count == 1 else "partitions"
    click.echo(f"{what.capitalize()} {count} {partitions_} of {name}.")
