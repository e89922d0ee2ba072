"""``atoll audit``: who changed what, and who was refused."""

import datetime as dt

import click

from atoll._cli import connection, moments, rendering
from atoll.api.v1 import audit_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

_COLUMNS = (
    rendering.Column("TIME"),
    rendering.Column("WHO", colour="bold"),
    rendering.Column("CALL", names=True),
    rendering.Column("LOCATIONS", shrinks=True),
    rendering.Column("OUTCOME", is_status=True),
    rendering.Column("WHAT", shrinks=True),
)


@click.group()
def audit() -> None:
    """Show the audit log: calls that changed something or were refused."""


@audit.command("list")
@click.option("--caller", default="", help="Only calls of this caller: a name, or a token's id.")
@click.option("--rpc", default="", help="Only this call, such as LaunchRun.")
@click.option("--location", default="", metavar="NAME", help="Only calls about this location.")
@click.option(
    "--started-from",
    type=moments.parse,
    metavar=moments.METAVAR,
    help="Only calls that began at this time or later.",
)
@click.option(
    "--started-before",
    type=moments.parse,
    metavar=moments.METAVAR,
    help="Only calls that began before this time.",
)
@connection.limit_option(50)
@connection.host_option
@connection.json_option
def list_(  # noqa: PLR0913 - each is an option
    *,
    caller: str,
    rpc: str,
    location: str,
    started_from: dt.datetime | None,
    started_before: dt.datetime | None,
    limit: int,
    host: str,
    as_json: bool,
) -> None:
    """List calls, newest first: who, when, what, and what became of it."""

    async def work(client: client_connection.Client) -> None:
        listed = client.audit.entries(
            caller=caller,
            rpc=rpc,
            location_name=location,
            started_from=started_from,
            started_before=started_before,
            limit=limit,
        )
        found = [entry async for entry in listed]
        if as_json:
            click.echo(documents.listing("entries", found))
        elif not found:
            click.echo("Nobody changed anything like that.")
        else:
            rows = [_row(entry) for entry in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


def _row(entry: audit_pb2.AuditEntry) -> list[str]:
    outcome = documents.enum_name(entry, "outcome")
    asked = ", ".join(f"{path}={text}" for path, text in sorted(entry.arguments.items()))
    return [
        rendering.moment(documents.moment(entry, "begin_time")),
        entry.caller or "somebody",
        entry.rpc.rpartition(".")[2],
        ", ".join(entry.location_names) or rendering.NOTHING,
        f"{outcome} {entry.reason}".strip(),
        asked or rendering.NOTHING,
    ]
