import json

import pytest

from atoll.api.v1 import runs_pb2
from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


def run() -> runs_pb2.Run:
    found = runs_pb2.Run(
        run_id="r",
        status=runs_pb2.RUN_STATUS_SUCCESS,
        tags={"b": "2", "a": "1"},
        asset_selection=[values_pb2.AssetKey(path=["x", "y"])],
        run_config=values_pb2.UserData(content_type="application/json", data=b'{"ops":{}}'),
    )
    found.create_time.FromJsonString("2026-01-02T03:04:05.678901Z")
    return found


def test_a_run_reads_like_its_fields():
    document = documents.plain(run())
    assert document["status"] == "SUCCESS"
    assert document["tags"] == {"a": "1", "b": "2"}
    assert document["asset_selection"] == ["x/y"]
    assert document["run_config"] == {"ops": {}}
    assert document["create_time"] == "2026-01-02T03:04:05.678901Z"
    assert "start_time" not in document
    assert "failure" not in document


def test_ids_are_numbers_and_metadata_keeps_its_type():
    stored = events_pb2.StoredEvent(id=2**40)
    metadata = stored.event.asset_materialization.metadata
    metadata["rows"].int = 7
    metadata["share"].float = 0.5
    metadata["none"].null.SetInParent()
    metadata["large"].big_int = "123456789012345678901"
    document = documents.plain(stored)
    assert document["id"] == 2**40
    assert document["event"]["asset_materialization"]["metadata"] == {
        "rows": {"type": "int", "value": 7},
        "share": {"type": "float", "value": 0.5},
        "none": {"type": "null", "value": None},
        "large": {"type": "int", "value": 123456789012345678901},
    }


def test_a_line_is_one_line_and_the_same_document():
    stored = events_pb2.StoredEvent(id=1)
    stored.event.message = "two\nlines"
    assert "\n" not in documents.line(stored)
    assert json.loads(documents.line(stored)) == documents.plain(stored)


def test_user_data_that_is_no_json_keeps_its_bytes():
    data = values_pb2.UserData(content_type="application/json", data=b"{")
    assert documents.user_data(data) == {"content_type": "application/json", "base64": "ew=="}


def test_an_enum_number_of_a_later_release_is_shown():
    found = runs_pb2.Run()
    found.MergeFromString(b"\x20\x63")  # field 4, value 99
    assert documents.plain(found)["status"] == "UNKNOWN_99"


@pytest.mark.parametrize("path", [["a"], ["a", "b"], ["a/b", "c"], ["a\\", "b\\/"]])
def test_an_asset_key_survives_being_written(path):
    text = documents.format_asset_key(values_pb2.AssetKey(path=path))
    assert list(documents.parse_asset_key(text).path) == path


@pytest.mark.parametrize("text", ["", "/", "a//b", "a/", " "])
def test_a_key_with_an_empty_part_is_refused(text):
    with pytest.raises(ValueError, match="a part of it is empty"):
        documents.parse_asset_key(text)


def test_a_failure_shows_its_cause_first():
    failure = values_pb2.Failure(type="builtins.ValueError", message="bad\nvalue")
    failure.cause.type = "KeyError"
    failure.cause.message = "'x'"
    text = documents.failure_text(failure)
    assert text.index("KeyError") < text.index("That was the cause of") < text.index("ValueError")
    assert documents.failure_line(failure) == "ValueError: bad (caused by KeyError: 'x')"


def test_a_run_whose_steps_failed_tells_what_went_wrong_in_them():
    failure = values_pb2.Failure(type="atoll.StepsFailed", message="Steps failed: a.")
    failure.cause.type = "pkg.BadRows"
    failure.cause.message = "3 rows"
    failure.cause.frames.add(file="a.py", line=7, function="a", source="  raise BadRows")
    failure.cause.metadata["rows"].int = 3
    assert documents.failure_line(failure) == "Steps failed: a. BadRows: 3 rows"
    assert documents.failure_text(failure).splitlines() == [
        "Steps failed: a.",
        "",
        '  File "a.py", line 7, in a',
        "    raise BadRows",
        "pkg.BadRows: 3 rows",
        "  rows = 3",
    ]


def test_definitions_that_are_wrong_are_told_once_with_their_places():
    failure = values_pb2.Failure(
        type="atoll.InvalidDefinitionError",
        message="There are 2 problems:\n  d.py:3: no job\n  d.py:9: twice",
    )
    failure.frames.add(file="d.py", line=3)
    failure.frames.add(file="d.py", line=9)
    assert documents.failure_line(failure) == (
        "InvalidDefinitionError: There are 2 problems: d.py:3: no job …"
    )
    assert documents.failure_text(failure) == f"InvalidDefinitionError: {failure.message}"
