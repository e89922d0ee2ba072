"""``atoll backfills``: begin backfills, see how far they are, steer them."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

import click

from atoll._cli import asset_choices, connection, progress, rendering, tag_options, waiting
from atoll.api.v1 import backfills_pb2
from atoll.client import backfills as client_backfills
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2

_COLUMNS = (
    rendering.Column("BACKFILL", colour="bold"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("DONE", align="right"),
    rendering.Column("FAILED", align="right"),
    rendering.Column("RUNS", align="right"),
    rendering.Column("CREATED"),
    rendering.Column("TITLE", shrinks=True),
)
_PART_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION", shrinks=True),
    rendering.Column("PARTITIONS", align="right"),
    rendering.Column("WAITING", align="right"),
    rendering.Column("IN PROGRESS", align="right"),
    rendering.Column("MATERIALIZED", align="right"),
    rendering.Column("FAILED", align="right"),
    rendering.Column("BLOCKED", align="right"),
)
_PARTITION_COLUMNS = (
    rendering.Column("PARTITION", shrinks=True, names=True, colour="bold"),
    rendering.Column("STATE"),
)
_COUNTED = ("total", "waiting", "in_progress", "materialized", "failed", "blocked")
_STATES: Final[Mapping[str, "backfills_pb2.BackfillPartitionState.ValueType"]] = {
    name.removeprefix("BACKFILL_PARTITION_STATE_").lower().replace("_", "-"): number
    for name, number in backfills_pb2.BackfillPartitionState.items()
    if number
}
_STATUSES: Final[Mapping[str, "backfills_pb2.BackfillStatus.ValueType"]] = {
    name.removeprefix("BACKFILL_STATUS_").lower(): number
    for name, number in backfills_pb2.BackfillStatus.items()
    if number
}
_CHOICES: Final = {
    "all_partitions": backfills_pb2.BACKFILL_CHOICE_ALL,
    "missing": backfills_pb2.BACKFILL_CHOICE_MISSING,
    "failed": backfills_pb2.BACKFILL_CHOICE_FAILED,
}

Steering = Callable[[client_connection.Client, str], Awaitable[backfills_pb2.Backfill]]


@click.group()
def backfills() -> None:
    """Begin, show and steer backfills of assets and partitioned jobs."""


@backfills.command()
@click.option(
    "--select",
    default="",
    metavar="SELECTION",
    help="The assets, such as 'group:sales' or '+key:report'.",
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    type=connection.asset_key,
    metavar="KEY",
    help="An asset, of any location; may be repeated.",
)
@click.option("--job", default="", help="A partitioned job, instead of assets.")
@click.option("--location", default="", help="Needed where several locations have the job.")
@click.option(
    "--partition", "partitions", multiple=True, metavar="KEY", help="A partition; may be repeated."
)
@click.option(
    "--partition-range",
    "ranges",
    nargs=2,
    multiple=True,
    metavar="FIRST LAST",
    help="The partitions from one to another, both included; may be repeated.",
)
@click.option("--all", "all_partitions", is_flag=True, help="All partitions that there are.")
@click.option("--missing", is_flag=True, help="Only what was never materialized.")
@click.option("--failed", is_flag=True, help="Only what failed when it was last run.")
@click.option("--title", default="", help="What it is for, in words.")
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of its runs; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Only tell what would be requested.")
@click.option("--wait", is_flag=True, help="Watch it to the end; exit code 1 unless it succeeded.")
@click.option("--request-id", help="Repeating it with the same id returns the first backfill.")
@connection.host_option
@connection.json_option
def create(*, host: str, as_json: bool, wait: bool, **given: Any) -> None:
    """Begin a backfill of assets, of any locations, or of a partitioned job."""
    choices = [number for name, number in _CHOICES.items() if given[name]]
    if len(choices) > 1:
        raise click.UsageError("Give one of --all, --missing and --failed.")
    if not given["select"] and not given["assets"] and not given["job"]:
        raise click.UsageError(
            "Say what to backfill: --select SELECTION, --asset KEY or --job JOB."
        )
    tags = tag_options.parse(given["tags"])

    async def work(client: client_connection.Client) -> int:
        new = client_backfills.NewBackfill(
            asset_keys=await _asset_keys(client, given),
            job_name=given["job"],
            location_name=given["location"],
            partition_keys=given["partitions"],
            partition_ranges=given["ranges"],
            choice=choices[0] if choices else backfills_pb2.BACKFILL_CHOICE_UNSPECIFIED,
            title=given["title"],
            tags=tags,
            dry_run=given["dry_run"],
            **({"request_id": given["request_id"]} if given["request_id"] else {}),
        )
        made = await client.backfills.create(new)
        if wait and not given["dry_run"]:
            return await _watch(client, made.backfill_id, as_json=as_json)
        if as_json:
            click.echo(documents.single(made))
            return 0
        click.echo(_parts(made))
        what = rendering.count(made.counts.total, "partition")
        if given["dry_run"]:
            click.echo(f"Would request {what}; nothing was begun.")
        else:
            click.echo(f"Began backfill {made.backfill_id} of {what}.")
        return 0

    connection.run(host, work)


@backfills.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(sorted(_STATUSES)),
    help="Only backfills in this state; may be repeated.",
)
@connection.limit_option(25)
@connection.host_option
@connection.json_option
def list_(statuses: tuple[str, ...], limit: int, host: str, *, as_json: bool) -> None:
    """List backfills, newest first."""

    async def work(client: client_connection.Client) -> None:
        listed = client.backfills.list(
            statuses=[_STATUSES[status] for status in statuses], limit=limit
        )
        found = [one async for one in listed]
        if as_json:
            click.echo(documents.listing("backfills", found))
        elif not found:
            click.echo("There are no such backfills.")
        else:
            rows = [_row(one) for one in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@backfills.command()
@click.argument("backfill_id")
@click.option(
    "--asset",
    type=connection.asset_key,
    metavar="KEY",
    help="Show the partitions of this asset, one by one.",
)
@click.option(
    "--state", type=click.Choice(sorted(_STATES)), help="With --asset: only those in this state."
)
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def show(
    backfill_id: str,
    asset: values_pb2.AssetKey | None,
    state: str | None,
    limit: int,
    host: str,
    *,
    as_json: bool,
) -> None:
    """Show one backfill and how far it is, asset by asset."""

    async def work(client: client_connection.Client) -> None:
        if asset is None and state is None:
            found = await client.backfills.get(backfill_id)
            click.echo(documents.single(found) if as_json else _details(found))
            return
        wanted = _STATES[state] if state else backfills_pb2.BACKFILL_PARTITION_STATE_UNSPECIFIED
        listed = client.backfills.partitions(backfill_id, asset, state=wanted, limit=limit)
        partitions = [one async for one in listed]
        if as_json:
            click.echo(documents.listing("partitions", partitions))
        elif not partitions:
            click.echo("There are no such partitions.")
        else:
            rows = [
                [one.partition_key or rendering.NOTHING, documents.enum_name(one, "state")]
                for one in partitions
            ]
            click.echo(rendering.table(_PARTITION_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@backfills.command()
@click.argument("backfill_id")
@connection.host_option
@connection.json_option
def watch(backfill_id: str, host: str, *, as_json: bool) -> None:
    """Follow a backfill to its end. With --json: one object for each change."""

    async def work(client: client_connection.Client) -> int:
        return await _watch(client, backfill_id, as_json=as_json)

    connection.run(host, work)


@backfills.command()
@click.argument("backfill_id")
@connection.host_option
@connection.json_option
def cancel(backfill_id: str, host: str, *, as_json: bool) -> None:
    """End a backfill: nothing more is requested, and its runs are canceled."""
    _steer(host, backfill_id, lambda client, one: client.backfills.cancel(one), as_json=as_json)


@backfills.command()
@click.argument("backfill_id")
@connection.host_option
@connection.json_option
def pause(backfill_id: str, host: str, *, as_json: bool) -> None:
    """Have a backfill request nothing more until it is resumed; its runs go on."""
    _steer(host, backfill_id, lambda client, one: client.backfills.pause(one), as_json=as_json)


@backfills.command()
@click.argument("backfill_id")
@connection.host_option
@connection.json_option
def resume(backfill_id: str, host: str, *, as_json: bool) -> None:
    """Have a paused backfill go on."""
    _steer(host, backfill_id, lambda client, one: client.backfills.resume(one), as_json=as_json)


@backfills.command()
@click.argument("backfill_id")
@connection.host_option
@connection.json_option
def retry(backfill_id: str, host: str, *, as_json: bool) -> None:
    """Request again what failed or was canceled, and then what waited for it."""
    _steer(host, backfill_id, lambda client, one: client.backfills.retry(one), as_json=as_json)


def _steer(host: str, backfill_id: str, steering: Steering, *, as_json: bool) -> None:
    async def work(client: client_connection.Client) -> None:
        now = await steering(client, backfill_id)
        status = connection.terminal().status(documents.enum_name(now, "status"))
        told = f"Backfill {now.backfill_id} is {status}."
        click.echo(documents.single(now) if as_json else told)

    connection.run(host, work)


async def _asset_keys(
    client: client_connection.Client, given: Mapping[str, Any]
) -> list[values_pb2.AssetKey]:
    keys = list(cast("tuple[values_pb2.AssetKey, ...]", given["assets"]))
    if given["select"]:
        listed = [one async for one in client.assets.list()]
        found = asset_choices.chosen(given["select"], listed)
        if not found and not keys:
            raise click.UsageError(
                f"--select {given['select']!r} means no asset that a location can materialize."
            )
        keys += found
    return keys


async def _watch(client: client_connection.Client, backfill_id: str, *, as_json: bool) -> int:
    """Tell of each change until the end; return the exit code."""
    told = ""
    now = backfills_pb2.Backfill()
    async with progress.line(as_json=as_json) as line:
        quiet = line.active and sys.stdout.isatty()
        line.text = lambda: waiting.backfill_text(now) if now.backfill_id else ""
        async for state in waiting.backfill_states(client, backfill_id):
            now = state
            line.show()
            said = documents.line(now) if as_json else _progress(now)
            if said != told and not quiet:
                line.clear()
                click.echo(said)
                told = said
    if quiet:
        click.echo(_progress(now))
    succeeded = now.status == backfills_pb2.BACKFILL_STATUS_COMPLETED_SUCCESS
    if not succeeded and not as_json:
        click.echo(f"See more with 'atoll backfills show {backfill_id}'.", err=True)
    return 0 if succeeded else connection.EXIT_FAILED


def _progress(of: backfills_pb2.Backfill) -> str:
    counts = of.counts
    status = connection.terminal().status(documents.enum_name(of, "status"))
    numbers = [
        f"{getattr(counts, name)} {name.replace('_', ' ')}"
        for name in _COUNTED[1:]
        if getattr(counts, name)
    ]
    return f"{status} {_share(counts)} of {counts.total}: {', '.join(numbers)}"


def _share(counts: backfills_pb2.BackfillCounts) -> str:
    if not counts.total:
        return rendering.NOTHING
    return f"{100 * counts.materialized // counts.total}%"


def _row(of: backfills_pb2.Backfill) -> list[str]:
    return [
        of.backfill_id,
        documents.enum_name(of, "status"),
        f"{of.counts.materialized}/{of.counts.total}",
        str(of.counts.failed),
        str(of.run_count),
        rendering.moment(documents.moment(of, "create_time")),
        of.title,
    ]


def _parts(of: backfills_pb2.Backfill) -> str:
    rows = [
        [
            documents.format_asset_key(part.asset_key) or part.job_name,
            part.location_name,
            *(str(getattr(part.counts, name)) for name in _COUNTED),
        ]
        for part in of.parts
    ]
    return rendering.table(_PART_COLUMNS, rows, connection.terminal())


def _details(of: backfills_pb2.Backfill) -> str:
    failure = of.failure if of.HasField("failure") else None
    pairs = [
        ("backfill", of.backfill_id),
        ("title", of.title),
        ("status", documents.enum_name(of, "status")),
        ("done", f"{_share(of.counts)} of {of.counts.total}"),
        ("runs", str(of.run_count)),
        ("created", rendering.moment_exact(documents.moment(of, "create_time"))),
        ("ended", rendering.moment_exact(documents.moment(of, "end_time"))),
        ("tags", "\n".join(f"{name} = {of.tags[name]}" for name in sorted(of.tags))),
        ("failure", documents.failure_text(failure) if failure else ""),
    ]
    fields = rendering.fields(
        [pair for pair in pairs if pair[1] not in {"", rendering.NOTHING}], connection.terminal()
    )
    return f"{fields}\n\n{_parts(of)}" if of.parts else fields
