"""How client commands reach a host and how they end: options, exit codes, errors in short.

Used by the modules of the nouns (``locations``, ``assets``, ``sensors``, ``runs``, ``events``,
``partitions``, ``backfills``).
Exit codes: 0 it worked, 1 the thing failed, 2 the command line was wrong, 3 no host answers,
4 the host does not know who calls, 130 interrupted.

What says who calls is a token, from a file or the environment and never from an argument, since
every user of a machine sees the arguments of others.
"""

import asyncio
import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import click
from click import core

from atoll._cli import context_files, logins, naming, rendering, targeting, tls_options
from atoll._rpc import addresses
from atoll.client import connection, documents, errors, narration
from atoll.definitions.v1 import values_pb2

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_UNAUTHENTICATED: Final = 4
EXIT_INTERRUPTED: Final = 130

HOST_VARIABLE: Final = "ATOLL_HOST"
TOKEN_VARIABLE: Final = "ATOLL_TOKEN"  # noqa: S105 - the name of it
CONTEXT_VARIABLE: Final = "ATOLL_CONTEXT"
HOST_DEFAULT: Final = "127.0.0.1:4700"

# On narrower terminals a table shows the beginnings of run ids, which every command takes as well.
FULL_IDS_WIDTH_MIN: Final = 120

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")

_USAGE_REASONS: Final = frozenset(
    {
        errors.reasons.INVALID_ADDRESS,
        errors.reasons.TLS_FILE_UNUSABLE,
        errors.reasons.TOKEN_UNPROTECTED,
    }
)
_TOKEN_FILE: Final = "atoll.token_file"  # noqa: S105 - where it is kept
_CONTEXT: Final = "atoll.context"
_TARGET: Final = "atoll.target"
_TOKEN_BYTES_MAX: Final = 16_384
_WHAT_TO_DO: Final = (
    "Log in with 'atoll login', put a token into "
    f"{TOKEN_VARIABLE}, or name a file that holds one with --token-file. On the "
    "machine of the host, the first admin's is in admin.token in its data directory."
)


def host_option(command: Command) -> Command:
    """Give a command the options that say which host it speaks to, and as whom."""
    return _host_options(command, may_be_new=False)


def new_host_option(command: Command) -> Command:
    """Give a command the same options, where the context need not be there yet."""
    return _host_options(command, may_be_new=True)


def _host_options(command: Command, *, may_be_new: bool) -> Command:
    with_token = click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False, path_type=pathlib.Path),
        expose_value=False,
        is_eager=True,
        callback=_keep(_TOKEN_FILE),
        help=f"A file that holds the token to call with, instead of {TOKEN_VARIABLE}.",
    )(command)
    with_context = click.option(
        "--context",
        "context_name",
        envvar=CONTEXT_VARIABLE,
        show_envvar=True,
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=_keep(_CONTEXT),
        shell_complete=_complete_contexts,
        help="The context to use: a host, and how it is reached.",
    )(with_token)
    return click.option(
        "--host",
        "host",
        envvar=HOST_VARIABLE,
        show_default=f"that of the context, else {HOST_DEFAULT}",
        show_envvar=True,
        metavar="HOST:PORT",
        callback=functools.partial(_resolve, may_be_new=may_be_new),
        help="The host to talk to.",
    )(with_context)


def target() -> targeting.Target:
    """Return which host the command speaks to, and as whom."""
    context = click.get_current_context(silent=True)
    found: targeting.Target | None = None if context is None else context.meta.get(_TARGET)
    return found or _chosen(targeting.Settings(), _environment(), None, is_named=False)


def context_name() -> str:
    """Return the name of the context that was named, or that is used where none is."""
    context = click.get_current_context()
    named: tuple[str, bool] | None = context.meta.get(_CONTEXT)
    return named[0] if named else context_files.load().current or context_files.DEFAULT_NAME


def context_names(beginning: str) -> list[str]:
    """Return the names of contexts that begin so, for shells to complete."""
    with contextlib.suppress(click.ClickException):
        return sorted(name for name in context_files.load().by_name if name.startswith(beginning))
    return []


def token() -> str:
    """Return the token to call with; empty where there is none.

    Raises:
        click.UsageError: What should be a token is none. The message does not show it.
        click.ClickException: Whoever was logged in is so no more.
    """
    chosen = target()
    if chosen.token_from is targeting.TokenFrom.FILE:
        return checked_token(_read(pathlib.Path(chosen.token_file)), chosen.token_file)
    if chosen.token_from is targeting.TokenFrom.LOGIN and chosen.context is not None:
        login = logins.renewed(chosen.context.name)
        if login is not None:
            return login.bearer
    return checked_token(os.environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE)


def checked_token(text: str, where: str) -> str:
    """Return a token without what is around it.

    Raises:
        click.UsageError: It can be none. The message does not show it.
    """
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise click.UsageError(f"{where} holds no token. Put one line there, as it was printed.")
    return text


def json_option(command: Command) -> Command:
    """Give a command the option that makes it speak to programs."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON for programs; times are in UTC."
    )(command)


def limit_option(default: int | None) -> Callable[[Command], Command]:
    """Give a command the option that says how much it lists; None lists all there is."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=default is not None,
        help="How many at the most." if default else "How many at the most; all, without it.",
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
    code = ask(host, work)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _piped_away()
    sys.exit(code or 0)


def ask(
    host: str, work: Callable[[connection.Client], Awaitable[Result]], bearer: str | None = None
) -> Result:
    """Do some work on a connection to a host and return what it gives; end the process if it fails.

    Args:
        host: The address of the host.
        work: What to do.
        bearer: The token to call with; None takes the one that `token` finds.
    """
    try:
        return asyncio.run(_connected(host, token() if bearer is None else bearer, work))
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        code = _piped_away()
    except errors.ConnectError as error:
        code = _complain(str(error), EXIT_UNREACHABLE)
    except errors.UnauthenticatedError as error:
        code = _complain(f"{error.message}\n{_WHAT_TO_DO}", EXIT_UNAUTHENTICATED)
    except errors.RpcError as error:
        code = _complain(error.message, _code_of(error))
    except errors.WaitTimeoutError as error:
        code = _complain(str(error), EXIT_FAILED)
    sys.exit(code)


def _piped_away() -> int:
    # Whoever read us has enough. What is still buffered must not raise again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def terminal() -> rendering.Terminal:
    """Return what is known of standard output."""
    found = rendering.terminal_of(sys.stdout)
    context = click.get_current_context(silent=True)
    if context is not None:
        # Or click takes out colours that were asked for where no terminal is.
        context.color = found.coloured
    return found


def run_id(text: str, shown_on: rendering.Terminal) -> str:
    """Return the id of a run, or its beginning where a table has no room for all of it."""
    return text if shown_on.width >= FULL_IDS_WIDTH_MIN else narration.short_run_id(text)


def _keep(where: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, option: click.Parameter, value: Any) -> None:
        if value:
            source = context.get_parameter_source(option.name or "")
            context.meta[where] = (str(value), source is core.ParameterSource.COMMANDLINE)

    return keep


def _resolve(
    context: click.Context, option: click.Parameter, value: str | None, *, may_be_new: bool
) -> str:
    """Find out which host is meant, and keep for `token` and `tls_options` what goes with it."""
    is_option = context.get_parameter_source(option.name or "") is core.ParameterSource.COMMANDLINE
    options = {"host": value or "" if is_option else ""}
    environment = dataclasses.asdict(_environment()) | {"host": "" if is_option else value or ""}
    for name in ("ca_file", "cert_file", "key_file"):
        text, by_option = context.meta.get(f"atoll.{name}.said", ("", False))
        (options if by_option else environment)[name] = text
    options["token"] = context.meta.get(_TOKEN_FILE, ("", False))[0]
    named, is_named = context.meta.get(_CONTEXT, ("", False))
    chosen = _chosen(
        targeting.Settings(**options),
        targeting.Settings(**environment),
        _context(named, may_be_new=may_be_new),
        is_named=is_named,
    )
    context.meta[_TARGET] = chosen
    for name in ("ca_file", "cert_file", "key_file"):
        context.meta[f"atoll.{name}"] = getattr(chosen, name)
    return chosen.host


def _environment() -> targeting.Settings:
    return targeting.Settings(token=os.environ.get(TOKEN_VARIABLE, "").strip())


def _context(name: str, *, may_be_new: bool) -> context_files.Context | None:
    contexts = context_files.load()
    found = contexts.by_name.get(name or contexts.current)
    if found is None and name and not may_be_new:
        raise context_files.unknown(name, contexts)
    return found


def _chosen(
    options: targeting.Settings,
    environment: targeting.Settings,
    context: context_files.Context | None,
    *,
    is_named: bool,
) -> targeting.Target:
    return targeting.target(
        options,
        environment,
        context,
        is_named=is_named,
        default_host=HOST_DEFAULT,
        normal=_normal,
    )


def _normal(address: str) -> str:
    try:
        return str(addresses.parse(address))
    except errors.RpcError:
        return address


def _complete_contexts(
    _context: click.Context, _option: click.Parameter, incomplete: str
) -> list[str]:
    return context_names(incomplete)


def _read(file: pathlib.Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_TOKEN_BYTES_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from error


async def _connected(
    host: str, bearer: str, work: Callable[[connection.Client], Awaitable[Result]]
) -> Result:
    async with connection.connect(host, token=bearer, tls=tls_options.chosen()) as client:
        try:
            return await work(client)
        except errors.NotFoundError as error:
            near = await naming.meant(client, error)
            if not near:
                raise
            raise errors.NotFoundError(
                f"{error.message} Did you mean {near!r}?",
                reason=error.reason,
                metadata=error.metadata,
            ) from error


def _code_of(error: errors.RpcError) -> int:
    if error.reason in _USAGE_REASONS:
        return EXIT_USAGE
    if isinstance(error, errors.UnavailableError) and error.reason == errors.reasons.UNREACHABLE:
        return EXIT_UNREACHABLE
    return EXIT_FAILED


def _complain(message: str, code: int) -> int:
    click.echo(f"Error: {rendering.printable(message).strip()}", err=True)
    return code
