"""``atoll assets materializations`` and ``observations``: what the log has of one asset."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import click

from atoll._cli import connection, moments, rendering
from atoll.client import assets as client_assets
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

SHOWN: Final = 50

Command = TypeVar("Command", bound=Callable[..., Any])

_COLUMNS = (
    rendering.Column("EVENT", align="right"),
    rendering.Column("TIME"),
    rendering.Column("PARTITION"),
    rendering.Column("RUN"),
    rendering.Column("METADATA", shrinks=True),
)


def _filters(command: Command) -> Command:
    for option in reversed(
        (
            click.option(
                "--partition", "partitions", multiple=True, help="Only of it; may be repeated."
            ),
            click.option(
                "--after",
                type=moments.parse,
                metavar=moments.METAVAR,
                help="Only what happened after this time.",
            ),
            click.option(
                "--before",
                type=moments.parse,
                metavar=moments.METAVAR,
                help="Only what happened before this time.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@_filters
@connection.limit_option(SHOWN)
@connection.host_option
@connection.json_option
def materializations(
    key: values_pb2.AssetKey, limit: int, host: str, *, as_json: bool, **chosen: Any
) -> None:
    """List the materializations of one asset, newest first."""
    wanted = _wanted(**chosen)

    async def work(client: client_connection.Client) -> None:
        found = [each async for each in client.assets.materializations(key, wanted, limit=limit)]
        _show("materializations", found, as_json=as_json)

    connection.run(host, work)


@click.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@_filters
@connection.limit_option(SHOWN)
@connection.host_option
@connection.json_option
def observations(
    key: values_pb2.AssetKey, limit: int, host: str, *, as_json: bool, **chosen: Any
) -> None:
    """List the observations of one asset, newest first."""
    wanted = _wanted(**chosen)

    async def work(client: client_connection.Client) -> None:
        found = [each async for each in client.assets.observations(key, wanted, limit=limit)]
        _show("observations", found, as_json=as_json)

    connection.run(host, work)


def _wanted(
    partitions: tuple[str, ...], after: dt.datetime | None, before: dt.datetime | None
) -> client_assets.Wanted:
    return client_assets.Wanted(partitions, after, before)


def _show(name: str, found: Iterable[events_pb2.StoredEvent], *, as_json: bool) -> None:
    events = list(found)
    if as_json:
        click.echo(documents.listing(name, events))
    elif not events:
        click.echo(f"There are no such {name}.")
    else:
        terminal = connection.terminal()
        rows = [_row(stored, terminal) for stored in events]
        click.echo(rendering.table(_COLUMNS, rows, terminal))


def _row(stored: events_pb2.StoredEvent, terminal: rendering.Terminal) -> list[str]:
    event = stored.event
    observed = event.HasField("asset_observation")
    told = event.asset_observation if observed else event.asset_materialization
    values = documents.metadata(told.metadata)
    return [
        str(stored.id),
        rendering.moment(documents.moment(event, "timestamp")),
        told.partition or rendering.NOTHING,
        connection.run_id(event.run_id, terminal) or rendering.NOTHING,
        "  ".join(f"{name}={value}" for name, value in values.items()),
    ]
