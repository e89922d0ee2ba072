"""``atoll locations``: the code locations that a host knows."""

from collections.abc import Sequence

import click

from atoll._cli import builds, connection, rendering
from atoll.api.v1 import locations_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import policies_pb2

_DENIALS_SHOWN = 20

_COLUMNS = (
    rendering.Column("LOCATION", colour="bold"),
    rendering.Column("STATE", is_status=True),
    rendering.Column("BUILD", shrinks=True),
    rendering.Column("ASSETS", align="right"),
    rendering.Column("JOBS", align="right"),
    rendering.Column("SENSORS", align="right"),
    rendering.Column("SINCE"),
    rendering.Column("PROBLEM", shrinks=True, colour="red"),
)


@click.group()
def locations() -> None:
    """Show and reload code locations."""


locations.add_command(builds.builds)
locations.add_command(builds.changes)


@locations.command("list")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(limit: int | None, host: str, *, as_json: bool) -> None:
    """List the code locations."""

    async def work(client: client_connection.Client) -> None:
        found = [location async for location in client.locations.list(limit=limit)]
        if as_json:
            click.echo(documents.listing("locations", found))
        elif not found:
            click.echo("No location has registered yet. Start one with 'atoll serve'.")
        else:
            rows = [_row(location) for location in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@locations.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def show(name: str, host: str, *, as_json: bool) -> None:
    """Show one code location."""

    async def work(client: client_connection.Client) -> None:
        location = await client.locations.get(name)
        if as_json:
            click.echo(documents.single(location))
            return
        denials = [one.denial async for one in client.policy.denials(name, limit=_DENIALS_SHOWN)]
        click.echo(_details(location, denials))

    connection.run(host, work)


@locations.command()
@click.argument("name")
@click.option("--build-id", default="", help="The id of the new build; generated when left out.")
@connection.host_option
@connection.json_option
def reload(name: str, build_id: str, host: str, *, as_json: bool) -> None:
    """Make a location load its code anew. The build before stays if the new one fails."""

    async def work(client: client_connection.Client) -> int:
        answer = await client.locations.reload(name, build_id=build_id)
        failed = answer.HasField("load_failure")
        if as_json:
            click.echo(documents.single(answer))
        elif failed:
            click.echo(f"Error: {name} did not load, build ", err=True, nl=False)
            click.echo(f"{answer.current_build.build_id or 'none'} stays.", err=True)
            click.echo(rendering.printable(documents.failure_text(answer.load_failure)), err=True)
        else:
            took = rendering.duration(documents.seconds(answer.current_build.load_duration))
            click.echo(f"{name} serves build {answer.current_build.build_id} (loaded in {took}).")
        return connection.EXIT_FAILED if failed else 0

    connection.run(host, work)


def _row(location: locations_pb2.Location) -> list[str]:
    return [
        location.name,
        documents.enum_name(location, "state"),
        location.build.build_id or rendering.NOTHING,
        str(location.counts.assets),
        str(location.counts.jobs),
        str(location.counts.sensors),
        rendering.moment(documents.moment(location, "register_time")),
        _problem(location),
    ]


def _problem(location: locations_pb2.Location) -> str:
    if location.HasField("load_failure"):
        return documents.failure_line(location.load_failure)
    if location.conflicts:
        first = location.conflicts[0]
        return _conflict(first)
    return ""


def _conflict(conflict: locations_pb2.Conflict) -> str:
    key = documents.format_asset_key(conflict.asset_key)
    subject = f"check {conflict.check_name} of {key}" if conflict.check_name else key
    return f"{subject} belongs to {conflict.owner_location_name}"


def _denied(denial: policies_pb2.PolicyDenial) -> str:
    return f"{denial.definition_kind} {denial.definition_name}: {denial.explanation}"


def _details(location: locations_pb2.Location, denials: Sequence[policies_pb2.PolicyDenial]) -> str:
    terminal = connection.terminal()
    build = location.build
    counts = location.counts
    conflicts = "\n".join(_conflict(each) for each in location.conflicts)
    failure = location.load_failure if location.HasField("load_failure") else None
    pairs = [
        ("location", location.name),
        ("state", documents.enum_name(location, "state")),
        ("build", build.build_id),
        ("loaded", rendering.moment_exact(documents.moment(build, "load_time"))),
        ("load took", rendering.duration(documents.seconds(build.load_duration))),
        ("processes", f"{documents.enum_name(build, 'start_method')}: {build.start_method_reason}"),
        (
            "defines",
            ", ".join(
                (
                    rendering.count(counts.assets, "asset"),
                    rendering.count(counts.asset_checks, "check"),
                    rendering.count(counts.jobs, "job"),
                    rendering.count(counts.sensors, "sensor"),
                    rendering.count(counts.schedules, "schedule"),
                    rendering.count(counts.resources, "resource"),
                )
            ),
        ),
        ("jobs", ", ".join(location.job_names)),
        ("address", location.address),
        ("server", location.server_id),
        ("version", location.version),
        ("registered", rendering.moment_exact(documents.moment(location, "register_time"))),
        ("conflicts", conflicts),
        ("denied", "\n".join(_denied(one) for one in denials)),
        ("load failure", documents.failure_text(failure) if failure else ""),
    ]
    if not location.HasField("build"):
        pairs = [pair for pair in pairs if pair[0] not in ("loaded", "load took", "processes")]
    return rendering.fields(pairs, terminal)
