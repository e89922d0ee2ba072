"""``atoll checks``: the checks of assets over all locations, and what they found."""

from typing import Final

import click

from atoll._cli import connection, definition_texts, rendering
from atoll.api.v1 import checks_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

EVALUATIONS_SHOWN: Final = 5

_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("CHECK", shrinks=True, names=True, colour="bold"),
    rendering.Column("OWNER"),
    rendering.Column("BLOCKING"),
    rendering.Column("RESULT", is_status=True),
    rendering.Column("EVALUATED"),
    rendering.Column("RUN"),
)
_EVALUATION_COLUMNS = (
    rendering.Column("EVENT", align="right"),
    rendering.Column("TIME"),
    rendering.Column("PARTITION"),
    rendering.Column("RESULT", is_status=True),
    rendering.Column("RUN"),
    rendering.Column("FOUND", shrinks=True),
)


@click.group()
def checks() -> None:
    """Show the checks of assets and what they found. Keys of assets are written a/b/c."""


@checks.command("list")
@click.option(
    "--asset", type=connection.asset_key, metavar="KEY", help="Only checks of this asset."
)
@click.option("--location", default="", help="Only checks that this location defines.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(
    asset: values_pb2.AssetKey | None, location: str, limit: int | None, host: str, *, as_json: bool
) -> None:
    """List the checks of all locations with their newest evaluations."""

    async def work(client: client_connection.Client) -> None:
        listed = client.checks.list(asset_key=asset, location_name=location, limit=limit)
        found = [check async for check in listed]
        if as_json:
            click.echo(documents.listing("checks", found))
        elif not found:
            click.echo("There are no such checks." if asset or location else "There are no checks.")
        else:
            terminal = connection.terminal()
            rows = [_row(check, terminal) for check in found]
            click.echo(rendering.table(_COLUMNS, rows, terminal))

    connection.run(host, work)


@checks.command()
@click.argument("key", type=connection.asset_key, metavar="ASSET")
@click.argument("name", metavar="CHECK")
@click.option(
    "--partition", "partitions", multiple=True, help="Only evaluations of it; may be repeated."
)
@connection.limit_option(EVALUATIONS_SHOWN)
@connection.host_option
@connection.json_option
def show(
    key: values_pb2.AssetKey,
    name: str,
    partitions: tuple[str, ...],
    limit: int,
    host: str,
    *,
    as_json: bool,
) -> None:
    """Show one check of an asset and its newest evaluations."""

    async def work(client: client_connection.Client) -> None:
        check_key = values_pb2.AssetCheckKey(asset_key=key, name=name)
        check = await client.checks.get(check_key)
        if as_json:
            click.echo(documents.single(check))
            return
        newest = client.checks.evaluations(check_key, partitions=partitions, limit=limit)
        events = [event async for event in newest]
        terminal = connection.terminal()
        click.echo(_details(check, terminal))
        if events:
            rows = [_evaluation_row(event, terminal) for event in events]
            click.echo("")
            click.echo(rendering.table(_EVALUATION_COLUMNS, rows, terminal))

    connection.run(host, work)


def result(check: checks_pb2.AssetCheck) -> str:
    """Return what a check found last, in a word."""
    if not check.HasField("latest_evaluation"):
        return rendering.NOTHING
    return _result(check.latest_evaluation.event.asset_check_evaluation)


def _row(check: checks_pb2.AssetCheck, terminal: rendering.Terminal) -> list[str]:
    latest = check.latest_evaluation if check.HasField("latest_evaluation") else None
    return [
        documents.format_asset_key(check.definition.key.asset_key),
        check.definition.key.name,
        check.owner_location_name or "(none)",
        "yes" if check.definition.blocking else "no",
        result(check),
        rendering.moment(documents.moment(latest.event, "timestamp") if latest else None),
        connection.run_id(latest.event.run_id, terminal) if latest else rendering.NOTHING,
    ]


def _result(body: events_pb2.AssetCheckEvaluation) -> str:
    if body.passed:
        return "PASSED"
    return "WARNING" if body.severity == events_pb2.ASSET_CHECK_SEVERITY_WARN else "FAILED"


def _found(body: events_pb2.AssetCheckEvaluation) -> str:
    values = documents.metadata(body.metadata)
    parts = [body.description, *(f"{name}={value}" for name, value in values.items())]
    return "  ".join(part for part in parts if part)


def _evaluation_row(stored: events_pb2.StoredEvent, terminal: rendering.Terminal) -> list[str]:
    body = stored.event.asset_check_evaluation
    return [
        str(stored.id),
        rendering.moment(documents.moment(stored.event, "timestamp")),
        body.partition or rendering.NOTHING,
        _result(body),
        connection.run_id(stored.event.run_id, terminal) or rendering.NOTHING,
        _found(body),
    ]


def _details(check: checks_pb2.AssetCheck, terminal: rendering.Terminal) -> str:
    definition = check.definition
    latest = check.latest_evaluation if check.HasField("latest_evaluation") else None
    metadata = documents.metadata(definition.metadata)
    deps = [documents.format_asset_key(d.asset_key) for d in definition.additional_dependencies]
    source = definition.source
    pairs = [
        ("check", definition.key.name),
        ("asset", documents.format_asset_key(definition.key.asset_key)),
        ("result", _result(latest.event.asset_check_evaluation) if latest else ""),
        ("description", definition.description),
        ("owner", check.owner_location_name or "(none: no location evaluates it)"),
        ("defined by", ", ".join(check.location_names)),
        ("blocking", "yes" if definition.blocking else "no"),
        ("comes after", ", ".join(deps)),
        (
            "partitions",
            definition_texts.partitions(definition.partitions)
            if definition.HasField("partitions")
            else "",
        ),
        ("metadata", "\n".join(f"{name} = {value}" for name, value in metadata.items())),
        ("defined in", f"{source.file}:{source.line}" if source.file else ""),
    ]
    return rendering.fields(pairs, terminal)
