import sys

import pytest

import atoll as dg


def test_without_pyyaml_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(dg.InvariantViolationError, match=r"atoll\[yaml\]"):
        dg.config_from_yaml_strings(["a: 1"])
    assert dg.config_from_yaml_strings([]) == {}


def test_later_documents_go_first_at_any_depth():
    pytest.importorskip("yaml")
    merged = dg.config_from_yaml_strings(
        ["ops: {a: {config: {x: 1, y: [1]}}, b: 1}", "", "ops: {a: {config: {y: [2]}}, b: {c: 2}}"]
    )
    assert merged == {"ops": {"a": {"config": {"x": 1, "y": [2]}}, "b": {"c": 2}}}


@pytest.mark.parametrize("text", ["a: [", "- 1"])
def test_what_is_no_yaml_mapping_is_refused(text):
    pytest.importorskip("yaml")
    with pytest.raises(dg.InvariantViolationError, match="YAML string 1"):
        dg.config_from_yaml_strings([text])


def test_files_are_found_by_pattern(tmp_path):
    pytest.importorskip("yaml")
    (tmp_path / "1.yaml").write_text("a: {b: 1, c: 1}")
    (tmp_path / "2.yaml").write_text("a: {b: 2}")
    assert dg.config_from_files([str(tmp_path / "*.yaml")]) == {"a": {"b": 2, "c": 1}}


def test_files_are_found_in_packages(tmp_path, monkeypatch):
    pytest.importorskip("yaml")
    package = tmp_path / "package_with_config"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "run.yaml").write_text("a: 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert dg.config_from_pkg_resources([("package_with_config", "run.yaml")]) == {"a": 1}


@pytest.mark.parametrize(
    "load",
    [
        lambda: dg.config_from_files(["/nowhere/*.yaml"]),
        lambda: dg.config_from_pkg_resources([("atoll", "nothing.yaml")]),
        lambda: dg.config_from_pkg_resources([("no_such_package", "a.yaml")]),
    ],
)
def test_files_that_are_not_there_are_named(load):
    with pytest.raises(dg.InvariantViolationError, match=r"no file|No file"):
        load()
