"""What a reset means for each kind of sensor, and what makes no sense."""

import datetime as dt

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.automation.sensors import resetting
from atoll_storage import records

POLLING, ASSET, MULTI = (
    snapshot_pb2.SENSOR_KIND_POLLING,
    snapshot_pb2.SENSOR_KIND_ASSET,
    snapshot_pb2.SENSOR_KIND_MULTI_ASSET,
)
RUNS, WEBHOOK = snapshot_pb2.SENSOR_KIND_RUN_STATUS, snapshot_pb2.SENSOR_KIND_WEBHOOK
EARLIEST = {"start_position": {"earliest": True}}
Reset = records.SensorReset


def reset(kind, **target) -> records.SensorReset:
    request = automation_pb2.ResetSensorCursorRequest(**target)
    return resetting.reset_of(request, snapshot_pb2.SensorDefinition(name="s", kind=kind), head=9)


@pytest.mark.parametrize("kind", [ASSET, MULTI, RUNS])
def test_a_sensor_on_events_goes_on_where_it_is_told(kind) -> None:
    assert reset(kind) == Reset(start=records.LATEST)
    assert reset(kind, start_position={"latest": True}) == Reset(start=records.LATEST)
    assert reset(kind, **EARLIEST) == Reset(start=records.StartPosition(earliest=True))
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert reset(kind, start_position={"time": moment}) == Reset(
        start=records.StartPosition(time=moment)
    )


@pytest.mark.parametrize("kind", [ASSET, RUNS])
def test_the_cursor_of_a_sensor_on_single_events_is_a_position(kind) -> None:
    assert reset(kind, cursor="7") == Reset(cursor="7", position=7)
    for wrong in ("10", "x", "-1", "", "٣"):
        with pytest.raises(errors.InvalidRequest, match="from 0 to 9"):
            reset(kind, cursor=wrong)


def test_the_cursor_of_a_sensor_on_several_assets_is_an_object() -> None:
    assert reset(MULTI, cursor="{}") == Reset(cursor="{}", position=0)
    for wrong in ("[]", "x", "", "[" * 100_000):
        with pytest.raises(errors.InvalidRequest, match="JSON object"):
            reset(MULTI, cursor=wrong)


@pytest.mark.parametrize("kind", [POLLING, WEBHOOK])
def test_other_sensors_have_a_cursor_and_no_position(kind) -> None:
    assert reset(kind, cursor="anything") == Reset(cursor="anything")
    assert reset(kind) == Reset()
    with pytest.raises(errors.InvalidRequest, match="no position in the log"):
        reset(kind, **EARLIEST)
    with pytest.raises(errors.InvalidRequest, match="NUL"):
        reset(kind, cursor="\0")


def test_a_position_says_which() -> None:
    with pytest.raises(errors.InvalidRequest, match="neither"):
        reset(ASSET, start_position={})
