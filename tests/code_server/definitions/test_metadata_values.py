import copy
import datetime as dt
import enum
import math
import pathlib
import pickle
import types

import numpy as np
import pytest

import atoll as dg
from atoll._definitions import metadata

COLUMNS = dg.TableSchema([dg.TableColumn("a", "int")])
ROWS = [dg.TableRecord({"a": 1})]
LINEAGE = dg.TableColumnLineage({"a": [dg.TableColumnDep("up", "b")]})
PLACE = dg.LocalFileCodeReference(file_path="/a.py", line_number=3)


class Size(enum.Enum):
    LARGE = 3


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("x", dg.TextMetadataValue("x")),
        (True, dg.BoolMetadataValue(True)),
        (3, dg.IntMetadataValue(3)),
        (2**80, dg.IntMetadataValue(2**80)),
        (1.5, dg.FloatMetadataValue(1.5)),
        (None, dg.NullMetadataValue()),
        ({"a": [1]}, dg.JsonMetadataValue({"a": [1]})),
        ([1, 2], dg.JsonMetadataValue([1, 2])),
        ((1, 2), dg.JsonMetadataValue([1, 2])),
        (pathlib.PurePosixPath("/a"), dg.PathMetadataValue("/a")),
        (dg.AssetKey("a"), dg.AssetMetadataValue(dg.AssetKey("a"))),
        (COLUMNS, dg.TableSchemaMetadataValue(COLUMNS)),
        (LINEAGE, dg.TableColumnLineageMetadataValue(LINEAGE)),
        (types.MappingProxyType({"a": 1}), dg.JsonMetadataValue({"a": 1})),
        (Size.LARGE, dg.IntMetadataValue(3)),
        (Colour.RED, dg.TextMetadataValue("red")),
        (dt.date(2024, 2, 29), dg.TextMetadataValue("2024-02-29")),
        (np.int64(3), dg.IntMetadataValue(3)),
        (np.float32(1.5), dg.FloatMetadataValue(1.5)),
        (np.bool_(True), dg.BoolMetadataValue(True)),
        (np.str_("x"), dg.TextMetadataValue("x")),
        (np.datetime64("2024-02-29"), dg.TextMetadataValue("2024-02-29")),
        (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dg.TimestampMetadataValue(1704067200.0)),
        (dg.MetadataValue.md("# x"), dg.MarkdownMetadataValue("# x")),
    ],
)
def test_raw_values_become_typed_ones(raw, typed):
    coerced = metadata.coerce("name", raw)
    assert coerced == typed
    assert type(coerced) is type(typed)
    assert type(coerced.value) is type(typed.value)


def test_values_show_their_kind():
    assert str(dg.MetadataValue.text("value")) == "TextMetadataValue(text='value')"


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (dg.MetadataValue.text("t"), "t"),
        (dg.MetadataValue.url("http://x"), "http://x"),
        (dg.MetadataValue.path("/p"), "/p"),
        (dg.MetadataValue.notebook("/n"), "/n"),
        (dg.MetadataValue.json([1]), [1]),
        (dg.MetadataValue.md("m"), "m"),
        (dg.MetadataValue.int(1), 1),
        (dg.MetadataValue.float(1), 1.0),
        (dg.MetadataValue.bool(False), False),
        (dg.MetadataValue.timestamp(5.0), 5.0),
        (dg.MetadataValue.asset(dg.AssetKey("a")), dg.AssetKey("a")),
        (dg.MetadataValue.run("r"), "r"),
        (dg.MetadataValue.job("j", "loc"), "j"),
        (dg.MetadataValue.python_artifact(tuple), "builtins.tuple"),
        (dg.MetadataValue.table_schema(COLUMNS), COLUMNS),
        (dg.MetadataValue.table(ROWS), tuple(ROWS)),
        (dg.MetadataValue.pool("database"), "database"),
        (dg.MetadataValue.column_lineage(LINEAGE), LINEAGE),
        (dg.MetadataValue.code_references([PLACE]), (PLACE,)),
        (dg.MetadataValue.null(), None),
    ],
)
def test_each_kind_holds_its_value_and_travels(made, value):
    assert made.value == value
    assert copy.deepcopy(made) == made == pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    assert hash(made) == hash(copy.deepcopy(made))


def test_kinds_differ_even_where_values_do_not():
    assert dg.MetadataValue.text("a") != dg.MetadataValue.md("a")
    assert dg.MetadataValue.int(1) != dg.MetadataValue.float(1)
    assert dg.MetadataValue.job("j", "a") != dg.MetadataValue.job("j", "b")


def test_not_a_number_equals_itself():
    assert dg.MetadataValue.float(math.nan) == dg.MetadataValue.float(math.nan)


def test_the_schema_of_a_table_is_told_from_its_records():
    made = dg.MetadataValue.table([dg.TableRecord({"a": 1, "b": "x", "c": 1.5, "d": True})])
    assert [column.type for column in made.schema.columns] == ["int", "string", "float", "bool"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dg.MetadataValue.int("x"),
        lambda: dg.MetadataValue.int(True),
        lambda: dg.MetadataValue.text(5),
        lambda: dg.MetadataValue.json({"a": object()}),
        lambda: dg.MetadataValue.timestamp(dt.datetime(2024, 1, 1)),  # noqa: DTZ001 - the point
        lambda: dg.MetadataValue.table([]),
        lambda: dg.MetadataValue.table([{"a": 1}]),
        lambda: dg.TableRecord({"a": [1]}),
        lambda: dg.MetadataValue.column_lineage({"a": []}),
        lambda: dg.MetadataValue.code_references(["/a.py"]),
        lambda: dg.MetadataValue.pool(None),
        lambda: dg.MetadataValue.python_artifact("datetime"),
        lambda: dg.TableColumnLineage({"a": ["up.b"]}),
        lambda: metadata.coerce("name", object()),
        lambda: metadata.coerce("name", {1, 2}),
        lambda: metadata.coerce("name", np.array([1, 2])),
        lambda: metadata.normalize({1: "x"}),
        lambda: metadata.normalize([("a", 1)]),
    ],
)
def test_what_fits_no_kind_is_refused(wrong):
    with pytest.raises(dg.InvalidDefinitionError):
        wrong()


def test_a_job_of_a_repository_is_a_job_of_its_location():
    made = dg.MetadataValue.job("j", "loc", repository_name="repo")
    assert made == dg.JobMetadataValue("j", "loc")


def test_facts_about_a_table_are_given_by_their_keys():
    facts = dg.TableMetadataSet(row_count=3, column_schema=COLUMNS, table_name="db.a")
    assert metadata.normalize({**facts}) == {
        "atoll/column_schema": dg.TableSchemaMetadataValue(COLUMNS),
        "atoll/row_count": dg.IntMetadataValue(3),
        "atoll/table_name": dg.TextMetadataValue("db.a"),
    }


def test_facts_about_a_table_are_read_from_metadata():
    given = metadata.normalize({"atoll/row_count": 3, "atoll/column_lineage": LINEAGE, "mine": 1})
    facts = dg.TableMetadataSet.extract(given)
    assert facts == dg.TableMetadataSet(row_count=3, column_lineage=LINEAGE)
    assert dg.TableMetadataSet.extract({}) == dg.TableMetadataSet()
    with pytest.raises(KeyError):
        facts["row_count"]


def test_an_entry_of_older_code_holds_a_typed_value():
    assert dg.MetadataEntry("rows", value=3).value == dg.IntMetadataValue(3)
    entry = dg.MetadataEntry("note", "what", dg.MetadataValue.md("# x"))
    assert entry.entry_data == entry.value == dg.MarkdownMetadataValue("# x")


def test_a_local_file_tells_where_it_is():
    handle = dg.LocalFileHandle(pathlib.PurePosixPath("/data/a.csv"))
    assert (handle.path, handle.path_desc) == ("/data/a.csv", "/data/a.csv")
    assert isinstance(handle, dg.FileHandle)
    with pytest.raises(TypeError):
        dg.FileHandle()
