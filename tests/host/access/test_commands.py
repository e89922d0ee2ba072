"""The commands on a host that asks for credentials."""

import asyncio
import json

import click.testing

from atoll._cli import audit, runs
from atoll._cli import tokens as token_commands
from atoll_host import commands
from atoll_host.access import first_token, tokens
from tests.host.access.conftest import World


async def run(world: World, command, *arguments: str, token: str = ""):
    """Run a command in a thread: the host runs here."""
    environment = {"ATOLL_HOST": world.host.address, "ATOLL_TOKEN": token}
    runner = click.testing.CliRunner()
    return await asyncio.to_thread(runner.invoke, command, list(arguments), env=environment)


async def test_without_a_token_a_command_says_what_to_do(world: World):
    for token in ("", tokens.make().bearer):
        result = await run(world, runs.runs, "list", token=token)
        assert result.exit_code == 4
        assert "ATOLL_TOKEN" in result.output
        assert "--token-file" in result.output
        assert not token or token not in result.output
    result = await run(world, runs.runs, "list", token="two words")
    assert result.exit_code == 2
    assert "two words" not in result.output


async def test_a_token_is_made_used_listed_and_revoked(world: World, tmp_path):
    file = str(world.folder / first_token.FILE_NAME)
    made = tmp_path / "ci.token"
    arguments = ["create", "ci", "--role", "launcher", "--location", "sales", "--days", "3"]
    result = await run(
        world, token_commands.tokens, *arguments, "--output", str(made), "--token-file", file
    )
    assert result.exit_code == 0, result.output
    bearer = made.read_text().strip()
    assert bearer not in result.output
    assert made.stat().st_mode & 0o777 == 0o600
    result = await run(world, token_commands.whoami, token=bearer)
    assert "launcher of sales" in result.output
    result = await run(world, token_commands.tokens, "list", "--json", "--token-file", file)
    listed = {token["name"]: token for token in json.loads(result.output)["tokens"]}
    assert set(listed) == {"ci", "first admin"}
    token_id = listed["ci"]["token_id"]
    result = await run(world, token_commands.tokens, "revoke", token_id, "--token-file", file)
    assert result.output == f"Token {token_id} (ci) is revoked.\n"
    assert (await run(world, token_commands.whoami, token=bearer)).exit_code == 4
    result = await run(world, audit.audit, "list", "--token-file", file)
    assert "RevokeToken" in result.output
    assert "CreateToken" in result.output
    assert bearer.rpartition("_")[2] not in result.output


async def test_whoever_reaches_the_database_is_never_locked_out(
    world: World, database_url, tmp_path
):
    file = tmp_path / "recovery.token"
    runner = click.testing.CliRunner()
    environment = {"ATOLL_DATABASE_URL": database_url}
    result = await asyncio.to_thread(
        runner.invoke, commands.host, ["create-token", str(file)], env=environment
    )
    assert result.exit_code == 0, result.output
    assert file.read_text().strip() not in result.output
    me = await (await world.client(file.read_text().strip())).access.who_am_i()
    assert me.name == "recovery"
