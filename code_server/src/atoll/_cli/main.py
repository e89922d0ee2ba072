"""The `atoll` command: finds commands, loads none before it is called.

`atoll --help` lists them all without importing any, so the help of each stands in the table here.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import NamedTuple

import click

from atoll._cli import plugins


class Lazy(NamedTuple):
    """A command that is imported when it is called."""

    module: str
    attribute: str
    help: str


COMMANDS: Mapping[str, Lazy] = {
    "serve": Lazy("atoll._cli.serve", "serve", "Serve a code location."),
    "check": Lazy("atoll._cli.check", "check", "Load a location's definitions, say what is wrong."),
    "locations": Lazy("atoll._cli.locations", "locations", "Look at and reload code locations."),
    "assets": Lazy("atoll._cli.assets", "assets", "Look at assets of all locations."),
    "sensors": Lazy("atoll._cli.sensors", "sensors", "Look at, start and stop sensors."),
    "runs": Lazy("atoll._cli.runs", "runs", "Look at, launch and cancel runs."),
    "events": Lazy("atoll._cli.events", "events", "Read and follow the event log."),
}

# Their commands come with another distribution, so their help stands here as well.
_KNOWN_PLUGINS = {
    "host": "Run the host.",
    "dev": "Run a host and all locations of a project file.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*COMMANDS, *plugins.names(), *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            command = super().get_command(ctx, cmd_name) or plugins.load(cmd_name)
            if command is None and cmd_name in _KNOWN_PLUGINS:
                ctx.fail(
                    f"'atoll {cmd_name}' needs the host, which is not installed in this environment. "
                    "Install it with: pip install 'atoll[host]'"
                )
            return command
        loaded: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        rows = {name: entry.help for name, entry in COMMANDS.items()}
        for name, brought_by in plugins.names().items():
            rows.setdefault(name, _KNOWN_PLUGINS.get(name, f"(from {brought_by})"))
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"atoll {importlib.metadata.version('atoll')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Orchestrate data work across teams that do not share an environment."""
