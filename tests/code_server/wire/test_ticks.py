"""What a sensor decided means the same to the host."""

from atoll._definitions import ticks
from atoll._partitions import dynamic_requests
from atoll._wire import ticks as wire
from atoll.location.v1 import location_pb2


def test_changes_of_dynamic_partitions_keep_their_order():
    result = ticks.TickResult(
        dynamic_partitions_requests=[
            dynamic_requests.AddDynamicPartitionsRequest("days", ["b", "a"]),
            dynamic_requests.DeleteDynamicPartitionsRequest("weeks", ["c"]),
        ]
    )
    assert list(wire.to_response(result).dynamic_partitions_requests) == [
        location_pb2.DynamicPartitionsRequest(
            partitions_def_name="days",
            change=location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD,
            partition_keys=["b", "a"],
        ),
        location_pb2.DynamicPartitionsRequest(
            partitions_def_name="weeks",
            change=location_pb2.DYNAMIC_PARTITIONS_CHANGE_DELETE,
            partition_keys=["c"],
        ),
    ]
