"""How client commands reach a host and how they end: options, exit codes, errors in short.

Used by the modules of the nouns (``locations``, ``assets``, ``sensors``, ``runs``, ``events``,
``partitions``, ``backfills``).
Exit codes: 0 it worked, 1 the thing failed, 2 the command line was wrong, 3 no host answers,
4 the host does not know who calls, 130 interrupted.

What says who calls is a token, from a file or the environment and never from an argument, since
every user of a machine sees the arguments of others.
"""

import asyncio
import os
import pathlib
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
EXIT_UNAUTHENTICATED: Final = 4
EXIT_INTERRUPTED: Final = 130

HOST_VARIABLE: Final = "ATOLL_HOST"
TOKEN_VARIABLE: Final = "ATOLL_TOKEN"  # noqa: S105 - the name of it
HOST_DEFAULT: Final = "127.0.0.1:4700"

# On narrower terminals a table shows the beginnings of run ids, which every command takes as well.
FULL_IDS_WIDTH_MIN: Final = 120

Command = TypeVar("Command", bound=Callable[..., Any])

_USAGE_REASONS: Final = frozenset(
    {errors.reasons.INVALID_ADDRESS, errors.reasons.TLS_FILE_UNUSABLE}
)
_TOKEN_FILE: Final = "atoll.token_file"  # noqa: S105 - where it is kept
_TOKEN_BYTES_MAX: Final = 4096
_WHAT_TO_DO: Final = (
    f"Put a token into {TOKEN_VARIABLE}, or name a file that holds one with --token-file. On the "
    "machine of the host, the first admin's is in admin.token in its data directory."
)


def host_option(command: Command) -> Command:
    """Give a command the options that say which host it speaks to, and as whom."""
    authorized = click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
        expose_value=False,
        callback=_keep_token_file,
        help=f"A file that holds the token to call with, instead of {TOKEN_VARIABLE}.",
    )(command)
    return click.option(
        "--host",
        "host",
        envvar=HOST_VARIABLE,
        default=HOST_DEFAULT,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT",
        help="The host to talk to.",
    )(authorized)


def token() -> str:
    """Return the token to call with; empty where there is none.

    Raises:
        click.UsageError: What should be a token is none. The message does not show it.
    """
    context = click.get_current_context(silent=True)
    file: pathlib.Path | None = None if context is None else context.meta.get(_TOKEN_FILE)
    if file is None:
        where, text = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
    else:
        where, text = str(file), _read(file)
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise click.UsageError(f"{where} holds no token. Put one line there, as it was printed.")
    return text


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
        code = asyncio.run(_connected(host, token(), work))
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except errors.ConnectError as error:
        code = _complain(str(error), EXIT_UNREACHABLE)
    except errors.UnauthenticatedError as error:
        code = _complain(f"{error.message}\n{_WHAT_TO_DO}", EXIT_UNAUTHENTICATED)
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


def _keep_token_file(
    context: click.Context, _option: click.Parameter, file: pathlib.Path | None
) -> None:
    if file is not None:
        context.meta[_TOKEN_FILE] = file


def _read(file: pathlib.Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_TOKEN_BYTES_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from error


async def _connected(
    host: str, bearer: str, work: Callable[[connection.Client], Awaitable[int | None]]
) -> int:
    async with connection.connect(host, token=bearer, tls=tls_options.chosen()) as client:
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
