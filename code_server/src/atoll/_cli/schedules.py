"""``atoll schedules``: schedules of all locations, when they are due, and what they decided."""

import datetime as dt
from typing import Literal

import click

from atoll._cli import automations, connection, dry_runs, moments, rendering, tick_texts
from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, errors
from atoll.definitions.v1 import snapshot_pb2

_COLUMNS = (
    rendering.Column("SCHEDULE", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("CRON", shrinks=True),
    rendering.Column("ZONE", shrinks=True),
    rendering.Column("NEXT"),
    rendering.Column("LAST TICK"),
    rendering.Column("OUTCOME", is_status=True),
)
_TICK_COLUMNS = (
    rendering.Column("SCHEDULED"),
    rendering.Column("BEGAN"),
    rendering.Column("OUTCOME", is_status=True),
    rendering.Column("TOOK", align="right"),
    rendering.Column("BUILD", shrinks=True),
    rendering.Column("RUNS", align="right"),
    rendering.Column("WHAT", shrinks=True),
)


@click.group()
def schedules() -> None:
    """Show, start and stop schedules."""


@schedules.command("list")
@click.option("--location", default="", help="Only schedules of this location.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(location: str, limit: int | None, host: str, *, as_json: bool) -> None:
    """List the schedules of all locations."""

    async def work(client: client_connection.Client) -> None:
        found = [
            schedule
            async for schedule in client.schedules.list(location_name=location, limit=limit)
        ]
        if as_json:
            click.echo(documents.listing("schedules", found))
        elif not found:
            click.echo("There are no schedules" + (f" in {location}." if location else " yet."))
        else:
            rows = [_row(schedule) for schedule in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@schedules.command()
@click.argument("name")
@automations.location_option
@click.option(
    "--next",
    "next_times",
    default=5,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many of the next times to show.",
)
@connection.host_option
@connection.json_option
def show(name: str, location: str, next_times: int, host: str, *, as_json: bool) -> None:
    """Show one schedule: its rules, when it is due next, and why it waits if it does."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        found = await client.schedules.get(owner, name, next_times_max=next_times)
        click.echo(documents.single(found) if as_json else _details(found))

    connection.run(host, work)


@schedules.command()
@automations.named
def start(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Evaluate a schedule from now on; what was missed is not made up for."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        _tell(await client.schedules.start(owner, name), as_json=as_json)

    connection.run(host, work)


@schedules.command()
@automations.named
def stop(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Leave a schedule alone."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        _tell(await client.schedules.stop(owner, name), as_json=as_json)

    connection.run(host, work)


@schedules.command("dry-run")
@click.argument("name")
@automations.location_option
@click.option(
    "--at",
    type=moments.parse,
    default=None,
    metavar=moments.METAVAR,
    help="The time that the tick is for; the next without it.",
)
@connection.host_option
@connection.json_option
def dry_run(name: str, location: str, at: dt.datetime | None, host: str, *, as_json: bool) -> None:
    """Evaluate a schedule once and tell what the tick would decide; nothing is stored.

    What the function does by itself is done.
    """

    async def work(client: client_connection.Client) -> int:
        owner = await automations.location_of(client, _NOUN, name, location)
        decided = await client.schedules.dry_run(owner, name, scheduled_time=at)
        return dry_runs.tell(decided, as_json=as_json)

    connection.run(host, work)


@schedules.command()
@click.argument("name")
@click.argument("tick_id")
@automations.location_option
@connection.host_option
@connection.json_option
def tick(name: str, tick_id: str, location: str, host: str, *, as_json: bool) -> None:
    """Show one tick with what it logged; the first digits of its id are enough."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        found = await client.schedules.tick(owner, name, tick_id)
        terminal = connection.terminal()
        click.echo(documents.single(found) if as_json else tick_texts.log(found, terminal))

    connection.run(host, work)


@schedules.command()
@automations.ticks_options
def ticks(asked: automations.TicksAsked) -> None:
    """List the ticks of a schedule, newest first."""
    automations.list_ticks(_NOUN, asked)


def _tell(schedule: schedules_pb2.Schedule, *, as_json: bool) -> None:
    if as_json:
        click.echo(documents.single(schedule))
        return
    status = connection.terminal().status(documents.enum_name(schedule, "status"))
    told = f"{schedule.location_name}/{schedule.definition.name} is {status}"
    if schedule.next_times:
        told += f", and due next at {_moments(schedule)[0]}"
    click.echo(f"{told}.")


def _row(schedule: schedules_pb2.Schedule) -> list[str]:
    tick = schedule.latest_tick if schedule.HasField("latest_tick") else None
    moments = _moments(schedule)
    return [
        schedule.definition.name,
        schedule.location_name,
        documents.enum_name(schedule, "status"),
        ", ".join(schedule.definition.cron_schedules),
        schedule.definition.execution_timezone or "UTC",
        "waits" if schedule.waiting_reason else moments[0] if moments else rendering.NOTHING,
        rendering.moment(documents.moment(tick, "scheduled_time") if tick else None),
        documents.enum_name(tick, "status") if tick else rendering.NOTHING,
    ]


def _details(schedule: schedules_pb2.Schedule) -> str:
    terminal = connection.terminal()
    definition = schedule.definition
    metadata = documents.metadata(definition.metadata)
    assets = "\n".join(documents.format_asset_key(key) for key in definition.asset_selection)
    tick = schedule.latest_tick if schedule.HasField("latest_tick") else None
    pairs = [
        ("schedule", definition.name),
        ("location", schedule.location_name),
        ("status", terminal.status(documents.enum_name(schedule, "status"))),
        ("description", definition.description),
        ("owners", ", ".join(definition.owners)),
        ("cron", "\n".join(definition.cron_schedules)),
        ("time zone", definition.execution_timezone or "UTC"),
        ("skipped times", documents.enum_name(definition, "skipped_times").lower()),
        ("repeated times", documents.enum_name(definition, "repeated_times").lower()),
        ("made up for", _number(definition, "catch_up_max", "missed ticks")),
        ("tried again", _number(definition, "retries_max", "times")),
        ("job", "" if assets else definition.job_name),
        ("assets", assets),
        ("waits", schedule.waiting_reason),
        ("next", "\n".join(_moments(schedule))),
        ("last tick", tick_texts.what(tick, terminal) if tick else ""),
        ("started", rendering.moment_exact(documents.moment(schedule, "start_time"))),
        ("tags", "\n".join(f"{key} = {value}" for key, value in sorted(definition.tags.items()))),
        ("metadata", "\n".join(f"{key} = {value}" for key, value in metadata.items())),
    ]
    if not schedule.HasField("start_time"):
        pairs = [pair for pair in pairs if pair[0] != "started"]
    return rendering.fields(pairs, terminal)


def _number(
    definition: snapshot_pb2.ScheduleDefinition,
    field: Literal["catch_up_max", "retries_max"],
    noun: str,
) -> str:
    if not definition.HasField(field):
        return "as the host says"
    return f"{getattr(definition, field)} {noun}"


def _moments(schedule: schedules_pb2.Schedule) -> list[str]:
    return [
        rendering.moment_exact(moment.ToDatetime(dt.timezone.utc)) for moment in schedule.next_times
    ]


def _tick_row(tick: automation_pb2.Tick, terminal: rendering.Terminal) -> list[str]:
    return [
        rendering.moment(documents.moment(tick, "scheduled_time")),
        rendering.moment(documents.moment(tick, "start_time")),
        documents.enum_name(tick, "status"),
        rendering.duration(documents.seconds(tick.evaluation_duration)),
        tick.build_id or rendering.NOTHING,
        str(len(tick.run_ids)),
        tick_texts.what(tick, terminal),
    ]


_NOUN = automations.Noun(
    name="schedule",
    of=lambda client: client.schedules,
    unknown=errors.reasons.UNKNOWN_SCHEDULE,
    columns=_TICK_COLUMNS,
    row=_tick_row,
)
