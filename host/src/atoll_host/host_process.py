"""The process that a host runs in: from checked settings to a clean stop on a signal.

Called by `commands`. Errors of the start are told in one line; a stop that takes too long is cut
off, since by then nothing that is not acknowledged can be lost by ending.
"""

import asyncio
import logging
import os
import pathlib
import signal
import sys
from collections.abc import Mapping
from typing import Any

import click

from atoll._rpc import errors as rpc_errors
from atoll_host import errors, settings_file
from atoll_host import host as hosts
from atoll_host import settings as host_settings
from atoll_host.access import access_settings
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

EXIT_STUCK = 70
EXIT_USAGE = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _WrongOptionError(click.ClickException):
    """An option has a value that it may not have; told under the name that users know."""

    exit_code = EXIT_USAGE

    def __init__(self, error: errors.SettingsError) -> None:
        option = "--" + error.setting.removesuffix("_s").replace("_", "-")
        super().__init__(str(error).replace(error.setting, option, 1))


class _WrongFileError(click.ClickException):
    """The file of settings cannot be used."""

    exit_code = EXIT_USAGE


def main(
    values: Mapping[str, Any],
    config: pathlib.Path | None = None,
    *,
    asks_for_credentials: bool = True,
) -> None:
    """Run a host until a signal ends it.

    Args:
        values: The settings, by the names of `settings.Settings`; they win over those of the file.
        config: A file of settings.
        asks_for_credentials: Whether to do what the file says of credentials, or ask nobody.

    Raises:
        click.ClickException: It cannot start; the message says why and what to do.
    """
    try:
        from_file = {} if config is None else settings_file.load(config)
    except errors.SettingsFileError as error:
        raise _WrongFileError(str(error)) from error
    try:
        given = {**from_file, **values}
        if not asks_for_credentials:
            access = given.get("access", access_settings.DEFAULT)
            given["access"] = access.model_copy(update={"required": False})
        settings = host_settings.Settings(**given)
    except errors.SettingsError as error:
        raise _WrongOptionError(error) from error
    try:
        asyncio.run(_serve(settings))
    except (errors.HostError, storage_errors.StorageError, rpc_errors.RpcError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(settings: host_settings.Settings) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    host = hosts.Host(settings)
    if not await _started(host, stopping):
        return
    over_http = host.parts.http.address
    told = f" and, over HTTP, on {over_http}" if over_http else ""
    click.echo(
        f"Atoll host {host.version} listens on {host.address}{told}, {_storage(settings)}. "
        "Stop it with Ctrl-C."
    )
    await stopping.wait()
    click.echo("Stopping.")
    await _stop(host, settings.stop_deadline_s)
    click.echo("Stopped.")


async def _started(host: hosts.Host, stopping: asyncio.Event) -> bool:
    """Start the host, unless a signal comes first."""
    start = asyncio.create_task(host.start())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({start, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not start.done():
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await host.stop()
        return False
    start.result()
    return True


async def _stop(host: hosts.Host, deadline_s: float) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            await host.stop()
    except TimeoutError:
        _log.error(
            "host did not stop in time and is cut off",
            extra={"action": "host_stuck", "deadline_s": deadline_s},
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_STUCK)


def _storage(settings: host_settings.Settings) -> str:
    if settings.database_url:
        return f"storing in the Postgres of {host_settings.DATABASE_URL_VARIABLE}"
    return f"storing in {settings.data_dir / hosts.POSTGRES_DIR_NAME}"
