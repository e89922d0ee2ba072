"""The `atoll` command: finds commands, loads none before it is called.

`atoll --help` lists them all without importing any, so the help of each stands in the table here.
Other distributions' commands are looked for only where none of these is meant: the search takes
longer than the start of `atoll serve` may.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import click
from click import core

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
    "contexts": Lazy(
        "atoll._cli.contexts", "contexts", "Name hosts, and choose the one to talk to."
    ),
    "login": Lazy("atoll._cli.login", "login", "Log in to a host."),
    "logout": Lazy("atoll._cli.login", "logout", "Forget what was logged in with."),
    "completion": Lazy(
        "atoll._cli.completion", "completion", "Have a shell complete what you type."
    ),
    "whoami": Lazy("atoll._cli.tokens", "whoami", "Tell who you are to the host."),
    "audit": Lazy("atoll._cli.audit", "audit", "Show who changed what, and who was refused."),
    "report": Lazy("atoll._cli.report", "report", "Report what happened to assets outside."),
    "limits": Lazy("atoll._cli.limits", "limits", "Show the limits of a host."),
    "events": Lazy("atoll._cli.events", "events", "Show and follow the event log."),
}

_PLUGINS = "atoll._cli.plugins"
_COMPLETE_VARIABLE = "_ATOLL_COMPLETE"
# As a shell tells of a program that SIGINT ended.
_EXIT_INTERRUPTED = 130

# Their commands come with another distribution, so their help stands here as well.
_KNOWN_PLUGINS = {
    "host": "Run the host.",
    "dev": "Run a host and all locations of a project file.",
    "certs": "Make an authority and certificates for development.",
}


# As `atoll --help` groups them; what is in none of these stands at the end.
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Code and hosts": ("check", "serve", "dev", "host", "certs", "locations"),
    "Runs": ("jobs", "runs", "backfills", "events", "pools"),
    "Data": ("assets", "checks", "freshness", "partitions", "report", "impact"),
    "Automation": ("sensors", "schedules", "conditions"),
    "Operations": ("alerts", "subscriptions", "retention", "policy", "limits"),
    "Access": ("login", "logout", "whoami", "contexts", "tokens", "credentials", "audit"),
    "This command line": ("completion",),
}
_OTHERS = "More"
_EPILOG = (
    "Exit codes: 0 it worked, 1 the thing itself failed, 2 the call was wrong, 3 no host answers, "
    "4 the host does not know who calls, 130 interrupted."
)


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
        """Import one command; while a shell asks what may come next, it completes names too."""
        command = self._command(ctx, cmd_name)
        if command is not None and _COMPLETE_VARIABLE in os.environ:
            completion: Any = importlib.import_module("atoll._cli.completion")
            completion.prepare(command, (cmd_name,))
        return command

    def _command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
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
        listed = dict(_SECTIONS)
        placed = {name for names in listed.values() for name in names}
        listed[_OTHERS] = tuple(sorted(rows.keys() - placed))
        width = max(len(name) for name in rows)
        for title, names in listed.items():
            there = [(name.ljust(width), rows[name]) for name in names if name in rows]
            if there:
                with formatter.section(title):
                    formatter.write_dl(there)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; a misspelled one is told with what was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], names, 3)
            if args[0] in {*names, *_KNOWN_PLUGINS} or not near:
                raise
            meant = " or ".join(repr(name) for name in near)
            raise click.UsageError(
                f"No such command {args[0]!r}. Did you mean {meant}?", ctx
            ) from error


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: object) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"atoll {_version.VERSION}")
        ctx.exit()


def _keep_file(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Keep what was said, and whether an option said it, which wins over more than a variable."""
    name = parameter.name or ""
    by_option = context.get_parameter_source(name) is core.ParameterSource.COMMANDLINE
    context.meta[f"atoll.{name}"] = value
    context.meta[f"atoll.{name}.said"] = (value or "", by_option)


def _file_option(name: str, variable: str, text: str) -> Callable[[_Command], _Command]:
    """Return an option of all commands that ask a host; `tls_options` reads it from the context."""
    return click.option(
        name,
        envvar=variable,
        show_envvar=True,
        metavar="FILE",
        expose_value=False,
        callback=_keep_file,
        help=text,
    )


@click.group(
    cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
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
