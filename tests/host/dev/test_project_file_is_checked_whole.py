import sys
from pathlib import Path

import pytest

from atoll_host.dev import interpreters, project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "defs.py").write_text("")
    (tmp_path / "inner").mkdir()
    return tmp_path


def load(folder: Path, text: str) -> project.Project:
    file = folder / "atoll.toml"
    file.write_text(text)
    return project.load(file)


def test_the_least_file_gets_defaults(folder):
    loaded = load(folder, '[locations.sales]\nfile = "defs.py"\n')
    (location,) = loaded.locations
    assert loaded.listen == "127.0.0.1:4700"
    assert loaded.data_dir == folder / ".atoll"
    assert (location.code_kind, location.code) == ("file", "defs.py")
    assert location.python == Path(sys.executable)
    assert location.working_directory == folder
    assert location.watch
    assert location.build_id is None


def test_everything_can_be_said(folder):
    (folder / "python").write_text("")
    loaded = load(
        folder,
        """
        [host]
        listen = "localhost:0"
        data_dir = "data"
        [locations.b]
        module = "pkg.defs"
        python = "python"
        working_directory = "inner"
        build_id = "v1"
        watch = false
        [locations.a]
        package = "pkg"
        """,
    )
    assert [location.name for location in loaded.locations] == ["b", "a"]
    first = loaded.locations[0]
    assert first.python == folder / "python"
    assert first.working_directory == folder / "inner"
    assert (first.build_id, first.watch) == ("v1", False)
    assert loaded.data_dir == folder / "data"


def test_a_link_to_an_interpreter_stays_a_link(folder):
    (folder / "python").symlink_to(sys.executable)
    loaded = load(folder, '[locations.a]\nmodule = "m"\npython = "python"\n')
    assert loaded.locations[0].python == folder / "python"


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("", ["it has no location", "[locations.sales]"]),
        ("[locations", ["is not valid TOML", "Expected ']'"]),
        ('[location.a]\nfile = "defs.py"\n', ["'location'", "Did you mean 'locations'?"]),
        ('locations = "x"\n', ["must be a table, not a text ('x')"]),
        ("[locations]\na = 1\n", ["[locations.a]", "must be a table, not a whole number (1)"]),
        ("[host]\nport = 1\n", ["[host]", "unknown key 'port' (its value: 1)", "listen"]),
        (
            "[host]\nlisten = 4700\n",
            ["[host], listen", "must be a text, not a whole number (4700)"],
        ),
        ('[host]\nlisten = "4700"\n', ["[host], listen", "'4700' is no address", "host:port"]),
        ('[host]\nlisten = "a:99999"\n', ["'a:99999' is no address"]),
        ('[host]\nlisten = "0.0.0.0:4700"\n', ["[host], listen", "listens on loopback only"]),
        ("[locations.a]\n", ["[locations.a]", "one of module, file or package"]),
        (
            '[locations.a]\nfile = "defs.py"\nmodule = "m"\n',
            ["module = 'm', file = 'defs.py'", "Keep one of them"],
        ),
        ('[locations.a]\nmodul = "m"\n', ["unknown key 'modul'", "Did you mean 'module'?"]),
        ('[locations.a]\nfile = "gone.py"\n', ["[locations.a], file", "'gone.py' does not exist"]),
        ('[locations.a]\nmodule = ""\n', ["[locations.a], module", "is empty"]),
        (
            '[locations.a]\nmodule = "m"\nwatch = "yes"\n',
            ["[locations.a], watch", "must be true or false, not a text ('yes')"],
        ),
        (
            '[locations.a]\nmodule = "m"\npython = "gone/python"\n',
            ["[locations.a], python", "'gone/python' does not exist"],
        ),
        ('[locations.a]\nmodule = "m"\npython = "inner"\n', ["'inner' is not a program"]),
        (
            '[locations.a]\nmodule = "m"\nworking_directory = "gone"\n',
            ["[locations.a], working_directory", "'gone' is no folder"],
        ),
        ('[locations."a b"]\nmodule = "m"\n', ["'a b' is no name for a location"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_value(folder, text, complaints):
    with pytest.raises(project.ProjectError) as caught:
        load(folder, text)
    message = str(caught.value)
    assert str(folder / "atoll.toml") in message
    for complaint in complaints:
        assert complaint in message


def test_what_it_says_to_the_host_is_checked_too(folder):
    good = '[locations.a]\nmodule = "m"\n[queue.jobs]\n"a/j" = 1\n[pools]\ndefault_limit = 2\n'
    assert load(folder, good + "[host]\nactive_max = 3\n").listen == "127.0.0.1:4700"
    with pytest.raises(project.ProjectError) as caught:
        load(folder, good + "granularity = 'step'\n[host]\nactive_max = 0\n")
    assert "has 2 mistakes" in str(caught.value)
    assert "[host], active_max: is 0" in str(caught.value)
    assert "[pools], granularity: Input should be 'op' or 'run'" in str(caught.value)


def test_a_wrong_option_is_not_blamed_on_the_file(folder):
    (folder / "atoll.toml").write_text('[locations.a]\nmodule = "m"\n')
    with pytest.raises(project.ProjectError, match="--listen: 'here' is no address"):
        project.load(folder / "atoll.toml", listen="here")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(project.ProjectError, match="no such file"):
        project.load(tmp_path / "atoll.toml")
    with pytest.raises(project.ProjectError, match="is a folder"):
        project.load(tmp_path)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "atoll.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(project.ProjectError, match="not UTF-8"):
        project.load(tmp_path / "atoll.toml")


def test_the_file_is_found_from_a_folder_below(folder):
    (folder / "atoll.toml").write_text("")
    assert project.find(folder / "inner") == folder / "atoll.toml"


def settings(python: Path) -> project.LocationSettings:
    return project.LocationSettings("a", "module", "m", python, Path.cwd())


async def test_an_interpreter_with_atoll_says_its_versions():
    answers = await interpreters.check([settings(Path(sys.executable))], path=Path("atoll.toml"))
    assert answers["a"].python == ".".join(str(part) for part in sys.version_info[:3])
    assert answers["a"].atoll


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("#!/bin/sh\necho hello\n", "is no Python interpreter"),
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "broken"),
        (
            '#!/bin/sh\necho \'{"python": [3, 9, 1], "atoll": null, "problem": ""}\'\n',
            "is Python 3.9.1; Atoll needs 3.10",
        ),
        (
            '#!/bin/sh\necho \'{"python": [3, 12, 1], "atoll": null, "problem": "No module"}\'\n',
            "cannot import atoll (No module). Install it there",
        ),
        (None, "cannot be run"),
    ],
)
async def test_an_interpreter_that_cannot_run_atoll_is_told(tmp_path, script, complaint):
    python = tmp_path / "python"
    python.write_text(script or "")
    python.chmod(0o755 if script else 0o644)
    with pytest.raises(project.ProjectError) as caught:
        await interpreters.check([settings(python)], path=tmp_path / "atoll.toml")
    assert complaint in str(caught.value)
    assert "[locations.a], python" in str(caught.value)
