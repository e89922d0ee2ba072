"""Dry runs in words: what a tick would decide. Used by the modules of sensors and schedules."""

import click

from atoll._cli import connection, rendering, tick_texts
from atoll.api.v1 import automation_pb2, runs_pb2
from atoll.client import documents

_COLUMNS = (
    rendering.Column("JOB", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("RUN KEY", shrinks=True),
    rendering.Column("PARTITION", shrinks=True),
    rendering.Column("ASSETS", shrinks=True),
)


def tell(dry_run: automation_pb2.DryRun, *, as_json: bool) -> int:
    """Print a dry run; return the exit code."""
    failed = dry_run.tick.status == automation_pb2.TICK_STATUS_FAILURE
    if as_json:
        click.echo(documents.single(dry_run))
        return connection.EXIT_FAILED if failed else 0
    terminal = connection.terminal()
    click.echo(tick_texts.log(dry_run.tick, terminal))
    for change in dry_run.dynamic_partitions_requests:
        verb = documents.enum_name(change, "change").lower()
        keys = ", ".join(change.partition_keys)
        click.echo(f"would {verb} partitions of {change.partitions_def_name}: {keys}")
    for event in dry_run.asset_events:
        click.echo(f"would report: {event.WhichOneof('body')}")
    if dry_run.runs:
        rows = [_row(run) for run in dry_run.runs]
        click.echo(f"\n{rendering.table(_COLUMNS, rows, terminal)}")
    told = f"would ask for {rendering.count(len(dry_run.runs), 'run')}; nothing was stored"
    click.echo(f"\n{told[0].upper()}{told[1:]}.")
    return connection.EXIT_FAILED if failed else 0


def _row(run: runs_pb2.Run) -> list[str]:
    assets = ", ".join(documents.format_asset_key(key) for key in run.asset_selection)
    return [
        run.job_name,
        run.location_name,
        run.run_key or rendering.NOTHING,
        run.partition_key or rendering.NOTHING,
        assets or rendering.NOTHING,
    ]
