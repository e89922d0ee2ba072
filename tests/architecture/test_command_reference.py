"""Every command explains itself; docs/reference/cli.md has a heading for each and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from atoll._cli import main as cli

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
# Explained once for all commands that ask a host.
SHARED = {"--token-file", "--context"}
_HEADING = re.compile(r"^#{2,4} +`(atoll(?: [a-z-]+)*)`\s*$", re.MULTILINE)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1], **cli.main.context_settings)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _commands(child, (*path, name))


COMMANDS = dict(_commands(cli.main, ("atoll",)))


def test_the_commands_of_the_host_are_among_them():
    assert {
        "atoll",
        "atoll serve",
        "atoll check",
        "atoll dev",
        "atoll host",
        "atoll runs launch",
    } <= set(COMMANDS)


def test_a_command_says_what_it_does():
    for name, command in COMMANDS.items():
        text = (command.help or "").strip()
        assert text, f"`{name}` has no help text: give its function a docstring."
        first = text.split("\n\n")[0].rstrip()
        assert first.endswith("."), f"`{name}`: the first paragraph of the help is a sentence."


def test_every_option_of_a_command_is_explained():
    mute = [
        f"{name} {option.opts[0]}"
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]
    _fail_on(mute, "These options have no help:")


def test_a_command_has_its_heading_in_the_reference():
    missing = [f"### `{name}`" for name in COMMANDS if name != "atoll" and name not in _sections()]
    _fail_on(missing, "docs/reference/cli.md lacks these headings:")


def test_the_reference_names_every_option_of_a_command():
    missing = [
        f"`{name}`: {opt}"
        for name, command in COMMANDS.items()
        if name != "atoll" and not isinstance(command, click.Group)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
        for opt in option.opts
        if opt.startswith("--") and opt not in {"--help", *SHARED}
        if opt not in _sections().get(name, "")
    ]
    missing += [opt for opt in SHARED if f"`{opt} " not in REFERENCE.read_text()]
    _fail_on(missing, "docs/reference/cli.md says nothing about these options:")


def test_the_reference_speaks_of_no_command_that_is_not_there():
    gone = sorted(set(_sections()) - set(COMMANDS))
    _fail_on(gone, "docs/reference/cli.md has headings for commands that are not there:")


def _sections() -> dict[str, str]:
    if not REFERENCE.is_file():
        pytest.fail("docs/reference/cli.md is missing: a heading for each command", pytrace=False)
    text = REFERENCE.read_text()
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    return {
        heading[1]: text[heading.end() : end]
        for heading, end in zip(headings, ends[: len(headings)], strict=True)
    }


def _fail_on(problems: list[str], rule: str) -> None:
    if problems:
        pytest.fail("\n".join([rule, *problems]), pytrace=False)
