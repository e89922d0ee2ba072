"""``atoll pools``: named sets of slots that limit how many steps or runs go on at once."""

import json

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import pools_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

_COLUMNS = (
    rendering.Column("POOL", shrinks=True, names=True, colour="bold"),
    rendering.Column("LIMIT", align="right"),
    rendering.Column("TAKEN", align="right"),
    rendering.Column("WAITING", align="right"),
    rendering.Column("LOCATIONS", shrinks=True),
)
_SLOT_COLUMNS = (
    rendering.Column("RUN", names=True),
    rendering.Column("STEP", shrinks=True),
    rendering.Column("LOCATION"),
    rendering.Column("PRIORITY", align="right"),
    rendering.Column("ASKED"),
    rendering.Column("SLOT SINCE"),
)


@click.group()
def pools() -> None:
    """Show pools, and set how many slots they have."""


@pools.command("list")
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def list_(limit: int, host: str, *, as_json: bool) -> None:
    """List the pools that definitions mention, that have a limit, or that are in use."""

    async def work(client: client_connection.Client) -> None:
        found = [one async for one in client.pools.list(limit=limit)]
        if as_json:
            click.echo(documents.listing("pools", found))
        elif not found:
            click.echo("There are no pools. An op or asset names one with pool=...")
        else:
            click.echo(
                rendering.table(_COLUMNS, [_row(one) for one in found], connection.terminal())
            )

    connection.run(host, work)


@pools.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def show(name: str, host: str, *, as_json: bool) -> None:
    """Show who has a slot of the pool NAME, and who waits for one, in order."""

    async def work(client: client_connection.Client) -> None:
        answer = await client.pools.get(name)
        if as_json:
            click.echo(documents.single(answer))
            return
        who = "runs" if answer.granularity == pools_pb2.POOL_GRANULARITY_RUN else "steps"
        click.echo(f"{name}: {_limit_in_words(answer.pool)}; {who} take the slots.")
        if answer.slots:
            rows = [
                [
                    one.run_id,
                    one.step_key or rendering.NOTHING,
                    one.location_name,
                    str(one.priority),
                    rendering.moment(documents.moment(one, "request_time")),
                    rendering.moment(documents.moment(one, "grant_time"))
                    if one.HasField("grant_time")
                    else "waits",
                ]
                for one in answer.slots
            ]
            click.echo(rendering.table(_SLOT_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@pools.command("set")
@click.argument("name")
@click.argument("limit", type=int)
@connection.host_option
@connection.json_option
def set_(name: str, limit: int, host: str, *, as_json: bool) -> None:
    """Give the pool NAME a limit of its own of LIMIT slots; 0 closes it."""

    async def work(client: client_connection.Client) -> None:
        pool = await client.pools.set_limit(name, limit)
        click.echo(documents.single(pool) if as_json else f"{name}: {_limit_in_words(pool)}.")

    connection.run(host, work)


@pools.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def delete(name: str, host: str, *, as_json: bool) -> None:
    """Take the limit of its own from the pool NAME; the default of the host counts again."""

    async def work(client: client_connection.Client) -> None:
        deleted = await client.pools.delete(name)
        if as_json:
            click.echo(json.dumps({"deleted": deleted}))
        elif deleted:
            click.echo(f"{name} has no limit of its own any more.")
        else:
            click.echo(f"{name} had no limit of its own.")

    connection.run(host, work)


def _row(pool: pools_pb2.Pool) -> list[str]:
    limit = str(pool.limit) if pool.HasField("limit") else "none"
    return [
        pool.name,
        f"{limit} (default)" if pool.limit_is_default else limit,
        str(pool.taken_count),
        str(pool.waiting_count),
        ", ".join(pool.location_names) or rendering.NOTHING,
    ]


def _limit_in_words(pool: pools_pb2.Pool) -> str:
    if not pool.HasField("limit"):
        return "no limit, so it holds up nothing"
    if pool.limit == 0:
        return "closed, so nothing begins"
    told = rendering.count(pool.limit, "slot")
    told += " by default" if pool.limit_is_default else ""
    return f"{told}, {pool.taken_count} taken, {pool.waiting_count} waiting"
