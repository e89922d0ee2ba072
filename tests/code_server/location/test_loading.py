"""User code is imported as by hand, and whatever goes wrong is told with its place."""

import pathlib
import sys

import pytest

from atoll._location import launch, loading

DEFINITIONS = """
import atoll as dg

@dg.asset
def sales():
    return 1
"""


@pytest.fixture(autouse=True)
def _process_state(monkeypatch, tmp_path):
    """Loading changes the current directory, the path and the modules of its process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def _target(kind: str, value: str, folder: pathlib.Path) -> launch.Target:
    return launch.Target(kind=launch.TargetKind(kind), value=value, working_directory=str(folder))


def _keys(definitions) -> list[str]:
    return [key.to_user_string() for key in definitions.resolve_all_asset_keys()]


def _failure(target: launch.Target):
    with pytest.raises(loading.LoadError) as caught:
        loading.load_definitions(target)
    return caught.value.failure


@pytest.mark.parametrize("name", ["defs_a.py", "my-sensor-example.py", "json.py", "1.py"])
def test_a_file_of_any_name_is_loaded(tmp_path, name):
    (tmp_path / name).write_text(DEFINITIONS)
    assert _keys(loading.load_definitions(_target("file", name, tmp_path))) == ["sales"]


def test_a_file_finds_its_neighbours_and_the_working_directory(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "at_the_top.py").write_text("X = 1")
    (tmp_path / "deep" / "beside.py").write_text("Y = 2")
    (tmp_path / "deep" / "defs_b.py").write_text(
        f"import at_the_top, beside, os\nassert os.getcwd() == {str(tmp_path)!r}\n{DEFINITIONS}"
    )
    assert _keys(loading.load_definitions(_target("file", "deep/defs_b.py", tmp_path))) == ["sales"]


def test_a_module_of_the_working_directory_is_loaded(tmp_path):
    (tmp_path / "pkg_c").mkdir()
    (tmp_path / "pkg_c" / "__init__.py").touch()
    (tmp_path / "pkg_c" / "defs.py").write_text(DEFINITIONS)
    assert _keys(loading.load_definitions(_target("module", "pkg_c.defs", tmp_path))) == ["sales"]


def test_a_package_serves_what_all_its_parts_define(tmp_path):
    package = tmp_path / "pkg_d"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit(1)")
    (package / "inner" / "__init__.py").write_text(DEFINITIONS)
    (package / "other.py").write_text(
        DEFINITIONS.replace("sales", "orders") + "from pkg_d.inner import sales\n"
    )
    definitions = loading.load_definitions(_target("package", "pkg_d", tmp_path))
    assert _keys(definitions) == ["orders", "sales"]


def test_a_package_with_a_definitions_object_is_complete_in_itself(tmp_path):
    package = tmp_path / "pkg_e"
    package.mkdir()
    (package / "__init__.py").write_text(f"{DEFINITIONS}\ndefs = dg.Definitions(assets=[sales])")
    (package / "never.py").write_text("raise RuntimeError")
    assert _keys(loading.load_definitions(_target("package", "pkg_e", tmp_path))) == ["sales"]


def test_a_function_makes_the_definitions(tmp_path):
    (tmp_path / "defs_lazy.py").write_text(
        DEFINITIONS
        + "\n@dg.asset\ndef unused(): ...\n"
        + "\n@dg.definitions\ndef defs():\n    return dg.Definitions(assets=[sales])\n"
    )
    definitions = loading.load_definitions(_target("module", "defs_lazy", tmp_path))
    assert _keys(definitions) == ["sales"]


def test_all_modules_of_a_package_that_cannot_be_imported_are_told(tmp_path):
    package = tmp_path / "pkg_broken"
    package.mkdir()
    (package / "__init__.py").write_text(DEFINITIONS)
    (package / "one.py").write_text("\n1 / 0\n")
    (package / "two.py").write_text("import no_such_module_at_all\n")
    failure = _failure(_target("package", "pkg_broken", tmp_path))
    for part in ("pkg_broken.one", "one.py:2", "pkg_broken.two", "no_such_module_at_all"):
        assert part in failure.message
    assert failure.cause.type == "ZeroDivisionError"
    frames = [(pathlib.Path(frame.file).name, frame.line) for frame in failure.frames]
    assert ("one.py", 2) in frames
    assert ("two.py", 1) in frames


def test_an_exception_of_the_import_is_told_with_file_and_line(tmp_path):
    path = tmp_path / "broken_f.py"
    path.write_text("def compute():\n    raise ValueError('no database')\n\ncompute()\n")
    failure = _failure(_target("file", "broken_f.py", tmp_path))
    assert (failure.type, failure.message) == ("ValueError", "no database")
    assert [(frame.file, frame.line) for frame in failure.frames] == [
        (str(path), 4),
        (str(path), 2),
    ]
    assert failure.frames[-1].source == "raise ValueError('no database')"


def test_a_syntax_error_is_told_with_file_and_line(tmp_path):
    path = tmp_path / "broken_g.py"
    path.write_text("x = 1\nif x\n")
    failure = _failure(_target("module", "broken_g", tmp_path))
    assert failure.type == "SyntaxError"
    assert [(frame.file, frame.line) for frame in failure.frames] == [(str(path), 2)]


def test_sys_exit_in_a_module_is_a_failure_and_says_what_to_do(tmp_path):
    (tmp_path / "script_h.py").write_text("import sys\nsys.exit(3)\n")
    failure = _failure(_target("file", "script_h.py", tmp_path))
    assert failure.type == "SystemExit"
    assert "sys.exit(3)" in failure.message
    assert "__main__" in failure.message


def test_a_missing_import_of_the_users_names_itself(tmp_path):
    (tmp_path / "needs_i.py").write_text("import no_such_library\n")
    failure = _failure(_target("module", "needs_i", tmp_path))
    assert failure.type == "ModuleNotFoundError"
    assert "no_such_library" in failure.message


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("module", "no_such_module", "There is no module 'no_such_module'"),
        ("package", "no_such_package.x", "There is no package 'no_such_package.x'"),
        ("package", "json.decoder", "is a module, not a package"),
        ("file", "missing.py", "There is no file"),
        ("file", "notes.txt", "must end in .py"),
    ],
)
def test_a_target_that_is_not_there_is_told(tmp_path, kind, value, message):
    (tmp_path / "notes.txt").touch()
    failure = _failure(_target(kind, value, tmp_path))
    assert failure.type == "atoll.LoadTargetError"
    assert message in failure.message
    assert not failure.frames
    assert not failure.HasField("cause")


def test_a_working_directory_that_is_not_there_is_told(tmp_path):
    failure = _failure(_target("module", "json", tmp_path / "missing"))
    assert "cannot be entered" in failure.message


def test_definitions_that_do_not_fit_together_are_told_with_their_lines(tmp_path):
    path = tmp_path / "wrong_j.py"
    path.write_text(
        "import atoll as dg\n\n\n@dg.asset(name='a')\ndef one(): ...\n\n\n"
        "@dg.asset(name='a')\ndef two(): ...\n"
    )
    failure = _failure(_target("file", "wrong_j.py", tmp_path))
    assert failure.type == "atoll.InvalidDefinitionError"
    assert [(frame.file, frame.line) for frame in failure.frames] == [(str(path), 8)]


def test_a_failed_import_leaves_no_half_module(tmp_path):
    (tmp_path / "twice_k.py").write_text("raise ValueError")
    _failure(_target("file", "twice_k.py", tmp_path))
    assert "twice_k" not in sys.modules
    (tmp_path / "twice_k.py").write_text(DEFINITIONS + "\n# longer than before")
    assert _keys(loading.load_definitions(_target("file", "twice_k.py", tmp_path))) == ["sales"]
