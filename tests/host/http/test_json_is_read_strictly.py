"""What is no request is refused with what is wrong, and never with a fault of the reader."""

import json

import pytest
from connectrpc import errors as connect_errors
from hypothesis import given
from hypothesis import strategies as st

from atoll.api.v1 import events_pb2, runs_pb2
from atoll_host.http import codecs

JSON = codecs.JsonCodec()
BINARY = codecs.BinaryCodec()


def refused(text: bytes, kind=runs_pb2.ListRunsRequest) -> str:
    with pytest.raises(connect_errors.ConnectError) as raised:
        JSON.decode(text, kind)
    assert raised.value.code.value == "invalid_argument"
    assert raised.value.details[0].type_name == "google.rpc.ErrorInfo"
    return raised.value.message


def test_what_is_written_is_read_again():
    message = runs_pb2.ListRunsRequest(location_name="é\n", page_size=3, statuses=[1, 2])
    for codec in (JSON, BINARY):
        assert codec.decode(codec.encode(message), runs_pb2.ListRunsRequest) == message


def test_names_are_taken_in_both_forms():
    for name in ("locationName", "location_name"):
        text = json.dumps({name: "shop"}).encode()
        assert JSON.decode(text, runs_pb2.ListRunsRequest).location_name == "shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no JSON at line 1, column 1"),
        (b'{"pageSize": 1,}', "no JSON at line 1"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b"[]", "it has to be an object"),
        (b"null", "it has to be an object"),
        (b'"x"', "it has to be an object"),
        (b'{"pageSize": NaN}', "NaN is no number"),
        (b'{"pageSize": 1, "pageSize": 2}', "the key 'pageSize' twice"),
        (b'{"pagSize": 1}', "pagSize"),
        (b'{"pageSize": "many"}', "pageSize"),
        (b'{"pageSize": 1.5}', "pageSize"),
        (b'{"pageSize": 3000000000}', "pageSize"),
        (b'{"pageSize": 1e999}', "pageSize"),
        (b'{"pageSize": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"locationName": 1}', "locationName"),
        (b'{"locationName": {}}', "locationName"),
        (b'{"locationName": "\\ud800"}', "surrogate"),
        (b'{"statuses": ["RUN_STATUS_NONE"]}', "RUN_STATUS_NONE"),
        (b'{"statuses": {}}', "statuses"),
        (b'{"a": ' * 100_000, "nested deeper"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    assert said in refused(text)


def test_what_is_wrong_in_parts_is_said():
    said = refused(b'{"filter": {"assetKey": {"path": "x"}}}', events_pb2.ListEventsRequest)
    assert "filter.assetKey.path" in said or "path" in said


def test_bytes_that_are_no_message_are_refused():
    with pytest.raises(connect_errors.ConnectError, match="binary form of protobuf"):
        BINARY.decode(b"\xff\xff", runs_pb2.ListRunsRequest)


def read(codec, data: bytes):
    """Return the message; None if it was refused."""
    try:
        return codec.decode(data, runs_pb2.LaunchRunRequest)
    except connect_errors.ConnectError:
        return None


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
_NAMES = st.sampled_from([field.json_name for field in runs_pb2.LaunchRunRequest.DESCRIPTOR.fields])


@given(st.dictionaries(_NAMES, _VALUES, max_size=5))
def test_values_of_any_type_are_read_or_refused(value):
    found = read(JSON, json.dumps(value).encode())
    if found is not None:
        assert JSON.decode(JSON.encode(found), runs_pb2.LaunchRunRequest) == found


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    for codec in (JSON, BINARY):
        read(codec, data)
