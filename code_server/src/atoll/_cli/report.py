"""``atoll report``: what happened to assets outside of Atoll."""

import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from atoll._cli import connection, moments, tag_options
from atoll.client import connection as client_connection
from atoll.client import documents, metadata_values, reports
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

Command = TypeVar("Command", bound=Callable[..., Any])

_SEVERITIES: Final = {
    "error": events_pb2.ASSET_CHECK_SEVERITY_ERROR,
    "warn": events_pb2.ASSET_CHECK_SEVERITY_WARN,
}


@dataclasses.dataclass(frozen=True)
class _Given:
    """What all reports are given."""

    partition: str
    event_time: dt.datetime | None
    request_id: str
    undefined: bool
    host: str
    as_json: bool

    def told(self, **more: Any) -> reports.Told:
        """Return what a report tells."""
        return reports.Told(
            partition=self.partition,
            event_time=self.event_time,
            request_id=self.request_id,
            allow_undefined=self.undefined,
            **more,
        )

    def tell(self, what: str, event_id: int) -> None:
        """Say where a report was stored."""
        if self.as_json:
            click.echo(json.dumps({"event_id": event_id}))
        else:
            partition = f" of partition {self.partition}" if self.partition else ""
            click.echo(f"Reported {what}{partition} as event {event_id}.")


@click.group()
def report() -> None:
    """Report what happened to assets outside of Atoll. Keys are written a/b/c."""


def _shared_options(command: Command) -> Command:
    """Give a command the options that all reports have."""
    for option in reversed(
        (
            click.option("--partition", default="", help="The partition that it is about."),
            click.option(
                "--time",
                "event_time",
                type=moments.parse,
                metavar=moments.METAVAR,
                help="When it happened; now when left out.",
            ),
            click.option(
                "--request-id",
                default="",
                metavar="ID",
                help="Stores the report once, however often it is sent; new when left out.",
            ),
            click.option(
                "--undefined",
                is_flag=True,
                help="It may be about something that no location defines.",
            ),
        )
    ):
        command = option(command)
    return command


def _metadata_option(command: Command) -> Command:
    return click.option(
        "--metadata",
        "metadata",
        multiple=True,
        metavar="NAME=VALUE",
        help="What is known of it; may be repeated. NAME:TYPE=VALUE gives a type.",
    )(command)


def _tag_option(command: Command) -> Command:
    return click.option(
        "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A label; may be repeated."
    )(command)


def _given(options: dict[str, Any]) -> _Given:
    return _Given(**{field.name: options[field.name] for field in dataclasses.fields(_Given)})


@report.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@_metadata_option
@_tag_option
@click.option("--description", default="", help="What was materialized, in words.")
@click.option("--data-version", default="", help="The version of the data.")
@click.option("--code-version", default="", help="The version of the code that made it.")
@_shared_options
@connection.host_option
@connection.json_option
def materialization(
    key: values_pb2.AssetKey,
    metadata: tuple[str, ...],
    tags: tuple[str, ...],
    description: str,
    **options: Any,
) -> None:
    """Report that the asset KEY was materialized."""
    given = _given(options)
    told = given.told(
        description=description,
        metadata=_read(metadata),
        tags=tag_options.parse(tags),
        data_version=options["data_version"],
        code_version=options["code_version"],
    )

    async def work(client: client_connection.Client) -> None:
        event_id = await client.reports.materialization(key, told)
        given.tell(f"a materialization of {documents.format_asset_key(key)}", event_id)

    connection.run(given.host, work)


@report.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@_metadata_option
@_tag_option
@click.option("--description", default="", help="What was observed, in words.")
@click.option("--data-version", default="", help="The version of the data.")
@_shared_options
@connection.host_option
@connection.json_option
def observation(
    key: values_pb2.AssetKey,
    metadata: tuple[str, ...],
    tags: tuple[str, ...],
    description: str,
    **options: Any,
) -> None:
    """Report what was observed of the asset KEY."""
    given = _given(options)
    told = given.told(
        description=description,
        metadata=_read(metadata),
        tags=tag_options.parse(tags),
        data_version=options["data_version"],
    )

    async def work(client: client_connection.Client) -> None:
        event_id = await client.reports.observation(key, told)
        given.tell(f"an observation of {documents.format_asset_key(key)}", event_id)

    connection.run(given.host, work)


@report.command()
@click.argument("key", type=connection.asset_key, metavar="ASSET")
@click.argument("name", metavar="CHECK")
@click.option("--passed/--failed", required=True, help="What the check found.")
@click.option(
    "--severity",
    type=click.Choice(sorted(_SEVERITIES)),
    default="error",
    show_default=True,
    help="How bad it is if it failed.",
)
@_metadata_option
@click.option("--description", default="", help="What was found, in words.")
@_shared_options
@connection.host_option
@connection.json_option
def check(
    key: values_pb2.AssetKey,
    name: str,
    severity: str,
    metadata: tuple[str, ...],
    description: str,
    *,
    passed: bool,
    **options: Any,
) -> None:
    """Report what the check CHECK of the asset ASSET found."""
    given = _given(options)
    told = given.told(description=description, metadata=_read(metadata))
    check_key = values_pb2.AssetCheckKey(asset_key=key, name=name)

    async def work(client: client_connection.Client) -> None:
        event_id = await client.reports.check_evaluation(
            check_key, told, passed=passed, severity=_SEVERITIES[severity]
        )
        what = f"an evaluation of {documents.format_asset_key(key)}:{name}"
        given.tell(what, event_id)

    connection.run(given.host, work)


@report.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@_shared_options
@connection.host_option
@connection.json_option
def started(key: values_pb2.AssetKey, **options: Any) -> None:
    """Report that the asset KEY is being materialized: it is in progress from now on."""
    given = _given(options)

    async def work(client: client_connection.Client) -> None:
        event_id = await client.reports.started(key, given.told())
        given.tell(f"the start of {documents.format_asset_key(key)}", event_id)

    connection.run(given.host, work)


@report.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@click.option("--reason", default="", help="Why, in words.")
@_shared_options
@connection.host_option
@connection.json_option
def failure(key: values_pb2.AssetKey, reason: str, **options: Any) -> None:
    """Report that the asset KEY could not be materialized."""
    given = _given(options)

    async def work(client: client_connection.Client) -> None:
        event_id = await client.reports.failure(key, given.told(description=reason))
        given.tell(f"a failure of {documents.format_asset_key(key)}", event_id)

    connection.run(given.host, work)


def _read(metadata: Sequence[str]) -> dict[str, values_pb2.MetadataValue]:
    try:
        return dict(metadata_values.parse(each) for each in metadata)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--metadata") from error
