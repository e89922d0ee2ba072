"""Commands that other distributions add, through entry points of the group "atoll.commands".

A name is known without importing anything; the command is imported when it is called. One that
cannot be imported is reported and leaves the others alone.
"""

from __future__ import annotations

import importlib.metadata

import click

GROUP = "atoll.commands"


def names() -> dict[str, str]:
    """Return the names of the commands and the distributions that bring them."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {
        entry.name: entry.dist.metadata["Name"] if entry.dist is not None else "" for entry in found
    }


def load(name: str) -> click.Command | None:
    """Return a command; None when no distribution brings it.

    Args:
        name: The name of the command.
    """
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        brought_by = entry.dist.metadata["Name"] if entry.dist is not None else "unknown"
        try:
            command: object = entry.load()
        except Exception as error:  # noqa: BLE001  # a plugin is foreign code: reported, not fatal
            return _broken(name, brought_by, f"{type(error).__name__}: {error}")
        if isinstance(command, click.Command):
            return command
        return _broken(name, brought_by, f"{entry.value} is no click command")
    return None


def _broken(name: str, brought_by: str, problem: str) -> click.Command:
    """Return a command that says why the real one is not there."""

    def complain(**_arguments: object) -> None:
        raise click.ClickException(
            f"The command {name!r}, which the distribution {brought_by!r} brings, cannot be "
            f"loaded: {problem}. Reinstall or remove that distribution."
        )

    return click.Command(
        name,
        callback=complain,
        short_help=f"(broken: {problem})",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
    )
