"""``atoll login`` and ``atoll logout``: what a context calls its host with."""

import dataclasses
import json
import sys

import click

from atoll._cli import connection, context_files, logins, oidc, rendering
from atoll.api.v1 import access_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

_TOKEN_BYTES_MAX = 16_384
_LOCAL = "local"
_BEARERS = {
    access_pb2.OIDC_BEARER_ID_TOKEN: "id_token",
    access_pb2.OIDC_BEARER_ACCESS_TOKEN: "access_token",
}


@click.command()
@click.option("--oidc", "by_oidc", is_flag=True, help="Log in at the host's identity provider.")
@connection.new_host_option
@connection.json_option
def login(host: str, *, by_oidc: bool, as_json: bool) -> None:
    """Log in to a host: with a token, typed or on standard input, or at its identity provider.

    What is logged in with is checked, and kept in the context, which is made if it is not there.
    """
    name = context_files.checked_name(connection.context_name())
    found = _at_provider(host) if by_oidc else logins.Login(_read_token())
    me = connection.ask(host, _who, found.bearer)
    if me.kind == _LOCAL:
        click.echo(f"The host at {host} asks nobody for credentials: nothing is kept.", err=True)
    else:
        _keep(name, found)
    if as_json:
        click.echo(documents.single(me))
        return
    told = f"Logged in to {host} as {me.name}, in the context {name}."
    click.echo(rendering.printable(told))


@click.command()
@connection.host_option
@connection.json_option
def logout(host: str, *, as_json: bool) -> None:
    """Forget what a context calls its host with. A token that an admin made stays valid."""
    del host
    name = connection.context_name()
    was = logins.forget(name)
    if was is not None and was.session is not None:
        try:
            oidc.revoke(was.session)
        except oidc.OidcError as error:
            click.echo(f"It is forgotten here, but not there: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"context": name, "logged_out": was is not None}, indent=2))
    elif was is None:
        click.echo(f"Nobody was logged in, in the context {name}.")
    else:
        click.echo(f"Logged out, in the context {name}.")


async def _who(client: client_connection.Client) -> access_pb2.WhoAmIResponse:
    return await client.access.who_am_i()


def _read_token() -> str:
    if sys.stdin.isatty():
        text = str(click.prompt("Token", hide_input=True, err=True))
    else:
        text = sys.stdin.read(_TOKEN_BYTES_MAX)
    token = connection.checked_token(text, "Standard input")
    if not token:
        raise click.UsageError(
            "There is no token on standard input. Type it, or: atoll login < FILE"
        )
    return token


def _at_provider(host: str) -> logins.Login:
    async def options(client: client_connection.Client) -> access_pb2.GetLoginOptionsResponse:
        return await client.access.login_options()

    told = connection.ask(host, options, "")
    if not told.HasField("oidc"):
        raise click.ClickException(
            f"The host at {host} has no identity provider. Log in with a token: atoll login"
        )
    asked = oidc.Asked(
        issuer=told.oidc.issuer,
        client_id=told.oidc.client_id,
        scopes=tuple(told.oidc.scopes),
        audience=told.oidc.audience,
        bearer=_BEARERS.get(told.oidc.bearer, "id_token"),
    )
    bearer, session = oidc.log_in(asked, _show)
    return logins.Login(bearer, session)


def _show(address: str, code: str) -> None:
    told = f"Open {address} in a browser, on any machine, and give the code {code} there."
    click.echo(rendering.printable(told), err=True)


def _keep(name: str, found: logins.Login) -> None:
    """Keep what was checked, with the host that it was checked against."""
    target = connection.target()
    with context_files.changing():
        before = context_files.load()
        old = before.by_name.get(name)
        if old is not None and old.host != target.host and target.context is None:
            raise click.ClickException(
                f"The context {name!r} is for {old.host}, not for {target.host}. Name another "
                "one with --context, or log in to its host."
            )
        made = context_files.Context(
            name, target.host, target.ca_file, target.cert_file, target.key_file
        )
        kept = dataclasses.replace(old, token_file="") if old is not None else made
        current = before.current or name
        context_files.save(context_files.Contexts(current, {**before.by_name, name: kept}))
        logins.save(name, found)
