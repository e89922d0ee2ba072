"""`atoll certs`: an authority for development, and certificates of it for whoever joins a mesh.

An entry point of its own, so that nothing else loads what makes certificates. What is written is
told with what to do next; nothing of a key is ever printed.
"""

import json
import pathlib
import shlex
from collections.abc import Callable
from typing import Any, TypeVar

import click

from atoll._rpc import peer_identities
from atoll_host import clock
from atoll_host.certs import folder as folders
from atoll_host.certs import issuing, showing

AUTHORITY_DAYS = 365
DAYS = 30
DAYS_MAX = 3650

Command = TypeVar("Command", bound=Callable[..., Any])


def _directory_option(command: Command) -> Command:
    return click.option(
        "--directory",
        type=click.Path(file_okay=False, path_type=pathlib.Path),
        default=pathlib.Path("certs"),
        show_default=True,
        help="The folder of the authority and its certificates.",
    )(command)


def _days_option(default: int) -> Callable[[Command], Command]:
    return click.option(
        "--days",
        type=click.IntRange(1, DAYS_MAX),
        default=default,
        show_default=True,
        help="For how long it holds.",
    )


def _force_option(command: Command) -> Command:
    return click.option("--force", is_flag=True, help="Replace what is there.")(command)


def _creation_options(command: Command) -> Command:
    dns = click.option("--dns", multiple=True, metavar="NAME", help="A name it is reached by.")
    ip = click.option("--ip", multiple=True, metavar="ADDRESS", help="An address it is reached by.")
    return dns(ip(_days_option(DAYS)(_directory_option(_force_option(command)))))


@click.group()
def certs() -> None:
    """Make an authority and certificates for development.

    Certificates of this authority are for trying TLS and for small meshes. Where your company has
    an authority, take its certificates, with the same names in them.
    """


@certs.command()
@_directory_option
@click.option("--name", default="Atoll development", show_default=True, help="Its name.")
@_days_option(AUTHORITY_DAYS)
@_force_option
def init(directory: pathlib.Path, name: str, *, days: int, force: bool) -> None:
    """Make an authority.

    Whoever has its key can make certificates for anybody: keep ca.key where nobody else reads it,
    and give only ca.crt to others.
    """
    made = issuing.authority(name, now=_now(), days=days)
    files = folders.files_of(directory, folders.AUTHORITY)
    _write(files, made, force=force)
    click.echo("Next, certificates for the host and for each location and user:\n")
    where = "" if directory == pathlib.Path("certs") else f" --directory {_quoted(directory)}"
    for what in ("host", "location NAME", "user NAME"):
        click.echo(f"    atoll certs create {what}{where}")


@certs.group()
def create() -> None:
    """Make a certificate of the authority."""


@create.command()
@_creation_options
def host(
    directory: pathlib.Path, dns: tuple[str, ...], ip: tuple[str, ...], *, days: int, force: bool
) -> None:
    """Make the certificate of a host: localhost, and what --dns and --ip say."""
    subject = issuing.Subject("host", "atoll:host", *_reached_by(dns, ip))
    files, authority = _issue(directory, "host", subject, days=days, force=force)
    click.echo("Next, in the settings of the host (atoll host --config FILE):\n")
    for line in (
        "[tls]",
        f"certificate = {json.dumps(str(files.certificate.absolute()))}",
        f"key = {json.dumps(str(files.key.absolute()))}",
        f"client_ca = {json.dumps(str(authority.absolute()))}",
        'client_certificates = "required"',
        f"locations_ca = {json.dumps(str(authority.absolute()))}",
    ):
        click.echo(f"    {line}")


@create.command()
@click.argument("name")
@_creation_options
def location(
    name: str,
    directory: pathlib.Path,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    *,
    days: int,
    force: bool,
) -> None:
    """Make the certificate of a location's code server: localhost, and what --dns and --ip say."""
    subject = issuing.Subject(f"location {name}", f"atoll:location:{name}", *_reached_by(dns, ip))
    files, authority = _issue(directory, f"location-{name}", subject, days=days, force=force)
    click.echo("Next, give the code server of the location these options:\n")
    click.echo(
        f"    atoll serve --name {name} --tls-certificate {_quoted(files.certificate)} "
        f"--tls-key {_quoted(files.key)} --tls-client-ca {_quoted(authority)} "
        f"--host-ca {_quoted(authority)}"
    )


@create.command()
@click.argument("name")
@_creation_options
def user(
    name: str,
    directory: pathlib.Path,
    dns: tuple[str, ...],
    ip: tuple[str, ...],
    *,
    days: int,
    force: bool,
) -> None:
    """Make the certificate of a person, or of a service that calls the host."""
    subject = issuing.Subject(f"user {name}", f"atoll:user:{name}", dns, ip, serves=bool(dns or ip))
    files, authority = _issue(directory, f"user-{name}", subject, days=days, force=force)
    click.echo("Next, where the commands are used:\n")
    click.echo(f"    export ATOLL_CA_FILE={_quoted(authority.absolute())}")
    click.echo(f"    export ATOLL_CERT_FILE={_quoted(files.certificate.absolute())}")
    click.echo(f"    export ATOLL_KEY_FILE={_quoted(files.key.absolute())}")


@certs.command()
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=pathlib.Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def show(file: pathlib.Path, *, as_json: bool) -> None:
    """Show what a certificate says: who it is about, its names, and until when it holds."""
    try:
        described = showing.describe(file.read_bytes(), _now())
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise click.ClickException(f"{file} {error}") from error
    if as_json:
        click.echo(json.dumps(described, indent=2))
        return
    for each in described:
        click.echo(_shown(each))


def _shown(found: dict[str, Any]) -> str:
    state = "expired" if found["expired"] else f"{found['days_left']} days left"
    rows = {
        "subject": found["subject"],
        "identity": found["identity"] or "none that Atoll knows",
        "names": ", ".join([*found["dns"], *found["ips"]]) or "none",
        "authority": "yes" if found["authority"] else "no",
        "issuer": found["issuer"],
        "holds": f"{found['begins']} to {found['ends']} ({state})",
        "sha256": found["sha256"],
    }
    return "\n".join(f"{name + ':':<11}{value}" for name, value in rows.items()) + "\n"


def _issue(
    directory: pathlib.Path, file_name: str, subject: issuing.Subject, *, days: int, force: bool
) -> tuple[folders.Files, pathlib.Path]:
    """Make and write a certificate; return where it is, and where that of the authority is."""
    if peer_identities.of_uris([subject.uri]) is None:
        name = subject.uri.rpartition(":")[2]
        raise click.UsageError(
            f"{name!r} is no name. Use letters, digits, '_', '-' and '.', for users also '@' and "
            "'+', and begin with a letter, a digit or '_'."
        )
    try:
        authority = folders.read_authority(directory)
    except folders.CertificatesError as error:
        raise click.ClickException(str(error)) from error
    try:
        made = issuing.certificate(authority, subject, now=_now(), days=days)
    except ValueError as error:
        raise click.ClickException(
            f"No certificate can be made with the authority in {directory}: {error}. Check --ip "
            "and --dns, or make the authority anew with 'atoll certs init --force'."
        ) from error
    files = folders.files_of(directory, file_name)
    _write(files, made, force=force)
    return files, folders.files_of(directory, folders.AUTHORITY).certificate


def _write(files: folders.Files, made: issuing.Issued, *, force: bool) -> None:
    try:
        folders.write(files, made, force=force)
    except folders.CertificatesError as error:
        raise click.ClickException(str(error)) from error
    until = showing.describe(made.certificate, _now())[0]["ends"]
    click.echo(f"Wrote {files.certificate}, which holds until {until}, and {files.key}.")


def _reached_by(
    dns: tuple[str, ...], ips: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return under which names and addresses a server is reached, this machine among them."""
    return ("localhost", *dns), ("127.0.0.1", "::1", *ips)


def _quoted(path: pathlib.Path) -> str:
    return shlex.quote(str(path))


def _now() -> Any:
    return clock.SystemClock().now()
