"""Every command and program of the guide to securing works, from the first token on."""

import asyncio
import contextlib
import io
import re
import shlex
from pathlib import Path

import click.testing
import pytest

from atoll._cli import main as cli
from atoll_host.access import access_settings, first_token, tokens
from tests.docs import blocks

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "securing.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    # Its provider of identities has tests of its own.
    if not line.startswith("atoll login")
]
_CAT = re.compile(r"\$\(cat (\S+)\)")
_REVOKED = "5f0c9e4d21ab"


class Shell:
    """Does what lines of a shell say, as far as the guide needs it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment

    async def say(self, line: str) -> str:
        """Do what a line says; return what it printed."""
        text = _CAT.sub(lambda found: self._file(found[1]).read_text().strip(), line)
        words = [self._path(word) for word in shlex.split(text)]
        if words[0] == "export":
            self.environment.update([words[1].split("=", 1)])
            return ""
        given = dict(self.environment)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            given.setdefault(name, value)
        assert words.pop(0) == "atoll", line
        runner = click.testing.CliRunner()
        result = await asyncio.to_thread(runner.invoke, cli.main, words, env=given)
        assert result.exit_code == 0, f"{line}: {result.output}"
        return result.output

    def _path(self, word: str) -> str:
        return str(self._file(word)) if word.startswith(("~/", ".atoll/")) else word

    def _file(self, path: str) -> Path:
        return self.folder / path.removeprefix("~/")


async def test_the_commands_and_the_program_work_in_their_order(
    mesh, database_url, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    data = tmp_path / ".atoll"
    host = await mesh.host(access=access_settings.AccessSettings(), data_dir=data)
    first = tokens.parse((data / first_token.FILE_NAME).read_text().strip())
    assert first is not None
    shell = Shell(tmp_path, ATOLL_HOST=host.address, ATOLL_DATABASE_URL=database_url)
    assert len(COMMANDS) > 5
    said = {line: await shell.say(line.replace(_REVOKED, first.token_id)) for line in COMMANDS}
    assert "Ada" in said["atoll tokens list"]
    assert "CreateToken" in await shell.say("atoll audit list --json")
    (program,) = blocks.blocks_of(GUIDE)
    monkeypatch.setenv("ATOLL_TOKEN", shell.environment["ATOLL_TOKEN"])
    with contextlib.redirect_stdout(io.StringIO()):
        await asyncio.to_thread(
            exec, program.text.replace("127.0.0.1:4700", host.address), {"__name__": "guide"}
        )
