"""``atoll completion``, and what shells ask for while somebody types.

`main` has each command prepared when a shell asks. Commands, options and their choices are known
here; names are asked for at the host that the command line means, for about a second and in
silence: where nothing answers, nothing is proposed. What an argument or option names is told by its
own name and by the noun that it stands after, so a new command is completed without a line here.
"""

import asyncio
import contextlib
import functools
import io
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from click import shell_completion

from atoll._cli import connection, logins, naming, targeting, tls_options
from atoll.client import connection as client_connection

SHELLS: Final = ("bash", "zsh", "fish")

_PROGRAM: Final = "atoll"
_VARIABLE: Final = "_ATOLL_COMPLETE"
_WITHIN_S: Final = 1.0
_CLASSES: Final[Mapping[str, type[shell_completion.ShellComplete]]] = {
    "bash": shell_completion.BashComplete,
    "zsh": shell_completion.ZshComplete,
    "fish": shell_completion.FishComplete,
}

_Item = shell_completion.CompletionItem[Any]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that has a shell complete what is typed.

    For bash, put this into ~/.bashrc: eval "$(atoll completion bash)". For zsh, the same with zsh
    into ~/.zshrc, after compinit. For fish: atoll completion fish >
    ~/.config/fish/completions/atoll.fish
    """
    made = _CLASSES[shell](click.Command(_PROGRAM), {}, _PROGRAM, _VARIABLE)
    # Not `source`, which looks for a bash that is new enough: it may be on another machine.
    click.echo(made.source_template % made.source_vars())


def prepare(command: click.Command, path: tuple[str, ...]) -> None:
    """Have the parameters of a command complete the names that only a host knows.

    Args:
        command: The command; of a group, its commands as well.
        path: Its name, after those of the groups that it is in.
    """
    for parameter in command.params:
        kind = subject_of(path, parameter)
        if kind is not None and not isinstance(parameter.shell_complete, functools.partial):
            asking = functools.partial(_complete, kind, parameter.shell_complete)
            setattr(parameter, "shell_complete", asking)  # noqa: B010 - a method of this one only
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            prepare(child, (*path, name))


def names(context: click.Context, kind: str) -> list[str]:
    """Return names of a kind; none where they are not to be had.

    Args:
        context: Of the command, parsed as far as it is typed.
        kind: A key of those that are known.
    """
    if "atoll.target" not in context.meta:
        return []
    # The boundary to whatever may be wrong with the network, the host or the files; and nothing
    # may be printed between the words that somebody types.
    try:
        with contextlib.redirect_stderr(io.StringIO()), context.scope(cleanup=False):
            return sorted(asyncio.run(asyncio.wait_for(_asked(kind), _WITHIN_S)))
    except Exception:  # noqa: BLE001
        return []


def _complete(
    kind: str,
    otherwise: Callable[[click.Context, str], list[_Item]],
    context: click.Context,
    incomplete: str,
) -> list[_Item]:
    found = [
        shell_completion.CompletionItem(name)
        for name in names(context, kind)
        if name.startswith(incomplete)
    ]
    return found or otherwise(context, incomplete)


def subject_of(path: tuple[str, ...], parameter: click.Parameter) -> str | None:
    """Return which names a parameter takes, a key of those that are known; None for none. Pure.

    Args:
        path: The command, its nouns first, without the program.
        parameter: The argument or option.
    """
    name = (parameter.name or "").removesuffix("_name")
    if isinstance(parameter, click.Option):
        options = {opt.lstrip("-") for opt in parameter.opts}
        for option in options & _OPTIONS.keys():
            return _OPTIONS[option]
        return None
    verb = path[-1] if path else ""
    if name.endswith("_id"):
        kind = f"{name.removesuffix('_id')}s"
        return kind if kind in naming.KINDS else None
    noun = path[0] if path else ""
    if name in {"key", "asset"}:
        return "assets"
    return noun if name == "name" and noun in naming.KINDS and verb != "create" else None


async def _asked(kind: str) -> set[str]:
    target = connection.target()
    async with client_connection.connect(
        target.host, token=_token(target), tls=tls_options.chosen(), timeout_s=_WITHIN_S
    ) as client:
        return await naming.known(client, kind)


def _token(target: targeting.Target) -> str:
    """Return the token; one that ended is not renewed while somebody types."""
    if target.token_from is targeting.TokenFrom.LOGIN and target.context is not None:
        login = logins.load(target.context.name)
        return login.bearer if login else os.environ.get(connection.TOKEN_VARIABLE, "")
    return connection.token()


_OPTIONS: Final[Mapping[str, str]] = {
    "location": "locations",
    "code-server": "locations",
    "job": "jobs",
    "asset": "assets",
    "sensor": "sensors",
    "schedule": "schedules",
    "run": "runs",
    "rerun": "runs",
    "backfill": "backfills",
    "pool": "pools",
    "subscription": "subscriptions",
}
