"""All nouns of the command line: the same verbs, the same options, the same meaning of each."""

import subprocess
import sys

import click
import click.testing
import pytest

from atoll._cli import main as cli
from tests.architecture import test_command_reference as reference

COMMANDS = {
    tuple(name.split()[1:]): command
    for name, command in reference.COMMANDS.items()
    if name != "atoll"
}
LEAVES = {
    path: command for path, command in COMMANDS.items() if not isinstance(command, click.Group)
}

# One word for one thing: what is called so elsewhere, and how it is called here.
OTHER_WORDS = {
    "ls": "list",
    "get": "show",
    "describe": "show",
    "info": "show",
    "new": "create",
    "make": "create",
    "remove": "delete",
    "rm": "delete",
    "enable": "start",
    "disable": "stop",
    "kill": "cancel",
    "abort": "cancel",
    "tail": "watch",
}
# Processes that go on, and what writes files that people name.
SPEAK_NO_JSON = {
    ("serve",),
    ("dev",),
    ("host",),
    ("host", "create-token"),
    ("completion",),
    ("certs", "init"),
    ("certs", "create", "host"),
    ("certs", "create", "location"),
    ("certs", "create", "user"),
}
# They know no host yet, or say which one themselves.
OWN_HOST = {("serve",), ("contexts", "create")}


def options(command: click.Command) -> dict[str, click.Option]:
    return {
        opt: option
        for option in command.params
        if isinstance(option, click.Option)
        for opt in option.opts
    }


def test_verbs_are_the_same_everywhere():
    wrong = [
        f"atoll {' '.join(path)}: call it {OTHER_WORDS[path[-1]]}"
        for path in COMMANDS
        if path[-1] in OTHER_WORDS
    ]
    assert not wrong, wrong


def test_every_command_speaks_to_programs():
    mute = [
        path
        for path in LEAVES
        if path not in SPEAK_NO_JSON and "--json" not in options(LEAVES[path])
    ]
    assert not mute, mute


def test_whoever_asks_a_host_says_which_and_as_whom_in_the_same_way():
    for path, command in LEAVES.items():
        given = options(command)
        if path in OWN_HOST or "--host" not in given:
            continue
        assert {"--context", "--token-file"} <= given.keys(), path
        assert given["--host"].envvar == "ATOLL_HOST", path


def test_lists_are_bounded_by_the_same_option():
    for path, command in LEAVES.items():
        given = options(command)
        if path[-1] == "list" and "--host" in given:
            assert "--limit" in given, path
        if "--limit" in given:
            assert isinstance(given["--limit"].type, click.IntRange), path


@pytest.mark.parametrize("name", ["--json", "--dry-run", "--force", "--wait"])
def test_switches_take_no_value(name):
    for path, command in LEAVES.items():
        if name in options(command):
            assert options(command)[name].is_flag, path


def test_no_secret_is_an_option():
    for path, command in LEAVES.items():
        for name in options(command):
            assert name not in {"--token", "--password", "--secret"}, path


def test_help_is_where_people_look_for_it():
    # Not by calling them: a command keeps the option that it was first asked for, and other tests
    # call commands by themselves.
    root = click.Context(cli.main, info_name="atoll", **cli.main.context_settings)
    for path, command in COMMANDS.items():
        context = click.Context(command, info_name=path[-1] if path else "atoll", parent=root)
        assert {"-h", "--help"} <= set(command.get_help_option_names(context)), path
    done = subprocess.run(
        [sys.executable, "-m", "atoll", "runs", "list", "-h"], capture_output=True, check=True
    )
    assert done.stdout.startswith(b"Usage: ")


def test_the_help_of_all_is_grouped_and_tells_the_exit_codes():
    text = click.testing.CliRunner().invoke(cli.main, ["-h"]).output
    for title in ("Code and hosts:", "Runs:", "Data:", "Automation:", "Access:"):
        assert f"\n{title}\n" in text
    assert "3 no host answers" in " ".join(text.split())
    below = [line for line in text.splitlines() if line.startswith("  ")]
    assert all(len(line) <= 80 for line in below)


def test_a_misspelled_command_is_told_with_the_one_that_was_meant():
    runner = click.testing.CliRunner()
    result = runner.invoke(cli.main, ["rnus", "list"])
    assert (result.exit_code, "Did you mean 'runs'?" in result.stderr) == (2, True)
    result = runner.invoke(cli.main, ["nothing-like-any"])
    assert result.exit_code == 2
    assert "Did you mean" not in result.stderr


def test_help_loads_little():
    code = "import sys\nfrom atoll._cli import main\nprint(len(sys.modules))"
    bare = "import sys, click, importlib.metadata, difflib\nprint(len(sys.modules))"
    counts = [
        int(subprocess.run([sys.executable, "-c", each], capture_output=True, check=True).stdout)
        for each in (code, bare)
    ]
    assert counts[0] - counts[1] < 20
