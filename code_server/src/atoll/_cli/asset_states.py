"""``atoll assets partitions`` and ``staleness``: how assets are doing."""

from typing import Final

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import assets_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2

PARTITIONS_SHOWN: Final = 100

_STATES: Final = {
    "in-progress": assets_pb2.PARTITION_STATE_IN_PROGRESS,
    "failed": assets_pb2.PARTITION_STATE_FAILED,
    "materialized": assets_pb2.PARTITION_STATE_MATERIALIZED,
    "missing": assets_pb2.PARTITION_STATE_MISSING,
}
_STATUSES: Final = {
    "fresh": assets_pb2.STALE_STATUS_FRESH,
    "stale": assets_pb2.STALE_STATUS_STALE,
    "missing": assets_pb2.STALE_STATUS_MISSING,
}
_COUNT_COLUMNS = (
    rendering.Column("STATE", is_status=True),
    rendering.Column("PARTITIONS", align="right"),
)
_PARTITION_COLUMNS = (
    rendering.Column("PARTITION", shrinks=True, names=True, colour="bold"),
    rendering.Column("STATE", is_status=True),
    rendering.Column("MATERIALIZED", align="right"),
    rendering.Column("EVENT", align="right"),
    rendering.Column("RUN"),
)
_STALE_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("OWNER"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("WHY", shrinks=True),
)


@click.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(list(_STATES)),
    help="List the partitions in this state; may be repeated.",
)
@click.option("--all", "all_", is_flag=True, help="List the partitions in whatever state.")
@click.option("--descending", is_flag=True, help="List the last partition first.")
@connection.limit_option(PARTITIONS_SHOWN)
@connection.host_option
@connection.json_option
def partitions(  # noqa: PLR0913 - the options of the command
    key: values_pb2.AssetKey,
    states: tuple[str, ...],
    limit: int,
    host: str,
    *,
    all_: bool,
    descending: bool,
    as_json: bool,
) -> None:
    """Show how many partitions of an asset are in which state, or list some of them."""

    async def work(client: client_connection.Client) -> None:
        if not (states or all_):
            counts = await client.assets.partition_states(key)
            click.echo(documents.single(counts) if as_json else _counts(counts))
            return
        listed = client.assets.partitions(
            key, states=[_STATES[each] for each in states], descending=descending, limit=limit
        )
        found = [each async for each in listed]
        if as_json:
            click.echo(documents.listing("partitions", found))
        elif not found:
            click.echo("There are no such partitions.")
        else:
            terminal = connection.terminal()
            rows = [_partition_row(each, terminal) for each in found]
            click.echo(rendering.table(_PARTITION_COLUMNS, rows, terminal))

    connection.run(host, work)


@click.command()
@click.argument("selection", default="")
@click.option("--location", default="", help="Only assets that this location knows of.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(_STATUSES)),
    help="Only assets of this status; may be repeated.",
)
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def staleness(
    selection: str,
    location: str,
    statuses: tuple[str, ...],
    limit: int,
    host: str,
    *,
    as_json: bool,
) -> None:
    """Show which assets are not what their code and inputs would make of them, and why.

    SELECTION says which assets are looked at; all that can be materialized without one.
    """

    async def work(client: client_connection.Client) -> None:
        listed = client.assets.all_staleness(
            selection,
            location_name=location,
            statuses=[_STATUSES[each] for each in statuses],
            limit=limit,
        )
        found = [each async for each in listed]
        if as_json:
            click.echo(documents.listing("assets", found))
        elif not found:
            click.echo("There are no such assets.")
        else:
            rows = [_stale_row(each) for each in found]
            click.echo(rendering.table(_STALE_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


def _counts(answer: assets_pb2.GetAssetPartitionsResponse) -> str:
    rows = [[documents.enum_name(each, "state"), f"{each.count:,}"] for each in answer.states]
    rows.append(["all", f"{answer.total_count:,}"])
    return rendering.table(_COUNT_COLUMNS, rows, connection.terminal())


def _partition_row(each: assets_pb2.AssetPartition, terminal: rendering.Terminal) -> list[str]:
    event_id = each.materialization_event_id
    return [
        each.partition_key,
        documents.enum_name(each, "state"),
        f"{each.materialization_count}x" if each.materialization_count else rendering.NOTHING,
        str(event_id) if event_id else rendering.NOTHING,
        connection.run_id(each.run_id, terminal) or rendering.NOTHING,
    ]


def _stale_row(each: assets_pb2.AssetStaleness) -> list[str]:
    return [
        documents.format_asset_key(each.asset_key),
        each.owner_location_name or "(external)",
        documents.enum_name(each, "status"),
        "; ".join(cause.reason for cause in each.causes) or rendering.NOTHING,
    ]
