"""Contexts: made, chosen and deleted, in files that only their owner reads."""

import json
import stat
import threading

import click.testing
import pytest

from atoll._cli import context_files, logins, main, oidc


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("ATOLL_HOST", "ATOLL_TOKEN", "ATOLL_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "config"


def atoll(*arguments: str, **kwargs) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main.main, list(arguments), **kwargs)


def shown(name: str) -> dict:
    return json.loads(atoll("contexts", "show", name, "--json").output)


def test_a_context_is_made_used_and_deleted(folder):
    assert "There are no contexts" in atoll("contexts", "list").output
    assert "used where none" in atoll("contexts", "create", "prod", "--host", "prod:4700").output
    atoll("contexts", "create", "test", "--host", "test:4700")
    assert shown("prod")["used"]
    assert not shown("test")["used"]
    atoll("contexts", "use", "test")
    listed = json.loads(atoll("contexts", "list", "--json").output)["contexts"]
    assert [(each["name"], each["used"]) for each in listed] == [("prod", False), ("test", True)]
    assert "test:4700" in atoll("contexts", "show").output
    assert atoll("contexts", "delete", "test").exit_code == 0
    assert atoll("contexts", "show").exit_code == 2
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix == ".json"]
    assert [path.name for path in files] == ["contexts.json"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_wrong_contexts_are_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    create = ("contexts", "create")
    assert "cannot be the name" in atoll(*create, "../up", "--host", "a:1").output
    assert "port" in atoll(*create, "x", "--host", "nonsense").output
    assert "--key-file" in atoll(*create, "x", "--host", "a:1", "--cert-file", str(file)).output
    atoll(*create, "prod", "--host", "a:1")
    result = atoll(*create, "prod", "--host", "b:1")
    assert result.exit_code == 1
    assert "--force" in result.output
    assert shown("prod")["host"] == "a:1"


def test_a_misspelled_context_is_told_with_the_one_that_was_meant():
    atoll("contexts", "create", "production", "--host", "127.0.0.1:1")
    for command in (("runs", "list", "--context"), ("contexts", "show")):
        result = atoll(*command, "prodution")
        assert result.exit_code == 2
        assert "Did you mean 'production'?" in result.output


def test_a_file_that_is_broken_is_told_of(folder):
    folder.mkdir()
    (folder / "contexts.json").write_text("{")
    result = atoll("contexts", "list")
    assert result.exit_code == 2
    assert "Mend or remove it" in result.output


def test_what_was_logged_in_with_is_not_shown_and_goes_with_its_host(folder):
    atoll("contexts", "create", "prod", "--host", "a:1")
    session = oidc.Session("https://id.example.org", "c", "id_token", 0.0, "renews")
    logins.save("prod", logins.Login("secret", session))
    file = folder / "logins" / "prod.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    login = logins.load("prod")
    assert "secret" not in repr(login)
    assert "renews" not in repr(login)
    for arguments in (("list",), ("show", "prod"), ("list", "--json"), ("show", "--json")):
        result = atoll("contexts", *arguments)
        assert "a log-in at https://id.example.org" in result.output
        assert "secret" not in result.output
    atoll("contexts", "create", "prod", "--host", "b:1", "--force")
    assert not file.exists()


def test_many_who_change_at_once_lose_nothing():
    def make(number: int) -> None:
        with context_files.changing():
            before = context_files.load()
            made = context_files.Context(f"c{number}", f"h:{number}")
            by_name = {**before.by_name, made.name: made}
            context_files.save(context_files.Contexts(before.current, by_name))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(context_files.load().by_name) == 8


def test_a_context_is_what_commands_talk_to(say, host):
    # `say` names the host in the environment, so its address is that of the scripted host.
    result = say(main.main, "locations", "list")
    assert result.exit_code == 0
    atoll("contexts", "create", "nowhere", "--host", "127.0.0.1:1")
    assert say(main.main, "locations", "list").exit_code == 0
    named = say(main.main, "locations", "list", "--context", "nowhere")
    assert named.exit_code == 3
    assert "127.0.0.1:1" in named.output
