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

from atoll_host import settings as host_settings
from atoll_host.dev import command as dev_command

dev = dev_command.dev

_DEFAULTS = host_settings.Settings()
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@click.command()
@click.option(
    "--listen",
    default=_DEFAULTS.listen,
    show_default=True,
    help="Where to listen, as host:port, on this machine. Port 0 takes any free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=pathlib.Path),
    default=_DEFAULTS.data_dir,
    show_default=True,
    help="Where the embedded Postgres keeps its data. Unused when ATOLL_DATABASE_URL is set.",
)
@click.option(
    "--active-max",
    type=int,
    default=_DEFAULTS.active_max,
    show_default=True,
    help="How many runs may be active at once.",
)
@click.option(
    "--active-per-location-max",
    type=int,
    default=_DEFAULTS.active_per_location_max,
    show_default=True,
    help="How many of them in one location.",
)
@click.option(
    "--lease-ttl",
    type=float,
    default=_DEFAULTS.lease_ttl_s,
    show_default=True,
    help="Seconds that a code server counts as there after its last ping.",
)
@click.option(
    "--run-orphan-timeout",
    type=float,
    default=_DEFAULTS.run_orphan_timeout_s,
    show_default=True,
    help="Seconds that a run outlives its code server before it fails.",
)
@click.option(
    "--tick-timeout",
    type=float,
    default=_DEFAULTS.tick_timeout_s,
    show_default=True,
    help="Seconds that the evaluation of a sensor may take.",
)
def host(  # noqa: PLR0913 - one parameter for each option
    *,
    listen: str,
    data_dir: pathlib.Path,
    active_max: int,
    active_per_location_max: int,
    lease_ttl: float,
    run_orphan_timeout: float,
    tick_timeout: float,
) -> None:
    """Run the host: the one place that code locations, people and programs talk to.

    It keeps everything in Postgres: in the server that ATOLL_DATABASE_URL names, else in one of its
    own below the data directory. Ctrl-C stops it.
    """
    _set_up_logging()
    process = importlib.import_module("atoll_host.host_process")
    process.main(
        {
            "listen": listen,
            "data_dir": data_dir,
            "database_url": host_settings.database_url_of(),
            "active_max": active_max,
            "active_per_location_max": active_per_location_max,
            "lease_ttl_s": lease_ttl,
            "run_orphan_timeout_s": run_orphan_timeout,
            "tick_timeout_s": tick_timeout,
        }
    )


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
