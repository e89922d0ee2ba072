"""What the commands of sensors and schedules share: finding one by its name, and its ticks.

Used by the modules of both nouns. How a sensor, a schedule or a tick of theirs is shown stays
there; ticks in words are in `tick_texts`.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import click

from atoll._cli import connection, moments, rendering, tick_texts
from atoll.api.v1 import automation_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, errors, schedules, sensors


@dataclasses.dataclass(frozen=True)
class Noun:
    """What of the two it is about.

    Attributes:
        name: The word for one.
        of: Returns the part of a client that knows them.
        unknown: The reason, for programs, where there is none of a name.
        columns: How its ticks are listed.
        row: Returns a tick by these columns.
    """

    name: str
    of: Callable[[client_connection.Client], "sensors.Sensors | schedules.Schedules"]
    unknown: str
    columns: tuple[rendering.Column, ...]
    row: Callable[[automation_pb2.Tick, rendering.Terminal], list[str]]


@dataclasses.dataclass(frozen=True)
class TicksAsked:
    """Which ticks to list, and how: what the options of `ticks_options` say."""

    name: str
    location: str
    statuses: tuple[str, ...]
    started_from: dt.datetime | None
    started_before: dt.datetime | None
    limit: int
    logs: bool
    host: str
    as_json: bool


def location_option(command: connection.Command) -> connection.Command:
    """Give a command the option that says which location is meant."""
    return click.option(
        "--location", default="", help="Needed where several locations have the name."
    )(command)


def named(command: connection.Command) -> connection.Command:
    """Give a command the argument and the options of those about one of them."""
    for option in (
        connection.json_option,
        connection.host_option,
        location_option,
        click.argument("name"),
    ):
        command = option(command)
    return command


def ticks_options(command: Callable[[TicksAsked], None]) -> Callable[..., None]:
    """Give a command the argument and the options of those that list ticks."""

    @functools.wraps(command)
    def asked(**values: Any) -> None:
        command(TicksAsked(**values))

    decorated: Callable[..., None] = asked
    for option in (
        connection.json_option,
        connection.host_option,
        click.option("--logs", is_flag=True, help="Show what each logged, and where it failed."),
        connection.limit_option(25),
        click.option(
            "--status",
            "statuses",
            multiple=True,
            type=click.Choice(sorted(tick_texts.STATUSES)),
            help="Only ticks with this outcome; may be repeated.",
        ),
        _time_option("started-before", "before this time"),
        _time_option("started-from", "at this time or later"),
        location_option,
        click.argument("name"),
    ):
        decorated = option(decorated)
    return decorated


def _time_option(name: str, what: str) -> Callable[[connection.Command], connection.Command]:
    return click.option(
        f"--{name}",
        type=moments.parse,
        default=None,
        metavar=moments.METAVAR,
        help=f"Only ticks that began {what}.",
    )


def list_ticks(noun: Noun, asked: TicksAsked) -> None:
    """List ticks, newest first."""

    async def work(client: client_connection.Client) -> None:
        owner = await location_of(client, noun, asked.name, asked.location)
        wanted = [tick_texts.STATUSES[status] for status in asked.statuses]
        ticks = noun.of(client).ticks(
            owner,
            asked.name,
            statuses=wanted,
            started_from=asked.started_from,
            started_before=asked.started_before,
            limit=asked.limit,
        )
        found = [tick async for tick in ticks]
        terminal = connection.terminal()
        if asked.as_json:
            click.echo(documents.listing("ticks", found))
        elif not found:
            how = "with that outcome" if asked.statuses else "yet"
            if asked.started_from or asked.started_before:
                how += " in that time"
            click.echo(f"{owner}/{asked.name} has had no tick {how}.")
        elif asked.logs:
            click.echo("\n\n".join(tick_texts.log(tick, terminal) for tick in found))
        else:
            rows = [noun.row(tick, terminal) for tick in found]
            click.echo(rendering.table(noun.columns, rows, terminal))

    connection.run(asked.host, work)


async def location_of(
    client: client_connection.Client, noun: Noun, name: str, location: str
) -> str:
    """Return the location of what was named, which may have been named without one.

    Raises:
        errors.NotFoundError: If no location has it.
        errors.InvalidArgumentError: If several have it.
    """
    if location:
        return location
    owners = [
        each.location_name async for each in noun.of(client).list() if each.definition.name == name
    ]
    if len(owners) == 1:
        return owners[0]
    if not owners:
        raise errors.NotFoundError(
            f"No location has a {noun.name} {name!r}. See them with 'atoll {noun.name}s list'.",
            reason=noun.unknown,
            metadata={f"{noun.name}_name": name},
        )
    raise errors.InvalidArgumentError(
        f"The locations {', '.join(owners)} all have a {noun.name} {name!r}. Name one with "
        "--location."
    )
