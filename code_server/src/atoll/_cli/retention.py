"""``atoll retention``: for how long the host keeps what it stored."""

import click

from atoll._cli import connection, progress, rendering
from atoll.api.v1 import retention_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

_RULES = (
    rendering.Column("SUBJECT", names=True, colour="bold"),
    rendering.Column("KEPT", align="right"),
    rendering.Column("WHAT", shrinks=True),
)
_SWEEPS = (
    rendering.Column("SWEEP"),
    rendering.Column("TOOK", align="right"),
    rendering.Column("REMOVED", shrinks=True),
)
_COUNTS = (
    rendering.Column("SUBJECT", names=True, colour="bold"),
    rendering.Column("COUNT", align="right"),
)
_DAY_S = 86_400


@click.group()
def retention() -> None:
    """Show for how long things are kept, and remove what may go."""


@retention.command()
@connection.host_option
@connection.json_option
def show(host: str, *, as_json: bool) -> None:
    """Show for how long each kind of thing is kept, and the newest sweeps."""

    async def work(client: client_connection.Client) -> None:
        answer = await client.retention.get()
        if as_json:
            click.echo(documents.single(answer))
            return
        terminal = connection.terminal()
        rows = [[rule.subject, _age(rule), rule.description] for rule in answer.rules]
        click.echo(rendering.table(_RULES, rows, terminal))
        if answer.sweeps:
            click.echo("")
            sweeps = [_sweep_row(sweep) for sweep in answer.sweeps]
            click.echo(rendering.table(_SWEEPS, sweeps, terminal))

    connection.run(host, work)


@retention.command()
@click.option("--dry-run", is_flag=True, help="Count what may go and remove nothing.")
@connection.host_option
@connection.json_option
def run(*, dry_run: bool, host: str, as_json: bool) -> None:
    """Remove what may go now, without waiting for the next sweep."""

    async def work(client: client_connection.Client) -> None:
        async with progress.line(as_json=as_json) as line:
            line.text = lambda: "Counting what may go" if dry_run else "Removing what may go"
            sweep = await client.retention.run(dry_run=dry_run)
        if as_json:
            click.echo(documents.single(sweep))
            return
        if not sweep.counts:
            click.echo("Nothing may go.")
            return
        rows = [[each.subject, str(each.count)] for each in sweep.counts]
        click.echo(rendering.table(_COUNTS, rows, connection.terminal()))
        if sweep.has_more:
            click.echo("There is more: run it again, or leave it to the next sweep.")

    connection.run(host, work)


def _age(rule: retention_pb2.RetentionRule) -> str:
    if not rule.HasField("keep"):
        return "forever"
    seconds = documents.seconds(rule.keep)
    if seconds % _DAY_S == 0:
        return f"{seconds / _DAY_S:.0f} d"
    return rendering.duration(seconds)


def _sweep_row(sweep: retention_pb2.RetentionSweep) -> list[str]:
    began, ended = documents.moment(sweep, "start_time"), documents.moment(sweep, "end_time")
    took = (ended - began).total_seconds() if began and ended else 0.0
    removed = ", ".join(f"{each.count} {each.subject}" for each in sweep.counts)
    return [rendering.moment(began), rendering.duration(took), removed]
