"""``atoll sensors``: sensors of all locations, and what they decided."""

import datetime as dt
from typing import Any, Literal

import click

from atoll._cli import automations, connection, dry_runs, moments, rendering, tick_texts
from atoll.api.v1 import automation_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, errors
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2

_COLUMNS = (
    rendering.Column("SENSOR", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("KIND"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("WATCHES", shrinks=True),
    rendering.Column("LAST TICK"),
    rendering.Column("OUTCOME", is_status=True),
    rendering.Column("FAILURES", align="right"),
    rendering.Column("NEXT"),
)
_TICK_COLUMNS = (
    rendering.Column("TICK", colour="bold"),
    rendering.Column("TIME"),
    rendering.Column("OUTCOME", is_status=True),
    rendering.Column("TOOK", align="right"),
    rendering.Column("EVENT", align="right"),
    rendering.Column("BUILD", shrinks=True),
    rendering.Column("RUNS", align="right"),
    rendering.Column("WHAT", shrinks=True),
)
_ID_DIGITS = 8


@click.group()
def sensors() -> None:
    """Show, start, stop and reset sensors."""


@sensors.command("list")
@click.option("--location", default="", help="Only sensors of this location.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(location: str, limit: int | None, host: str, *, as_json: bool) -> None:
    """List the sensors of all locations."""

    async def work(client: client_connection.Client) -> None:
        found = [
            sensor async for sensor in client.sensors.list(location_name=location, limit=limit)
        ]
        if as_json:
            click.echo(documents.listing("sensors", found))
        elif not found:
            click.echo("There are no sensors" + (f" in {location}." if location else " yet."))
        else:
            rows = [_row(sensor) for sensor in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@sensors.command()
@automations.named
def start(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Evaluate a sensor from now on."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        _tell(await client.sensors.start(owner, name), as_json=as_json)

    connection.run(host, work)


@sensors.command()
@automations.named
def stop(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Leave a sensor alone; its cursor stays."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        _tell(await client.sensors.stop(owner, name), as_json=as_json)

    connection.run(host, work)


@sensors.command()
@automations.named
def show(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Show one sensor: its cursor, how often it failed in a row, and when it is evaluated next."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        sensor = await client.sensors.get(owner, name)
        terminal = connection.terminal()
        click.echo(documents.single(sensor) if as_json else _shown(sensor, terminal))

    connection.run(host, work)


@sensors.command()
@click.argument("name")
@automations.location_option
@click.option("--cursor", default=None, help="The new cursor.")
@click.option(
    "--start-at",
    "start_at",
    default="",
    metavar="latest|earliest|TIME",
    help="Where in the log it goes on; a time is one like 2026-01-31T12:00+01:00.",
)
@connection.host_option
@connection.json_option
def reset(
    *, name: str, location: str, cursor: str | None, start_at: str, host: str, as_json: bool
) -> None:
    """Set the cursor of a sensor, or where in the log it goes on.

    Without either the cursor is cleared, and a sensor on events goes on with what comes from now
    on. A tick that is under way is not kept.
    """
    if cursor is not None and start_at:
        raise click.UsageError("Give either --cursor or --start-at.")
    start = _start_of(start_at)

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        sensor = await client.sensors.reset(owner, name, cursor=cursor, start_at=start)
        if as_json:
            click.echo(documents.single(sensor))
            return
        told = f"has the cursor {sensor.cursor}" if sensor.HasField("cursor") else "has no cursor"
        where = f" and goes on from {start_at}" if start_at else ""
        click.echo(f"{owner}/{name} {told}{where}.")

    connection.run(host, work)


@sensors.command("webhook-secret")
@automations.named
def webhook_secret(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Make the secret that deliveries to a webhook sensor are signed with, and print it once.

    The secret before it counts no more.
    """

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        made = await client.sensors.create_webhook_secret(owner, name)
        if as_json:
            click.echo(documents.single(made))
            return
        address = f"http://{made.listen_address}{made.path}" if made.listen_address else made.path
        click.echo(f"Secret of {owner}/{name}, shown this once:\n\n    {made.secret}\n")
        click.echo(f"POST deliveries to {address} with the header")
        click.echo("X-Atoll-Signature-256: sha256=<HMAC-SHA256 of the body, in hexadecimal digits>")
        if not made.listen_address:
            click.echo("This host takes no webhooks yet: set webhooks.listen in its settings.")

    connection.run(host, work)


@sensors.command("dry-run")
@click.argument("name")
@automations.location_option
@click.option("--cursor", default=None, help="Evaluate it with this cursor.")
@click.option(
    "--event",
    "event_id",
    type=click.IntRange(min=1),
    default=None,
    metavar="ID",
    help="For a sensor on an asset or on runs: evaluate it for this event; the newest without it.",
)
@click.option(
    "--body",
    "body_file",
    type=click.File("rb"),
    help="For a webhook sensor: a file with the body of the delivery; - reads standard input.",
)
@connection.host_option
@connection.json_option
def dry_run(name: str, location: str, *, host: str, as_json: bool, **given: Any) -> None:
    """Evaluate a sensor once and tell what the tick would decide; nothing is stored.

    What the function does by itself is done.
    """
    delivery = None
    if given["body_file"] is not None:
        delivery = location_pb2.WebhookDelivery(body=given["body_file"].read())

    async def work(client: client_connection.Client) -> int:
        owner = await automations.location_of(client, _NOUN, name, location)
        decided = await client.sensors.dry_run(
            owner,
            name,
            cursor=given["cursor"],
            event_id=given["event_id"] or 0,
            webhook_delivery=delivery,
        )
        return dry_runs.tell(decided, as_json=as_json)

    connection.run(host, work)


@sensors.command()
@click.argument("name")
@click.argument("tick_id")
@automations.location_option
@connection.host_option
@connection.json_option
def tick(name: str, tick_id: str, location: str, host: str, *, as_json: bool) -> None:
    """Show one tick with what it logged; the first digits of its id are enough."""

    async def work(client: client_connection.Client) -> None:
        owner = await automations.location_of(client, _NOUN, name, location)
        found = await client.sensors.tick(owner, name, tick_id)
        terminal = connection.terminal()
        click.echo(documents.single(found) if as_json else tick_texts.log(found, terminal))

    connection.run(host, work)


@sensors.command()
@automations.ticks_options
def ticks(asked: automations.TicksAsked) -> None:
    """List the ticks of a sensor, newest first."""
    automations.list_ticks(_NOUN, asked)


def _tell(sensor: automation_pb2.Sensor, *, as_json: bool) -> None:
    if as_json:
        click.echo(documents.single(sensor))
        return
    status = connection.terminal().status(documents.enum_name(sensor, "status"))
    click.echo(f"{sensor.location_name}/{sensor.definition.name} is {status}.")


def _row(sensor: automation_pb2.Sensor) -> list[str]:
    tick = sensor.latest_tick if sensor.HasField("latest_tick") else None
    return [
        sensor.definition.name,
        sensor.location_name,
        _kind(sensor.definition),
        documents.enum_name(sensor, "status"),
        ", ".join(_watched(sensor.definition)) or rendering.NOTHING,
        rendering.moment(documents.moment(tick, "start_time") if tick else None),
        documents.enum_name(tick, "status") if tick else rendering.NOTHING,
        str(sensor.failure_count) if sensor.failure_count else rendering.NOTHING,
        rendering.moment(documents.moment(sensor, "next_evaluation_time")),
    ]


def _shown(sensor: automation_pb2.Sensor, terminal: rendering.Terminal) -> str:
    definition = sensor.definition
    tick = sensor.latest_tick if sensor.HasField("latest_tick") else None
    next_time = documents.moment(sensor, "next_evaluation_time")
    pairs = [
        ("sensor", definition.name),
        ("location", sensor.location_name),
        ("kind", _kind(definition)),
        ("status", terminal.status(documents.enum_name(sensor, "status"))),
        ("what", definition.description),
        ("watches", ", ".join(_watched(definition))),
        ("asks for", ", ".join(definition.job_names)),
        ("cursor", sensor.cursor),
        ("last tick", rendering.moment_exact(documents.moment(tick, "start_time")) if tick else ""),
        ("outcome", documents.enum_name(tick, "status") if tick else ""),
        ("failures in a row", str(sensor.failure_count) if sensor.failure_count else ""),
        ("evaluated next", rendering.moment_exact(next_time) if next_time else ""),
        ("deliveries waiting", str(sensor.waiting_delivery_count or "")),
    ]
    if definition.kind == snapshot_pb2.SENSOR_KIND_WEBHOOK and not sensor.has_webhook_secret:
        pairs.append(
            ("secret", f"none: make one with 'atoll sensors webhook-secret {definition.name}'")
        )
    return rendering.fields(pairs, terminal)


def _kind(definition: snapshot_pb2.SensorDefinition) -> str:
    return documents.enum_name(definition, "kind").lower().replace("_", " ")


def _watched(definition: snapshot_pb2.SensorDefinition) -> list[str]:
    """Return what a sensor watches, in words."""
    if definition.run_status:
        jobs = [
            f"{one.location_name or 'own'}/{one.job_name or '*'}"
            for one in definition.monitored_jobs
        ]
        whose = ["*/*"] if definition.monitors_all_locations else jobs or ["own/*"]
        return [f"{definition.run_status} of {', '.join(whose)}"]
    return [documents.format_asset_key(key) for key in definition.monitored_assets]


def _start_of(text: str) -> Literal["latest", "earliest"] | dt.datetime | None:
    if not text:
        return None
    if text == "latest":
        return "latest"
    if text == "earliest":
        return "earliest"
    try:
        return moments.parse(text)
    except click.BadParameter:
        raise click.UsageError(
            f"--start-at is {text!r}. Give latest, earliest, or a time like 2026-01-31T12:00+01:00."
        ) from None


def _tick_row(tick: automation_pb2.Tick, terminal: rendering.Terminal) -> list[str]:
    return [
        tick.tick_id[:_ID_DIGITS],
        rendering.moment(documents.moment(tick, "start_time")),
        documents.enum_name(tick, "status"),
        rendering.duration(documents.seconds(tick.evaluation_duration)),
        str(tick.event_id) if tick.event_id else rendering.NOTHING,
        tick.build_id or rendering.NOTHING,
        str(len(tick.run_ids)),
        tick_texts.what(tick, terminal),
    ]


_NOUN = automations.Noun(
    name="sensor",
    of=lambda client: client.sensors,
    unknown=errors.reasons.UNKNOWN_SENSOR,
    columns=_TICK_COLUMNS,
    row=_tick_row,
)
