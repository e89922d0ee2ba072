"""The commands that the host adds to `atoll`: `host` and `dev` (its entry points).

The command line loads this module to list the commands, so it stays light: what runs the host is
imported when the command runs. The URL of the database can hold a password and is taken from the
environment alone.
"""

import importlib
import logging
import os
import pathlib

import click

from atoll_host.dev import command as dev_command

dev = dev_command.dev

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


# What an option does not say, the file says, and the settings know the rest: so none has a value of
# its own, and the help tells what it is without one. A test compares these with the settings.
@click.group(invoke_without_command=True)
@click.option(
    "--config",
    type=click.Path(path_type=pathlib.Path),
    help="A TOML file with settings. The options given here win over it.",
)
@click.option(
    "--listen",
    show_default="127.0.0.1:4700",
    help="Where to listen, as host:port, on this machine. Port 0 takes any free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    show_default=".atoll",
    help="Where the embedded Postgres keeps its data. Unused when ATOLL_DATABASE_URL is set.",
)
@click.option(
    "--active-max", type=int, show_default="25", help="How many runs may be active at once."
)
@click.option(
    "--active-per-location-max",
    type=int,
    show_default="10",
    help="How many of them in one location.",
)
@click.option(
    "--lease-ttl",
    "lease_ttl_s",
    type=float,
    show_default="10.0",
    help="Seconds that a code server counts as there after its last ping.",
)
@click.option(
    "--run-orphan-timeout",
    "run_orphan_timeout_s",
    type=float,
    show_default="300.0",
    help="Seconds that a run outlives its code server before it fails.",
)
@click.option(
    "--tick-timeout",
    "tick_timeout_s",
    type=float,
    show_default="60.0",
    help="Seconds that user code may take for one tick.",
)
@click.option(
    "--no-credentials",
    is_flag=True,
    help="Ask nobody for credentials. Only on loopback, and only where nobody else is.",
)
@click.pass_context
def host(
    context: click.Context,
    /,
    config: pathlib.Path | None,
    *,
    no_credentials: bool,
    **options: object,
) -> None:
    """Run the host: the one place that code locations, people and programs talk to.

    It keeps everything in Postgres: in the server that ATOLL_DATABASE_URL names, else in one of its
    own below the data directory. Ctrl-C stops it.
    """
    if context.invoked_subcommand is not None:
        return
    _set_up_logging()
    settings = importlib.import_module("atoll_host.settings")
    process = importlib.import_module("atoll_host.host_process")
    given = {name: value for name, value in options.items() if value is not None}
    process.main(
        {**given, "database_url": settings.database_url_of()},
        config,
        asks_for_credentials=not no_credentials,
    )


@host.command("create-token")
@click.argument("file", type=click.Path(dir_okay=False, path_type=pathlib.Path))
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=pathlib.Path(".atoll"),
    show_default=True,
    help="Where the embedded Postgres of a stopped host is. Unused with ATOLL_DATABASE_URL.",
)
def create_token(file: pathlib.Path, data_dir: pathlib.Path) -> None:
    """Make a token for an admin and write it to FILE: for whoever locked everybody out.

    It goes straight to the database that ATOLL_DATABASE_URL names, or to the embedded one of a host
    that is stopped. The token lives for a day, in which better ones can be made.
    """
    settings = importlib.import_module("atoll_host.settings")
    recovery = importlib.import_module("atoll_host.recovery")
    recovery.main(settings.database_url_of(), data_dir, file)
    click.echo(f"{file} holds the token of an admin, for a day. Use it with --token-file {file}")


def _set_up_logging() -> None:
    name = os.environ.get("ATOLL_LOG_LEVEL", "WARNING").upper()
    if name not in _LOG_LEVELS:
        raise click.ClickException(
            f"ATOLL_LOG_LEVEL is {name!r}. Use one of {', '.join(_LOG_LEVELS)}."
        )
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=name, handlers=[handler], force=True)


_PLAIN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _Formatter(logging.Formatter):
    """One line a record: time, level, message, then the values given as extra."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in vars(record).items() if key not in _PLAIN_FIELDS}
        text = super().format(record)
        if not extra:
            return text
        line, newline, rest = text.partition("\n")
        return line + "".join(f" {key}={value}" for key, value in extra.items()) + newline + rest
