"""The `atoll` command: finds commands, loads none before it is called.

`atoll --help` lists them all without importing any, so the help of each stands in the table here.
Other distributions' commands are looked for only where none of these is meant: the search takes
longer than the start of `atoll serve` may.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import click

from atoll import _version

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Lazy(NamedTuple):
    """A command that is imported when it is called."""

    module: str
    attribute: str
    help: str


COMMANDS: Mapping[str, Lazy] = {
    "serve": Lazy("atoll._cli.serve", "serve", "Serve a code location."),
    "check": Lazy("atoll._cli.check", "check", "Load a location's definitions, say what is wrong."),
    "locations": Lazy("atoll._cli.locations", "locations", "Show and reload code locations."),
    "alerts": Lazy("atoll._cli.alerts", "alerts", "Show alerts and try their rules."),
    "assets": Lazy("atoll._cli.assets", "assets", "Show assets of all locations."),
    "checks": Lazy("atoll._cli.checks", "checks", "Show checks of assets and what they found."),
    "freshness": Lazy("atoll._cli.freshness", "freshness", "Show how fresh assets are."),
    "jobs": Lazy("atoll._cli.jobs", "jobs", "Show jobs and what they are made of."),
    "sensors": Lazy("atoll._cli.sensors", "sensors", "Show, start, stop and reset sensors."),
    "conditions": Lazy(
        "atoll._cli.conditions", "conditions", "Show automation conditions, and why or why not."
    ),
    "retention": Lazy(
        "atoll._cli.retention", "retention", "Show what is kept for how long, and tidy up."
    ),
    "schedules": Lazy("atoll._cli.schedules", "schedules", "Show, start and stop schedules."),
    "runs": Lazy("atoll._cli.runs", "runs", "Launch, show and cancel runs."),
    "backfills": Lazy("atoll._cli.backfills", "backfills", "Begin, show and steer backfills."),
    "pools": Lazy("atoll._cli.pools", "pools", "Show pools and set their limits."),
    "policy": Lazy("atoll._cli.policy", "policy", "Show who may do what between locations."),
    "partitions": Lazy(
        "atoll._cli.partitions", "partitions", "Show, add and delete dynamic partitions."
    ),
    "subscriptions": Lazy(
        "atoll._cli.subscriptions", "subscriptions", "Send events to other services, and see how."
    ),
    "tokens": Lazy("atoll._cli.tokens", "tokens", "Make, list and revoke tokens of callers."),
    "whoami": Lazy("atoll._cli.tokens", "whoami", "Tell who you are to the host."),
    "audit": Lazy("atoll._cli.audit", "audit", "Show who changed what, and who was refused."),
    "report": Lazy("atoll._cli.report", "report", "Report what happened to assets outside."),
    "limits": Lazy("atoll._cli.limits", "limits", "Show the limits of a host."),
    "events": Lazy("atoll._cli.events", "events", "Show and follow the event log."),
}

_PLUGINS = "atoll._cli.plugins"
# As a shell tells of a program that SIGINT ended.
_EXIT_INTERRUPTED = 130

# Their commands come with another distribution, so their help stands here as well.
_KNOWN_PLUGINS = {
    "host": "Run the host.",
    "dev": "Run a host and all locations of a project file.",
    "certs": "Make an authority and certificates for development.",
}


class Plugins(Protocol):
    """What `atoll._cli.plugins` gives."""

    def names(self) -> dict[str, str]:
        """Return the names of the commands and the distributions that bring them."""
        ...

    def load(self, name: str) -> click.Command | None:
        """Return a command; None when no distribution brings it."""
        ...


def _plugins() -> Plugins:
    return cast("Plugins", importlib.import_module(_PLUGINS))


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*COMMANDS, *_plugins().names(), *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            command = super().get_command(ctx, cmd_name) or _plugins().load(cmd_name)
            if command is None and cmd_name in _KNOWN_PLUGINS:
                ctx.fail(
                    f"'atoll {cmd_name}' needs the host, which is not installed in this "
                    "environment. Install it with: pip install 'atoll[host]'"
                )
            return command
        loaded: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        return loaded

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C before it can stop in its own way ends it all the same."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(_EXIT_INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        del ctx
        rows = {name: entry.help for name, entry in COMMANDS.items()}
        for name, brought_by in _plugins().names().items():
            rows.setdefault(name, _KNOWN_PLUGINS.get(name, f"(from {brought_by})"))
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"atoll {_version.VERSION}")
        ctx.exit()


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.meta[f"atoll.{parameter.name}"] = value


def _file_option(name: str, variable: str, text: str) -> Callable[[_Command], _Command]:
    """Return an option of all commands that ask a host; `tls_options` reads it from the context."""
    return click.option(
        name,
        envvar=variable,
        show_envvar=True,
        metavar="FILE",
        expose_value=False,
        callback=_keep,
        help=text,
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@_file_option("--ca-file", "ATOLL_CA_FILE", "The authority of the host's certificate: speaks TLS.")
@_file_option("--cert-file", "ATOLL_CERT_FILE", "The certificate to show to the host.")
@_file_option("--key-file", "ATOLL_KEY_FILE", "The private key of that certificate.")
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
