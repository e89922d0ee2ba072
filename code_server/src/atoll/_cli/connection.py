"""How client commands reach a host and how they end: options, exit codes, errors in short.

Used by the modules of the nouns (``locations``, ``assets``, ``sensors``, ``runs``, ``events``,
``partitions``, ``backfills``).
Exit codes: 0 it worked, 1 the thing failed, 2 the command line was wrong, 3 no host answers,
130 interrupted.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import click

from atoll._cli import rendering, tls_options
from atoll.client import connection, documents, errors, narration
from atoll.definitions.v1 import values_pb2

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_INTERRUPTED: Final = 130

HOST_VARIABLE: Final = "ATOLL_HOST"
HOST_DEFAULT: Final = "127.0.0.1:4700"

# On narrower terminals a table shows the beginnings of run ids, which every command takes as well.
FULL_IDS_WIDTH_MIN: Final = 120

Command = TypeVar("Command", bound=Callable[..., Any])

_USAGE_REASONS: Final = frozenset(
    {errors.reasons.INVALID_ADDRESS, errors.reasons.TLS_FILE_UNUSABLE}
)


def host_option(command: Command) -> Command:
    """Give a command the option that says which host it speaks to."""
    return click.option(
        "--host",
        "host",
        envvar=HOST_VARIABLE,
        default=HOST_DEFAULT,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="The host to talk to.",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command the option that makes it speak to programs."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs; times are in UTC."
    )(command)


def limit_option(default: int) -> Callable[[Command], Command]:
    """Give a command the option that says how much it lists."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="How many at the most.",
    )


def asset_key(text: str) -> values_pb2.AssetKey:
    """Return the asset key that a text on the command line names; given to options as type."""
    try:
        return documents.parse_asset_key(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def run(host: str, work: Callable[[connection.Client], Awaitable[int | None]]) -> NoReturn:
    """Do some work on a connection to a host, and end the process with the right code.

    Args:
        host: The address of the host.
        work: What to do; returns the exit code, None meaning that it worked.
    """
    try:
        code = asyncio.run(_connected(host, work))
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except errors.ConnectError as error:
        code = _complain(str(error), EXIT_UNREACHABLE)
    except errors.RpcError as error:
        code = _complain(error.message, _code_of(error))
    except errors.WaitTimeoutError as error:
        code = _complain(str(error), EXIT_FAILED)
    sys.exit(code)


def terminal() -> rendering.Terminal:
    """Return what is known of standard output."""
    return rendering.terminal_of(sys.stdout)


def run_id(text: str, shown_on: rendering.Terminal) -> str:
    """Return the id of a run, or its beginning where a table has no room for all of it."""
    return text if shown_on.width >= FULL_IDS_WIDTH_MIN else narration.short_run_id(text)


async def _connected(host: str, work: Callable[[connection.Client], Awaitable[int | None]]) -> int:
    async with connection.connect(host, tls=tls_options.chosen()) as client:
        return await work(client) or 0


def _code_of(error: errors.RpcError) -> int:
    if error.reason in _USAGE_REASONS:
        return EXIT_USAGE
    if isinstance(error, errors.UnavailableError) and error.reason == errors.reasons.UNREACHABLE:
        return EXIT_UNREACHABLE
    return EXIT_FAILED


def _complain(message: str, code: int) -> int:
    click.echo(f"Error: {rendering.printable(message).strip()}", err=True)
    return code
