"""The root command is fast, and foreign commands cannot break it."""

import importlib.metadata
import subprocess
import sys

import click
import pytest
from click import testing

from atoll._cli import main, plugins


def run(*arguments: str) -> testing.Result:
    return testing.CliRunner().invoke(main.main, arguments)


def loaded_by(code: str) -> set[str]:
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=30)
    return set(done.stdout.decode().split())


def test_help_lists_everything_and_imports_nothing():
    result = run("--help")
    assert result.exit_code == 0
    for name, entry in main.COMMANDS.items():
        assert name in result.output
        assert entry.help in result.output
    code = (
        "from click import testing\nfrom atoll._cli import main\n"
        "assert testing.CliRunner().invoke(main.main, ['--help']).exit_code == 0"
    )
    assert not loaded_by(code) & {"grpc", "pydantic", "google.protobuf", "asyncio"}


def test_the_first_steps_of_serving_need_neither_grpc_nor_asyncio():
    loaded = loaded_by("import atoll._cli.serve")
    assert "atoll._server.bootstrap" in loaded
    assert not loaded & {"grpc", "pydantic", "asyncio", "importlib.metadata"}


def test_the_version_is_that_of_the_distribution():
    assert run("--version").output == f"atoll {importlib.metadata.version('atoll')}\n"


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_every_command_of_the_table_is_there(name):
    result = run(name, "--help")
    assert result.exit_code == 0, result.output


def test_an_interrupt_ends_a_command_as_shells_tell_it():
    group = main.LazyGroup("atoll")

    @group.command()
    def wait() -> None:
        raise KeyboardInterrupt

    result = testing.CliRunner().invoke(group, ["wait"])
    assert (result.exit_code, result.output) == (130, "")


def test_an_unknown_command_is_refused():
    result = run("unheard-of")
    assert result.exit_code == 2
    assert "unheard-of" in result.output


@click.command()
def greet() -> None:
    """Greet."""
    click.echo("hello")


@pytest.fixture
def plugged(monkeypatch):
    def entry(name: str, value: str) -> importlib.metadata.EntryPoint:
        return importlib.metadata.EntryPoint(name, value, plugins.GROUP)

    entries = importlib.metadata.EntryPoints(
        [
            entry("broken", "no.such.module:command"),
            entry("odd", "os:path"),
        ]
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", entries.select)


def test_a_plugin_is_a_command(monkeypatch):
    module = type(sys)("plugin_for_this_test")
    module.greet = greet
    monkeypatch.setitem(sys.modules, "plugin_for_this_test", module)
    entries = importlib.metadata.EntryPoints(
        [importlib.metadata.EntryPoint("greet", "plugin_for_this_test:greet", plugins.GROUP)]
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", entries.select)
    assert run("greet").output == "hello\n"
    assert "greet" in run("--help").output


@pytest.mark.parametrize(("name", "problem"), [("broken", "no"), ("odd", "no click command")])
def test_a_broken_plugin_is_reported_and_the_rest_works(plugged, name, problem):
    result = run(name, "--some-option", "value")
    assert result.exit_code == 1
    assert name in result.output
    assert problem in result.output
    assert "Traceback" not in result.output
    assert run("--help").exit_code == 0
