import json
import sys

import pandas as pd
import pyarrow as pa
import pytest

import atoll as dg

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]}, index=[5, 7])
TABLE = pa.table({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]})


@pytest.fixture
def manager(tmp_path):
    return dg.FilesystemIOManager(tmp_path)


def _store(manager, value):
    context = dg.build_output_context(step_key="s", name="r", asset_key="x")
    manager.handle_output(context, value)
    return context.get_logged_metadata()


def _load(manager, **given):
    return manager.load_input(dg.build_input_context(asset_key="x", **given))


def _columns(*names):
    return {"definition_metadata": {"columns": list(names)}}


def test_only_the_columns_are_loaded_that_the_input_asks_for(manager):
    _store(manager, TABLE)
    assert _load(manager, **_columns("c", "a")).column_names == ["c", "a"]


def test_the_index_of_a_frame_stays_with_the_chosen_columns(manager):
    _store(manager, FRAME)
    pd.testing.assert_frame_equal(_load(manager, **_columns("b")), FRAME[["b"]])


def test_columns_are_chosen_of_a_pickled_frame_too(manager, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    _store(manager, FRAME)
    pd.testing.assert_frame_equal(_load(manager, **_columns("b")), FRAME[["b"]])


def test_columns_say_nothing_about_what_is_no_table(manager):
    _store(manager, [1])
    assert _load(manager, **_columns("b")) == [1]


def test_a_column_that_is_not_there_is_named(manager):
    for value in (TABLE, FRAME):
        _store(manager, value)
        with pytest.raises(dg.StoredValueError, match="no column 'd'; it has a, b, c"):
            _load(manager, **_columns("a", "d"))


@pytest.mark.parametrize("columns", ["a", [], [1], {"a": 1}], ids=repr)
def test_columns_are_a_list_of_names(manager, columns):
    _store(manager, TABLE)
    with pytest.raises(dg.InvariantViolationError, match=r"'columns'.*list of names"):
        _load(manager, definition_metadata={"columns": columns})


def test_columns_are_chosen_in_the_definition_of_an_asset(manager):
    @dg.asset
    def table():
        return TABLE

    @dg.asset(ins={"table": dg.AssetIn(metadata={"columns": ["b"]})})
    def names(table):
        return table.column_names

    result = dg.materialize([table, names], resources={"io_manager": manager})
    assert result.asset_value("names") == ["b"]


def test_frames_of_polars_come_back_as_what_they_were(manager):
    pl = pytest.importorskip("polars")
    frame = pl.from_arrow(TABLE)
    assert _store(manager, frame)["atoll/row_count"] == dg.IntMetadataValue(2)
    assert _load(manager).equals(frame)
    assert _load(manager, **_columns("c", "a")).columns == ["c", "a"]
    assert _load(manager, python_type=pa.Table).num_rows == 2
    with pytest.raises(dg.StoredValueError, match="no column 'd'"):
        _load(manager, **_columns("d"))


def test_a_lazy_frame_is_written_as_it_is_computed_and_read_when_collected(manager):
    pl = pytest.importorskip("polars")
    lazy = pl.from_arrow(TABLE).lazy().filter(pl.col("a") > 1)
    told = _store(manager, lazy)
    assert told["atoll/row_count"] == dg.IntMetadataValue(1)
    loaded = _load(manager)
    assert type(loaded) is pl.LazyFrame
    assert loaded.collect().equals(lazy.collect())
    chosen = _load(manager, **_columns("c"))
    assert type(chosen) is pl.LazyFrame
    assert chosen.collect().columns == ["c"]
    assert type(_load(manager, python_type=pl.DataFrame)) is pl.DataFrame
    assert len(_load(manager, python_type=pd.DataFrame)) == 1
    (note,) = manager.base_dir.glob("*.value.json")
    assert json.loads(note.read_text())["python_type"] == "polars.LazyFrame"


def test_any_table_is_loaded_lazily_where_the_parameter_says_so(manager):
    pl = pytest.importorskip("polars")
    _store(manager, TABLE)
    assert type(_load(manager, python_type=pl.LazyFrame)) is pl.LazyFrame
