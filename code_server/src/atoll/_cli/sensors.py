"""``atoll sensors``: sensors of all locations, and what they decided."""

import click

from atoll._cli import connection, rendering, tick_texts
from atoll.api.v1 import automation_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, errors

_COLUMNS = (
    rendering.Column("SENSOR", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("KIND"),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("WATCHES", shrinks=True),
    rendering.Column("LAST TICK"),
    rendering.Column("OUTCOME", is_status=True),
)
_TICK_COLUMNS = (
    rendering.Column("TIME"),
    rendering.Column("OUTCOME", is_status=True),
    rendering.Column("TOOK", align="right"),
    rendering.Column("EVENT", align="right"),
    rendering.Column("BUILD", shrinks=True),
    rendering.Column("RUNS", align="right"),
    rendering.Column("WHAT", shrinks=True),
)


@click.group()
def sensors() -> None:
    """Show, start and stop sensors."""


@sensors.command("list")
@click.option("--location", default="", help="Only sensors of this location.")
@connection.host_option
@connection.json_option
def list_(location: str, host: str, *, as_json: bool) -> None:
    """List the sensors of all locations."""

    async def work(client: client_connection.Client) -> None:
        found = [sensor async for sensor in client.sensors.list(location_name=location)]
        if as_json:
            click.echo(documents.listing("sensors", found))
        elif not found:
            click.echo("There are no sensors" + (f" in {location}." if location else " yet."))
        else:
            rows = [_row(sensor) for sensor in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@sensors.command()
@click.argument("name")
@click.option("--location", default="", help="Needed where several locations have the name.")
@connection.host_option
@connection.json_option
def start(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Evaluate a sensor from now on."""

    async def work(client: client_connection.Client) -> None:
        owner = await _location_of(client, name, location)
        _tell(await client.sensors.start(owner, name), as_json=as_json)

    connection.run(host, work)


@sensors.command()
@click.argument("name")
@click.option("--location", default="", help="Needed where several locations have the name.")
@connection.host_option
@connection.json_option
def stop(name: str, location: str, host: str, *, as_json: bool) -> None:
    """Leave a sensor alone; its cursor stays."""

    async def work(client: client_connection.Client) -> None:
        owner = await _location_of(client, name, location)
        _tell(await client.sensors.stop(owner, name), as_json=as_json)

    connection.run(host, work)


@sensors.command()
@click.argument("name")
@click.option("--location", default="", help="Needed where several locations have the name.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(sorted(tick_texts.STATUSES)),
    help="Only evaluations with this outcome; may be repeated.",
)
@connection.limit_option(25)
@click.option("--logs", is_flag=True, help="Show what each logged, and where it failed.")
@connection.host_option
@connection.json_option
def ticks(  # noqa: PLR0913 - one parameter for each option
    *,
    name: str,
    location: str,
    statuses: tuple[str, ...],
    limit: int,
    logs: bool,
    host: str,
    as_json: bool,
) -> None:
    """List the evaluations of a sensor, newest first."""

    async def work(client: client_connection.Client) -> None:
        owner = await _location_of(client, name, location)
        wanted = [tick_texts.STATUSES[status] for status in statuses]
        found = [
            tick async for tick in client.sensors.ticks(owner, name, statuses=wanted, limit=limit)
        ]
        if as_json:
            click.echo(documents.listing("ticks", found))
        elif not found:
            how = "with that outcome" if statuses else "yet"
            click.echo(f"{owner}/{name} has not been evaluated {how}.")
        elif logs:
            click.echo("\n\n".join(tick_texts.log(tick, connection.terminal()) for tick in found))
        else:
            terminal = connection.terminal()
            rows = [_tick_row(tick, terminal) for tick in found]
            click.echo(rendering.table(_TICK_COLUMNS, rows, terminal))

    connection.run(host, work)


async def _location_of(client: client_connection.Client, name: str, location: str) -> str:
    """Return the location of a sensor that was named without one.

    Raises:
        errors.NotFoundError: If no location has it.
        errors.InvalidArgumentError: If several have it.
    """
    if location:
        return location
    owners = [
        sensor.location_name
        async for sensor in client.sensors.list()
        if sensor.definition.name == name
    ]
    if len(owners) == 1:
        return owners[0]
    if not owners:
        raise errors.NotFoundError(
            f"No location has a sensor {name!r}. See them with 'atoll sensors list'.",
            reason=errors.reasons.UNKNOWN_SENSOR,
            metadata={"sensor_name": name},
        )
    raise errors.InvalidArgumentError(
        f"The locations {', '.join(owners)} all have a sensor {name!r}. Name one with --location."
    )


def _tell(sensor: automation_pb2.Sensor, *, as_json: bool) -> None:
    if as_json:
        click.echo(documents.single(sensor))
        return
    status = connection.terminal().status(documents.enum_name(sensor, "status"))
    click.echo(f"{sensor.location_name}/{sensor.definition.name} is {status}.")


def _row(sensor: automation_pb2.Sensor) -> list[str]:
    tick = sensor.latest_tick if sensor.HasField("latest_tick") else None
    watched = [documents.format_asset_key(key) for key in sensor.definition.monitored_assets]
    return [
        sensor.definition.name,
        sensor.location_name,
        documents.enum_name(sensor.definition, "kind").lower().replace("_", " "),
        documents.enum_name(sensor, "status"),
        ", ".join(watched) or rendering.NOTHING,
        rendering.moment(documents.moment(tick, "start_time") if tick else None),
        documents.enum_name(tick, "status") if tick else rendering.NOTHING,
    ]


def _tick_row(tick: automation_pb2.Tick, terminal: rendering.Terminal) -> list[str]:
    return [
        rendering.moment(documents.moment(tick, "start_time")),
        documents.enum_name(tick, "status"),
        rendering.duration(documents.seconds(tick.evaluation_duration)),
        str(tick.event_id) if tick.event_id else rendering.NOTHING,
        tick.build_id or rendering.NOTHING,
        str(len(tick.run_ids)),
        tick_texts.what(tick, terminal),
    ]
