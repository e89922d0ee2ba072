"""``atoll partitions``: partition keys, those that are data and those of definitions."""

import json

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import partitions_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.client import partitions as client_partitions
from atoll.definitions.v1 import values_pb2

_COLUMNS = (
    rendering.Column("PARTITION", shrinks=True, names=True, colour="bold"),
    rendering.Column("ADDED"),
)

_KEY_COLUMNS = (
    rendering.Column("PARTITION", shrinks=True, names=True, colour="bold"),
    rendering.Column("FROM"),
    rendering.Column("TO"),
    rendering.Column("DIMENSIONS", shrinks=True),
)


@click.group()
def partitions() -> None:
    """Show partition keys; add and delete those of dynamic partitions definitions."""


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


@partitions.command()
@click.option("--asset", type=connection.asset_key, metavar="KEY", help="The asset.")
@click.option("--job", default="", help="Or the job.")
@click.option("--location", default="", help="Needed where several locations have the job.")
@click.option("--from", "start", default="", help="Begin with this key.")
@click.option("--to", "end", default="", help="End with this key.")
@click.option("--descending", is_flag=True, help="List the last key first.")
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def keys(  # noqa: PLR0913 - the options of the command
    asset: values_pb2.AssetKey | None,
    job: str,
    location: str,
    limit: int,
    host: str,
    *,
    start: str,
    end: str,
    descending: bool,
    as_json: bool,
) -> None:
    """List the partition keys of an asset or a job, in order, with what they mean."""
    if (asset is None) == (not job):
        raise click.UsageError("Give --asset or --job, one of the two.")
    subject = client_partitions.Subject(asset, job, location)
    span = client_partitions.Span(start, end, descending)

    async def work(client: client_connection.Client) -> None:
        found = [one async for one in client.partitions.keys(subject, span=span, limit=limit)]
        if as_json:
            click.echo(documents.listing("partitions", found))
        elif not found:
            click.echo("There are no partitions.")
        else:
            rows = [_key_row(one) for one in found]
            click.echo(rendering.table(_KEY_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


def _key_row(one: partitions_pb2.PartitionKeyInfo) -> list[str]:
    window = one.time_window if one.HasField("time_window") else None
    dimensions = (f"{name}={one.dimension_keys[name]}" for name in sorted(one.dimension_keys))
    return [
        one.partition_key,
        rendering.moment(documents.moment(window, "start") if window else None),
        rendering.moment(documents.moment(window, "end") if window else None),
        "  ".join(dimensions) or rendering.NOTHING,
    ]


def _tell(what: str, count: int, name: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({f"{what}_count": count}))
        return
    partitions_ = "partition" if count == 1 else "partitions"
    click.echo(f"{what.capitalize()} {count} {partitions_} of {name}.")
