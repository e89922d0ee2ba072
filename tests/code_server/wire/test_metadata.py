"""Metadata crosses the wire exactly: the same value of the same kind comes back."""

import datetime as dt
import math

import pytest

from atoll._definitions import code_references, keys, metadata, tables
from atoll._wire import metadata as wire
from atoll.definitions.v1 import values_pb2

M = metadata.MetadataValue
SCHEMA = tables.TableSchema(
    columns=[
        tables.TableColumn(
            "id", "int", "the id", tables.TableColumnConstraints(nullable=False, unique=True)
        ),
        tables.TableColumn(
            "name", "text", None, tables.TableColumnConstraints(other=["not blank"]), {"pii": "yes"}
        ),
    ],
    constraints=tables.TableConstraints(other=["id is dense"]),
)

VALUES = [
    M.text("text"),
    M.text(""),
    M.text("žluťoučký 🐎\x00\n"),
    M.url("https://example.com/?q=1"),
    M.path("/data/ä"),
    M.notebook("/data/a.ipynb"),
    M.json({"b": [1, 2.5, None, True, {"a": "x"}], "a": 10**30}),
    M.json([]),
    M.json("text"),
    M.md("# Title"),
    M.int(0),
    M.int(2**63 - 1),
    M.int(-(2**63)),
    M.int(2**63),
    M.int(-(2**63) - 1),
    M.int(10**5000 + 7),
    M.int(-(10**8001)),
    M.float(0.1),
    M.float(-0.0),
    M.float(math.inf),
    M.float(math.nan),
    M.bool(True),
    M.bool(False),
    M.timestamp(1_700_000_000.123456),
    M.timestamp(-1.5),
    M.timestamp(dt.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=dt.timezone.utc)),  # noqa: UP017 - these tests run on Python 3.10 too
    M.asset(keys.AssetKey(["a", "b/c"])),
    M.run("run-1"),
    M.job("job", "location"),
    M.job("job"),
    M.python_artifact(dt.datetime),
    M.table_schema(SCHEMA),
    M.table(
        [tables.TableRecord({"id": 1, "name": None}), tables.TableRecord({"id": 2, "name": "x"})],
        SCHEMA,
    ),
    M.column_lineage(
        tables.TableColumnLineage(
            {
                "total": [
                    tables.TableColumnDep(["raw", "sales"], "amount"),
                    tables.TableColumnDep("rates", "rate"),
                ],
                "note": [],
            }
        )
    ),
    M.code_references(
        [
            code_references.LocalFileCodeReference(file_path="/a/b.py", line_number=3, label="f"),
            code_references.LocalFileCodeReference(file_path="/a/b.py"),
            code_references.UrlCodeReference(url="https://example.com/b.py#L3"),
        ]
    ),
    M.pool("database"),
    M.null(),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value):
    message = values_pb2.MetadataValue.FromString(wire.to_message(value).SerializeToString())
    back = wire.from_message(message)
    assert type(back) is type(value)
    assert back == value


def test_every_kind_of_metadata_has_a_place_on_the_wire():
    kinds = {
        kind
        for kind in vars(metadata).values()
        if isinstance(kind, type) and issubclass(kind, M) and kind is not M
    }
    assert {type(value) for value in VALUES} == kinds


def test_the_sign_of_zero_and_the_type_of_truth_survive():
    assert math.copysign(1, wire.from_message(wire.to_message(M.float(-0.0))).value) == -1
    assert wire.from_message(wire.to_message(M.bool(True))).value is True


def test_text_that_is_no_unicode_does_not_break_an_event():
    back = wire.from_message(wire.to_message(M.path("file\udcff.txt")))
    assert back == M.path("file?.txt")


def test_a_time_outside_the_calendar_keeps_its_number():
    assert wire.from_message(wire.to_message(M.timestamp(1e18))) == M.float(1e18)


def test_a_kind_of_a_later_release_reads_as_null():
    assert wire.from_message(values_pb2.MetadataValue()) == M.null()


def test_maps_come_back_sorted_by_name():
    message = values_pb2.Failure()
    wire.fill(message.metadata, {"b": M.int(1), "a": M.int(2)})
    assert list(wire.read(message.metadata).items()) == [("a", M.int(2)), ("b", M.int(1))]
