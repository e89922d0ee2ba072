import collections
import dataclasses
import enum
import json
import math
import pathlib
import sys
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pytest

import atoll as dg
from atoll._definitions import annotations, runs
from atoll._execution import events as event_sinks
from atoll._execution import io_managers, storing, value_formats
from atoll._execution import runs as execution


@pytest.fixture
def manager(tmp_path):
    return dg.FilesystemIOManager(tmp_path / "base")


def _store(manager, value, key="a", location="here"):
    context = io_managers.OutputContext("s", asset_key=dg.AssetKey(key), location_name=location)
    manager.handle_output(context, value)
    return context.get_logged_metadata()


def _load(manager, key="a", location="here", python_type=annotations.UNKNOWN):
    return manager.load_input(
        io_managers.InputContext(
            asset_key=dg.AssetKey(key), location_name=location, python_type=python_type
        )
    )


def _note(manager, name="a"):
    return json.loads((manager.base_dir / f"{name}.value.json").read_text())


class Number(enum.IntEnum):
    ONE = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Thing:
    n: int


PLAIN = [
    None,
    True,
    0,
    -(2**70),
    1.5,
    -0.0,
    1e308,
    "text",
    "grüße \N{SNOWMAN} \U0001f600",
    "",
    [],
    {},
    [1, [2.0, None], {"b": 1, "a": [True]}],
]
NOT_PLAIN = [
    (1, 2),
    {1, 2},
    {1: "a"},
    {True: 1},
    [math.inf],
    b"bytes",
    Number.ONE,
    Point(1, 2),
    collections.OrderedDict(a=1),
    Thing(3),
    "\ud83d\ude00",
    pathlib.PurePosixPath("/a"),
    [[(1,)]],
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_becomes_json_and_comes_back_exactly(manager, value):
    _store(manager, value, location="a")
    loaded = _load(manager, location="b")
    assert loaded == value
    assert type(loaded) is type(value)
    assert repr(loaded) == repr(value)
    assert _note(manager)["format"] == "json"


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: ascii(value)[:30])
def test_what_json_would_change_is_pickled(manager, value):
    _store(manager, value)
    loaded = _load(manager)
    assert loaded == value
    assert type(loaded) is type(value)
    assert _note(manager)["format"] == "pickle"


def test_a_number_that_json_cannot_read_back_is_pickled(manager):
    _store(manager, 2**20_000)
    same = _load(manager) == 2**20_000
    assert same
    assert _note(manager)["format"] == "pickle"


def test_not_a_number_is_pickled(manager):
    _store(manager, [math.nan])
    assert math.isnan(_load(manager)[0])
    assert _note(manager)["format"] == "pickle"


def test_data_that_holds_itself_is_pickled(manager):
    value = [1]
    value.append(value)
    _store(manager, value)
    loaded = _load(manager)
    assert loaded[1] is loaded


FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 7])
TABLE = pa.table({"a": [1, 2], "b": ["x", None]})


def test_tables_become_parquet_and_come_back_as_what_they_were(manager):
    told = _store(manager, FRAME, "f")
    pd.testing.assert_frame_equal(_load(manager, "f", location="elsewhere"), FRAME)
    assert told["atoll/row_count"] == dg.IntMetadataValue(2)
    assert told["path"].value.endswith(".parquet")
    _store(manager, TABLE, "t")
    assert _load(manager, "t").equals(TABLE)
    assert _note(manager, "f") | {"file": ""} == {
        "file": "",
        "format": "parquet",
        "python_type": "pandas.DataFrame",
        "location": "here",
        "run_id": "",
        "fallback_reason": "",
        "version": 1,
    }


@pytest.mark.parametrize("wanted", [pd.DataFrame, pd.DataFrame | None, "pd.DataFrame"], ids=str)
def test_the_annotation_of_the_consumer_decides(tmp_path, wanted):
    @dg.asset
    def table():
        return TABLE

    def frame(table):
        return type(table).__name__

    frame.__annotations__["table"] = wanted
    result = dg.materialize([table, dg.asset(frame)])
    assert result.asset_value("frame") == "DataFrame"


def test_a_frame_is_loaded_as_an_arrow_table(manager):
    _store(manager, FRAME)
    loaded = _load(manager, python_type=pa.Table)
    assert loaded.column("a").to_pylist() == [1, 2]


def test_a_table_that_parquet_cannot_hold_is_pickled_with_a_warning():
    @dg.asset
    def mixed():
        return pd.DataFrame({"a": [1, "x", object]})

    result = dg.materialize([mixed])
    (warning,) = result.all_log_messages
    assert warning.event_specific_data.level == 30
    assert "pickled" in warning.message
    (materialization,) = result.asset_materializations_for_node("mixed")
    assert materialization.metadata["path"].value.endswith(".pickle")
    assert materialization.metadata["atoll/row_count"].value == 3


def test_without_pyarrow_a_frame_is_pickled_with_a_warning(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    @dg.asset
    def frame():
        return FRAME

    @dg.asset
    def rows(frame):
        return len(frame)

    result = dg.materialize([frame, rows])
    assert result.asset_value("rows") == 2
    assert "pyarrow is not installed" in result.all_log_messages[0].message


def test_a_missing_library_is_named(manager, monkeypatch):
    _store(manager, FRAME)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(dg.StoredValueError, match="Install pandas, or annotate"):
        _load(manager)
    assert _load(manager, python_type=pa.Table).num_rows == 2
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(dg.StoredValueError, match="Install pyarrow"):
        _load(manager, python_type=pa.Table)


class Exploding:
    """Tells when it is unpickled."""

    unpickled = False

    def __reduce__(self):
        return _explode, ()


def _explode():
    Exploding.unpickled = True


def test_foreign_bytes_are_never_unpickled(manager):
    _store(manager, Exploding(), location="a")
    with pytest.raises(dg.ForeignValueError, match=r"'a'.*'b'.*DataFrame") as caught:
        _load(manager, location="b")
    assert caught.value.location_name == "a"
    with pytest.raises(dg.ForeignValueError, match="this process"):
        _load(manager, location="")
    assert not Exploding.unpickled
    _load(manager, location="a")
    assert Exploding.unpickled


def test_why_a_table_was_pickled_is_told_to_the_reader(manager):
    _store(manager, pd.DataFrame({"a": [1, "x", object]}), location="a")
    with pytest.raises(dg.ForeignValueError, match="repair that there"):
        _load(manager, location="b")


def test_the_location_of_a_run_is_noted(tmp_path):
    @dg.asset
    def odd():
        return (1, 2)

    manager = dg.FilesystemIOManager(tmp_path)
    defs = dg.Definitions(assets=[odd], resources={"io_manager": manager})
    run = runs.Run("__ASSET_JOB", "run-7", location_name="mine")
    assert execution.execute_run(defs, run, event_sinks.ListSink(), dg.Instance.ephemeral())
    note = _note(manager, "odd")
    assert (note["location"], note["run_id"]) == ("mine", "run-7")


def test_a_new_value_replaces_the_old_one_and_leaves_nothing_behind(manager):
    for value in ([1], (2,), FRAME, [3]):
        _store(manager, value)
    assert _load(manager) == [3]
    assert len(list(manager.base_dir.iterdir())) == 2


def test_a_value_that_cannot_be_stored_leaves_the_old_one(manager):
    _store(manager, [1])
    with pytest.raises(dg.StoredValueError, match=r"'a'.*cannot be stored.*MaterializeResult"):
        _store(manager, lambda: 1)
    assert _load(manager) == [1]
    assert len(list(manager.base_dir.iterdir())) == 2


@pytest.mark.parametrize(
    "key",
    [["a", "b"], ["a"], ["a.value"], ["a/b"], ["..", "x"], ["ä ö"], ["x" * 400], ["A"], ["%41"]],
    ids=lambda key: "-".join(key)[:20],
)
def test_keys_never_share_files_nor_leave_the_folder(manager, tmp_path, key):
    others = [["a", "b", "c"], ["a%2Fb"], ["x" * 401], ["a value"], ["x"]]
    for number, other in enumerate(others):
        _store(manager, number, other)
    _store(manager, "mine", key)
    assert _load(manager, key) == "mine"
    assert [_load(manager, other) for other in others] == list(range(len(others)))
    assert list(tmp_path.iterdir()) == [manager.base_dir]


def test_a_missing_value_says_what_to_do(manager):
    with pytest.raises(dg.ValueNotFoundError, match="Materialize the asset first"):
        _load(manager)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}'])
def test_a_damaged_note_is_told(manager, text):
    manager.base_dir.mkdir()
    (manager.base_dir / "a.value.json").write_text(text)
    with pytest.raises(dg.StoredValueError, match="damaged"):
        _load(manager)


def test_a_note_of_a_newer_release_is_told(manager):
    manager.base_dir.mkdir()
    (manager.base_dir / "a.value.json").write_text('{"version": 2}')
    with pytest.raises(dg.StoredValueError, match="newer release"):
        _load(manager)


def test_a_note_that_leads_nowhere_ends(manager):
    _store(manager, [1])
    (manager.base_dir / _note(manager)["file"]).unlink()
    with pytest.raises(dg.ValueNotFoundError):
        _load(manager)


def test_the_base_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(storing.STORAGE_DIR_VARIABLE, str(tmp_path / "x"))
    assert dg.FilesystemIOManager().base_dir == tmp_path / "x"
    monkeypatch.delenv(storing.STORAGE_DIR_VARIABLE)
    monkeypatch.chdir(tmp_path)
    assert dg.FilesystemIOManager().base_dir == tmp_path / ".atoll" / "storage"


def test_an_ephemeral_instance_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(storing.STORAGE_DIR_VARIABLE, str(tmp_path))

    @dg.asset
    def made():
        return 1

    instance = dg.Instance.ephemeral()
    dg.materialize([made], instance=instance)
    assert list(tmp_path.iterdir()) == []
    folder = instance.storage_dir
    assert dg.Definitions(assets=[made]).load_asset_value("made", instance=instance) == 1
    assert list(folder.iterdir())
    del instance
    assert not folder.exists()


def test_definitions_load_values_as_asked(tmp_path):
    @dg.asset
    def frame():
        return FRAME

    manager = dg.FilesystemIOManager(tmp_path)
    defs = dg.Definitions(assets=[frame], resources={"io_manager": manager})
    defs.get_job_def("__ASSET_JOB").execute_in_process()
    assert defs.load_asset_value("frame", python_type=pa.Table).num_rows == 2
    assert len(defs.load_asset_value("frame")) == 2


def test_names_of_types_do_not_depend_on_where_a_library_hides_its_classes():
    assert value_formats.type_name(TABLE) == "pyarrow.Table"
    assert value_formats.type_name([]) == "builtins.list"
