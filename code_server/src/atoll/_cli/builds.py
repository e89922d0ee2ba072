"""``atoll locations builds`` and ``changes``: what locations loaded, and what became different."""

from typing import Final

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import builds_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

SHOWN: Final = 20

_COLUMNS = (
    rendering.Column("TIME"),
    rendering.Column("RESULT", is_status=True),
    rendering.Column("BUILD", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOADED IN"),
    rendering.Column("PROBLEM", shrinks=True, colour="red"),
)
_CHANGE_COLUMNS = (
    rendering.Column("CHANGE"),
    rendering.Column("WHAT"),
    rendering.Column("NAME", shrinks=True, names=True, colour="bold"),
    rendering.Column("FIELDS", shrinks=True),
)


@click.command()
@click.argument("name")
@connection.limit_option(SHOWN)
@connection.host_option
@connection.json_option
def builds(name: str, limit: int, host: str, *, as_json: bool) -> None:
    """List what the location NAME loaded and what it could not load, newest first."""

    async def work(client: client_connection.Client) -> None:
        found = [load async for load in client.builds.loads(name, limit=limit)]
        if as_json:
            click.echo(documents.listing("loads", found))
        elif not found:
            click.echo(f"No load of {name} is remembered.")
        else:
            rows = [_row(load) for load in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@click.command()
@click.argument("name")
@click.option(
    "--from", "from_build_id", default="", help="The build to compare with; else the one before."
)
@click.option("--to", "to_build_id", default="", help="The build; else the one that serves.")
@connection.host_option
@connection.json_option
def changes(name: str, from_build_id: str, to_build_id: str, host: str, *, as_json: bool) -> None:
    """Show what a build of the location NAME defines otherwise than the one before it."""

    async def work(client: client_connection.Client) -> None:
        answer = await client.builds.changes(
            name, from_build_id=from_build_id, to_build_id=to_build_id
        )
        if as_json:
            click.echo(documents.single(answer))
            return
        click.echo(f"{name}: {answer.from_build.build_id} -> {answer.to_build.build_id}")
        if not answer.changes:
            click.echo("They define the same.")
            return
        rows = [_change_row(change) for change in answer.changes]
        click.echo(rendering.table(_CHANGE_COLUMNS, rows, connection.terminal()))
        if answer.is_truncated:
            click.echo("There are more changes than that.", err=True)

    connection.run(host, work)


def _row(load: builds_pb2.Load) -> list[str]:
    failed = load.HasField("failure")
    took = documents.seconds(load.build.load_duration) if load.HasField("build") else None
    return [
        rendering.moment(documents.moment(load, "create_time")),
        "FAILED" if failed else "SUCCESS",
        load.build.build_id or rendering.NOTHING,
        rendering.NOTHING if failed else rendering.duration(took),
        documents.failure_line(load.failure) if failed else "",
    ]


def _change_row(change: builds_pb2.DefinitionChange) -> list[str]:
    return [
        documents.enum_name(change, "change_kind").lower(),
        documents.enum_name(change, "definition_kind").lower().replace("_", " "),
        change.name,
        ", ".join(change.field_names),
    ]
