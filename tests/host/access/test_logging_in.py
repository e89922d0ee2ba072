"""``atoll login``: with a token, and at an identity provider, against a real host."""

import asyncio
import json
import time

import click.testing
import pytest

from atoll._cli import logins, main
from atoll_host.access import access_settings, tokens
from tests.host.access import provider as providers
from tests.host.access.conftest import World
from tests.host.access.test_people_log_in_at_a_provider import settings_of
from tests.integration import conftest as integration


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("ATOLL_HOST", "ATOLL_TOKEN", "ATOLL_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config"


@pytest.fixture
def provider():
    with providers.serving() as made:
        yield made


@pytest.fixture
async def people(database_url: str, tmp_path, provider):
    """A host that knows the provider."""
    made = World(integration.Mesh(database_url), tmp_path)
    access = access_settings.AccessSettings(oidc=settings_of(provider))
    made.host = await made.mesh.host(access=access, data_dir=tmp_path)
    yield made
    await made.close()


async def atoll(*arguments: str, **kwargs) -> click.testing.Result:
    """Run a command in a thread: the host runs here."""
    runner = click.testing.CliRunner()
    return await asyncio.to_thread(runner.invoke, main.main, list(arguments), **kwargs)


async def test_a_token_is_checked_before_it_is_kept(world: World, folder):
    bearer = await world.token("viewer", "sales")
    at = ("--host", world.host.address)
    result = await atoll("login", *at, input=f"{tokens.make().bearer}\n")
    assert result.exit_code == 4, result.output
    assert not (folder / "contexts.json").exists()
    result = await atoll("login", *at, "--context", "prod", input=f"{bearer}\n")
    assert result.exit_code == 0, result.output
    assert "in the context prod" in result.output
    assert bearer not in result.output
    # From now on nothing needs to be said.
    result = await atoll("whoami", "--json")
    assert json.loads(result.output)["grants"][0]["location_names"] == ["sales"]
    result = await atoll("logout", "--json")
    assert json.loads(result.output) == {"context": "prod", "logged_out": True}
    assert (await atoll("whoami")).exit_code == 4
    assert (await atoll("logout")).exit_code == 0


async def test_a_token_for_one_host_is_not_sent_to_another(world: World, folder):
    bearer = await world.token("viewer")
    at = ("--host", world.host.address)
    await atoll("login", *at, input=bearer)
    second = await world.add_host()
    result = await atoll("whoami", "--host", second.address)
    assert result.exit_code == 4
    assert "without credentials" in result.output or "ATOLL_TOKEN" in result.output
    result = await atoll("login", "--host", second.address, input=bearer)
    assert result.exit_code == 1
    assert "--context" in result.output


async def test_people_log_in_at_the_provider_of_the_host(people: World, provider):
    provider.refusals = ["authorization_pending"]
    result = await atoll("login", "--oidc", "--host", people.host.address)
    assert result.exit_code == 0, result.output
    assert "/go in a browser" in result.output
    assert "ABCD-EFGH" in result.output
    assert "as ada@example.org" in result.output
    login = logins.load("default")
    assert login.bearer not in result.output
    assert (await atoll("whoami")).output.startswith("name      ada@example.org")
    assert login == logins.load("default"), "it is good for minutes and was not renewed"
    result = await atoll("logout")
    assert result.exit_code == 0
    assert not provider.refresh_tokens


async def test_a_log_in_is_renewed_and_by_one_at_a_time(people: World, provider):
    provider.lifetime_s = 20
    await atoll("login", "--oidc", "--host", people.host.address)
    provider.lifetime_s = 300
    # Each token that renews is good once: whoever comes second must find it renewed.
    results = await asyncio.gather(*(atoll("whoami") for _ in range(3)))
    assert [result.exit_code for result in results] == [0, 0, 0], results[0].output
    assert provider.asked.count("refresh_token") == 1
    assert logins.load("default").session.ends_at > time.time() + 200


async def test_while_the_provider_is_away_what_is_left_of_a_log_in_counts(people: World, provider):
    provider.lifetime_s = 40
    await atoll("login", "--oidc", "--host", people.host.address)
    provider.is_away = True
    result = await atoll("whoami")
    assert result.exit_code == 0, result.output


async def test_a_log_in_that_ended_says_what_to_do(people: World, provider):
    provider.lifetime_s = 20
    await atoll("login", "--oidc", "--host", people.host.address)
    provider.refresh_tokens.clear()
    result = await atoll("runs", "list")
    assert result.exit_code == 4
    assert "atoll login --oidc --context default" in result.output


async def test_a_refusal_of_the_provider_is_told(people: World, provider, folder):
    provider.refusals = ["access_denied"]
    result = await atoll("login", "--oidc", "--host", people.host.address)
    assert result.exit_code == 1
    assert "access_denied" in result.output
    assert not (folder / "logins").exists()


async def test_a_host_without_a_provider_says_so(world: World):
    result = await atoll("login", "--oidc", "--host", world.host.address)
    assert result.exit_code == 1
    assert "has no identity provider" in result.output
