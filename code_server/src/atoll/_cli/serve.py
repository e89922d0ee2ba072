"""`atoll serve`: run the code server of one location.

Free of gRPC until the definitions process is under way, see `atoll._server.bootstrap`.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from atoll._cli import targets
from atoll._location import launch
from atoll._server import bootstrap, errors, logs
from atoll._server import settings as server_settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _path_option(name: str, variable: str, text: str) -> Callable[[_Command], _Command]:
    return click.option(
        name,
        type=click.Path(path_type=pathlib.Path),
        envvar=variable,
        show_envvar=True,
        metavar="FILE",
        help=text,
    )


@click.command()
@targets.options
@click.option(
    "--host",
    "host_address",
    envvar="ATOLL_HOST",
    default=server_settings.DEFAULT_HOST_ADDRESS,
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT",
    help="The host to register with.",
)
@click.option(
    "--listen",
    default=server_settings.DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen, loopback only without a certificate; port 0 takes a free one.",
)
@click.option(
    "--advertise",
    metavar="HOST[:PORT]",
    help="Where the host reaches it.  [default: where it listens]",
)
@_path_option("--tls-certificate", "ATOLL_TLS_CERTIFICATE", "Its certificate: speaks TLS.")
@_path_option("--tls-key", "ATOLL_TLS_KEY", "The private key of that certificate.")
@_path_option(
    "--tls-client-ca",
    "ATOLL_TLS_CLIENT_CA",
    "The authority of hosts' certificates: only hosts may call it then.",
)
@_path_option(
    "--host-ca",
    "ATOLL_HOST_CA",
    "The authority of the host's certificate: speaks TLS to it, and shows its own certificate.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=pathlib.Path),
    metavar="FILE",
    help="A file that holds the token of the location, instead of "
    f"{server_settings.LOCATION_TOKEN_VARIABLE}; read anew for each session.",
)
@click.option("--build-id", default="", help="The id of the build; generated when left out.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=pathlib.Path),
    help="Where identity and runs are kept.  [default: .atoll/locations/<name>]",
)
@click.option(
    "--start-method",
    type=click.Choice([option.value for option in launch.StartMethodOption]),
    default=launch.StartMethodOption.AUTO.value,
    show_default=True,
    help="How processes for user code are made.",
)
@click.option("--watch", is_flag=True, help="Reload when Python files change; for development.")
def serve(  # noqa: PLR0913  # one parameter for each option
    *,
    module: str | None,
    file: pathlib.Path | None,
    package: str | None,
    name: str | None,
    working_directory: pathlib.Path,
    host_address: str,
    listen: str,
    advertise: str | None,
    tls_certificate: pathlib.Path | None,
    tls_key: pathlib.Path | None,
    tls_client_ca: pathlib.Path | None,
    host_ca: pathlib.Path | None,
    token_file: pathlib.Path | None,
    build_id: str,
    state_dir: pathlib.Path | None,
    start_method: str,
    watch: bool,
) -> None:
    """Serve the definitions of a code location to a host.

    SIGTERM or Ctrl-C stops it; runs that are under way go on, and the next start of the location
    with the same state directory takes them over. SIGHUP loads the code anew beside the old.
    """
    level = os.environ.get("ATOLL_LOG_LEVEL", "WARNING")
    try:
        logs.configure(level)
    except ValueError as error:
        raise click.UsageError(
            f"ATOLL_LOG_LEVEL is {level!r}. Use one of debug, info, warning and error."
        ) from error
    target = targets.parse(module, file, package, working_directory)
    location_name = targets.name_of(name, target)
    chosen = server_settings.Settings(
        location_name=location_name,
        target=target,
        state_path=state_dir or pathlib.Path(".atoll") / "locations" / location_name,
        host_address=host_address,
        listen=listen,
        advertise=advertise or "",
        certificates=server_settings.Certificates(tls_certificate, tls_key, tls_client_ca, host_ca),
        token=server_settings.LocationToken(
            "" if token_file else os.environ.get(server_settings.LOCATION_TOKEN_VARIABLE, ""),
            token_file,
        ),
        build_id=build_id,
        start_method=launch.StartMethodOption(start_method),
        watch=watch,
    )
    try:
        sys.exit(bootstrap.serve(chosen))
    except errors.CodeServerError as error:
        raise click.ClickException(str(error)) from error
