"""``atoll contexts``: hosts by name, and which of them commands talk to."""

import dataclasses
import json
import pathlib

import click

from atoll._cli import connection, context_files, logins, rendering
from atoll._rpc import addresses
from atoll.client import errors

_COLUMNS = (
    rendering.Column("", colour="green"),
    rendering.Column("CONTEXT", names=True, colour="bold"),
    rendering.Column("HOST", shrinks=True),
    rendering.Column("TLS"),
    rendering.Column("CALLS WITH", shrinks=True),
)


def _names(_context: click.Context, _option: click.Parameter, incomplete: str) -> list[str]:
    return connection.context_names(incomplete)


_name_argument = click.argument("name", shell_complete=_names)


@click.group()
def contexts() -> None:
    """Name hosts and how they are reached, and choose the one to talk to."""


@contexts.command("list")
@connection.json_option
def list_(*, as_json: bool) -> None:
    """List contexts; the one that is used where none is named has a star."""
    found = context_files.load()
    every = [found.by_name[name] for name in sorted(found.by_name)]
    if as_json:
        shown = [_document(each, found.current) for each in every]
        click.echo(json.dumps({"contexts": shown}, indent=2))
    elif not every:
        click.echo("There are no contexts. Make one with: atoll contexts create NAME --host ...")
    else:
        rows = [_row(each, found.current) for each in every]
        click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))


@contexts.command()
@click.argument("name", required=False, shell_complete=_names)
@connection.json_option
def show(name: str | None, *, as_json: bool) -> None:
    """Show the context NAME, or the one that is used where none is named."""
    found = context_files.load()
    if name is None and not found.current:
        raise click.UsageError("No context is used. Choose one with: atoll contexts use NAME")
    each = _known(found, name or found.current)
    if as_json:
        click.echo(json.dumps(_document(each, found.current), indent=2))
        return
    pairs = [
        ("context", each.name),
        ("used", "yes" if each.name == found.current else "no"),
        ("host", each.host),
        ("CA file", each.ca_file),
        ("certificate", each.cert_file),
        ("key", each.key_file),
        ("calls with", _calls_with(each)),
    ]
    click.echo(rendering.fields(pairs, connection.terminal()))


_file = click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=pathlib.Path)


@contexts.command()
@click.argument("name")
@click.option("--host", required=True, metavar="HOST:PORT", help="Where the host listens.")
@click.option("--ca-file", type=_file, help="The authority of its certificate: speaks TLS.")
@click.option("--cert-file", type=_file, help="The certificate to show to it.")
@click.option("--key-file", type=_file, help="The private key of that certificate.")
@click.option(
    "--token-file",
    type=_file,
    help="A file that holds the token to call with; without it, what 'atoll login' keeps.",
)
@click.option("--use", is_flag=True, help="Use it from now on where no context is named.")
@click.option("--force", is_flag=True, help="Replace a context of that name.")
@connection.json_option
def create(  # noqa: PLR0913 - each is an option
    name: str,
    *,
    host: str,
    ca_file: pathlib.Path | None,
    cert_file: pathlib.Path | None,
    key_file: pathlib.Path | None,
    token_file: pathlib.Path | None,
    use: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a context called NAME. The first one is used from then on."""
    context_files.checked_name(name)
    if (cert_file is None) != (key_file is None):
        raise click.UsageError("A certificate goes with its key: give --cert-file and --key-file.")
    if cert_file is not None and ca_file is None:
        raise click.UsageError("A certificate needs the authority of the host: give --ca-file.")
    try:
        address = str(addresses.parse(host))
    except errors.RpcError as error:
        raise click.UsageError(error.message) from error
    files = (ca_file, cert_file, key_file, token_file)
    made = context_files.Context(
        name, address, *("" if each is None else str(each) for each in files)
    )
    with context_files.changing():
        before = context_files.load()
        old = before.by_name.get(name)
        if old is not None and not force:
            raise click.ClickException(
                f"There is a context {name!r} already, for {old.host}. Replace it with --force."
            )
        current = name if use or not before.by_name else before.current
        context_files.save(context_files.Contexts(current, {**before.by_name, name: made}))
        if old is not None and old.host != made.host:
            # What was logged in with there is not shown to another host.
            logins.forget(name)
    if as_json:
        click.echo(json.dumps(_document(made, current), indent=2))
    else:
        click.echo(f"Context {name} is for {address}{_used(name, current)}.")


@contexts.command()
@_name_argument
@connection.json_option
def use(name: str, *, as_json: bool) -> None:
    """Use the context NAME from now on where none is named."""
    with context_files.changing():
        found = context_files.load()
        each = _known(found, name)
        context_files.save(dataclasses.replace(found, current=name))
    if as_json:
        click.echo(json.dumps(_document(each, name), indent=2))
    else:
        click.echo(f"Context {name} is for {each.host}{_used(name, name)}.")


@contexts.command()
@_name_argument
@connection.json_option
def delete(name: str, *, as_json: bool) -> None:
    """Delete the context NAME, and what was logged in with."""
    with context_files.changing():
        found = context_files.load()
        each = _known(found, name)
        left = {other: kept for other, kept in found.by_name.items() if other != name}
        current = "" if found.current == name else found.current
        context_files.save(context_files.Contexts(current, left))
        logins.forget(name)
    if as_json:
        click.echo(json.dumps(_document(each, current), indent=2))
    else:
        click.echo(f"Context {name} is deleted.")


def _known(found: context_files.Contexts, name: str) -> context_files.Context:
    if name not in found.by_name:
        raise context_files.unknown(name, found)
    return found.by_name[name]


def _used(name: str, current: str) -> str:
    return ", and is used where none is named" if name == current else ""


def _calls_with(each: context_files.Context) -> str:
    """Say what tells the host who calls; never the thing itself."""
    if each.token_file:
        return f"the token in {each.token_file}"
    login = logins.load(each.name)
    if login is not None:
        return f"a log-in at {login.session.issuer}" if login.session else "a token"
    return "a certificate" if each.cert_file else ""


def _row(each: context_files.Context, current: str) -> list[str]:
    return [
        "*" if each.name == current else "",
        each.name,
        each.host,
        "yes" if each.ca_file else "no",
        _calls_with(each) or rendering.NOTHING,
    ]


def _document(each: context_files.Context, current: str) -> dict[str, object]:
    shown: dict[str, object] = dict(dataclasses.asdict(each))
    return {**shown, "used": each.name == current, "calls_with": _calls_with(each)}
