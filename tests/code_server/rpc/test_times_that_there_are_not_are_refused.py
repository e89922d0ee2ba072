"""A time on the wire is two numbers of any size; servicers see only those that are times."""

import pytest
from google.protobuf import duration_pb2, timestamp_pb2
from hypothesis import given
from hypothesis import strategies as st

from atoll._rpc import errors, times
from atoll.api.v1 import automation_pb2
from atoll.mesh.v1 import slots_pb2

SECONDS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, -62_135_596_800])
NANOS = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0, 1, -1, 999_999_999])


@given(SECONDS, NANOS)
def test_what_is_let_through_is_a_duration(seconds, nanos):
    request = slots_pb2.AcquireSlotsRequest()
    request.wait.CopyFrom(duration_pb2.Duration(seconds=seconds, nanos=nanos))
    try:
        times.check(request)
    except errors.InvalidArgumentError:
        with pytest.raises(ValueError, match="not valid"):
            request.wait.ToJsonString()
    else:
        assert request.wait.ToJsonString()


@given(SECONDS, NANOS)
def test_what_is_let_through_is_a_time(seconds, nanos):
    request = automation_pb2.ResetSensorCursorRequest()
    request.start_position.time.CopyFrom(timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos))
    try:
        times.check(request)
    except errors.InvalidArgumentError:
        with pytest.raises(ValueError, match="not valid"):
            request.start_position.time.ToJsonString()
    else:
        assert request.start_position.time.ToJsonString()


def test_what_is_wrong_is_named():
    request = slots_pb2.AcquireSlotsRequest()
    request.wait.seconds = 2**62
    with pytest.raises(errors.InvalidArgumentError, match=r"Request\.wait is") as raised:
        times.check(request)
    assert raised.value.metadata == {"field": "wait"}
