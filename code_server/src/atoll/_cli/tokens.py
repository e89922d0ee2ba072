"""``atoll tokens`` and ``atoll whoami``: who may call the host, and who the caller is."""

import datetime as dt
import os
import pathlib

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import access_pb2
from atoll.client import access, documents
from atoll.client import connection as client_connection

_COLUMNS = (
    rendering.Column("TOKEN", names=True, colour="bold"),
    rendering.Column("NAME", shrinks=True),
    rendering.Column("MAY", shrinks=True),
    rendering.Column("MADE BY", shrinks=True),
    rendering.Column("EXPIRES"),
    rendering.Column("LAST USED"),
)


@click.group()
def tokens() -> None:
    """Make, list and revoke tokens, which callers of the host bear."""


@tokens.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(list(access.ROLES)), help="What its bearer may do: for people."
)
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="NAME",
    help="Only for this location; may be repeated. Without it, for all.",
)
@click.option(
    "--code-server",
    default="",
    metavar="NAME",
    help="Make the token of the code server of this location instead.",
)
@click.option(
    "--days",
    type=click.IntRange(min=1, max=36500),
    help="How long it lives; without it, as long as the host gives.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    help="Write it to this new file, which only you can read, instead of printing it.",
)
@connection.host_option
@connection.json_option
def create(  # noqa: PLR0913 - each is an option
    name: str,
    *,
    role: str | None,
    locations: tuple[str, ...],
    code_server: str,
    days: int | None,
    output: pathlib.Path | None,
    host: str,
    as_json: bool,
) -> None:
    """Make a token called NAME, and print it: it is told this once and never again."""
    if bool(role) == bool(code_server) or (code_server and locations):
        raise click.UsageError(
            "Give either --role, with any number of --location, or --code-server alone."
        )
    grants = [access.grant(role, locations)] if role else []
    lifetime = None if days is None else dt.timedelta(days=days)

    async def work(client: client_connection.Client) -> None:
        made = await client.access.create_token(
            name, grants, location_name=code_server, lifetime=lifetime
        )
        if output is not None:
            _write(output, made.bearer)
        if as_json:
            if output is not None:
                made.ClearField("bearer")
            click.echo(documents.single(made))
            return
        told = f"Token {made.token.token_id} {_may(made.token)}, until {_end(made.token)}."
        click.echo(told, err=True)
        if output is None:
            click.echo(made.bearer)

    connection.run(host, work)


@tokens.command("list")
@click.option("--location", default="", metavar="NAME", help="Only tokens for this location.")
@click.option("--ended", is_flag=True, help="Also those that expired or were revoked.")
@connection.limit_option(100)
@connection.host_option
@connection.json_option
def list_(location: str, limit: int, host: str, *, ended: bool, as_json: bool) -> None:
    """List tokens, newest first, without what is secret of them."""

    async def work(client: client_connection.Client) -> None:
        listed = client.access.tokens(location_name=location, ended=ended, limit=limit)
        found = [token async for token in listed]
        if as_json:
            click.echo(documents.listing("tokens", found))
        elif not found:
            click.echo("There are no tokens like that. Make one with: atoll tokens create")
        else:
            rows = [_row(token) for token in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@tokens.command()
@click.argument("token_id", metavar="TOKEN")
@connection.host_option
@connection.json_option
def revoke(token_id: str, host: str, *, as_json: bool) -> None:
    """Have the token whose id is TOKEN end at once, on all hosts."""

    async def work(client: client_connection.Client) -> None:
        token = await client.access.revoke_token(token_id)
        if as_json:
            click.echo(documents.single(token))
        else:
            click.echo(f"Token {token.token_id} ({token.name}) is revoked.")

    connection.run(host, work)


@click.command()
@connection.host_option
@connection.json_option
def whoami(host: str, *, as_json: bool) -> None:
    """Tell who you are to the host, and what you may do."""

    async def work(client: client_connection.Client) -> None:
        me = await client.access.who_am_i()
        if as_json:
            click.echo(documents.single(me))
            return
        by = f" {me.credential_id}" if me.credential_id else ""
        pairs = [("name", me.name), ("known by", f"{me.kind}{by}")]
        pairs += [("may", _grant(grant)) for grant in me.grants]
        click.echo(rendering.fields(pairs, connection.terminal()))

    connection.run(host, work)


def _write(path: pathlib.Path, bearer: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        # The token is made: better shown than lost.
        click.echo(bearer)
        raise click.ClickException(
            f"{path} cannot be written: {error.strerror}. The token is on standard output."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{bearer}\n")


def _row(token: access_pb2.Token) -> list[str]:
    return [
        token.token_id,
        token.name,
        _may(token),
        token.creator,
        _end(token),
        rendering.moment(documents.moment(token, "last_use_time")),
    ]


def _may(token: access_pb2.Token) -> str:
    if token.location_name:
        return f"code server of {token.location_name}"
    return "; ".join(_grant(grant) for grant in token.grants)


def _grant(grant: access_pb2.Grant) -> str:
    role = next(name for name, number in access.ROLES.items() if number == grant.role)
    return f"{role} of {', '.join(grant.location_names) or 'all locations'}"


def _end(token: access_pb2.Token) -> str:
    if token.HasField("revoke_time"):
        return "revoked"
    if not token.HasField("expire_time"):
        return "never"
    return rendering.moment(documents.moment(token, "expire_time"))
