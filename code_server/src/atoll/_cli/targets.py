"""The options that name a code location, for `atoll serve` and `atoll check`.

Turns a module, a file or a package into a `launch.Target`, and says clearly when it is not exactly
one of them.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from atoll._location import launch

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def options(command: CommandT) -> CommandT:
    """Add the options to a command."""
    for decorate in (
        click.option(
            "--working-directory",
            "-d",
            type=click.Path(path_type=pathlib.Path),
            default=pathlib.Path(),
            help="The directory that the code runs in and is imported from.",
        ),
        click.option(
            "--name", help="The name of the location; made from what is served if absent."
        ),
        click.option("--package", "-p", help="The package that holds the definitions."),
        click.option(
            "--file",
            "-f",
            type=click.Path(path_type=pathlib.Path),
            help="The Python file that holds the definitions.",
        ),
        click.option("--module", "-m", help="The module that holds the definitions."),
    ):
        command = decorate(command)
    return command


def parse(
    module: str | None,
    file: pathlib.Path | None,
    package: str | None,
    working_directory: pathlib.Path,
) -> launch.Target:
    """Return what is to be served.

    Args:
        module: The module, if given.
        file: The file, if given.
        package: The package, if given.
        working_directory: Where the code runs.

    Raises:
        click.UsageError: It is not exactly one of them, or not there.
    """
    given = [
        (kind, str(value))
        for kind, value in (
            (launch.TargetKind.MODULE, module),
            (launch.TargetKind.FILE, file),
            (launch.TargetKind.PACKAGE, package),
        )
        if value
    ]
    if len(given) != 1:
        text = "nothing was given" if not given else "more than one was given"
        raise click.UsageError(
            f"Name the definitions with exactly one of --module, --file and --package; {text}."
        )
    folder = working_directory.absolute()
    if not folder.is_dir():
        raise click.UsageError(f"The working directory {folder} is no directory.")
    [(kind, value)] = given
    if kind is launch.TargetKind.FILE:
        path = folder / value
        if not path.is_file():
            raise click.UsageError(f"There is no file {path}.")
        value = str(path)
    return launch.Target(kind=kind, value=value, working_directory=str(folder))


def name_of(name: str | None, target: launch.Target) -> str:
    """Return the name of the location: the given one, or one made from what is served.

    Raises:
        click.UsageError: It is no name.
    """
    if name is None:
        name = target.value
        if target.kind is launch.TargetKind.FILE:
            name = pathlib.Path(target.value).stem
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"{name!r} is no name for a location: use up to 100 letters, digits, '_', '-' and '.', "
            "and begin with a letter, a digit or '_'. Give one with --name."
        )
    return name
