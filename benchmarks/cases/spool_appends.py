"""What a run worker pays to write one event into its spool."""

import time
import timeit

from atoll._location import spool
from atoll.events.v1 import events_pb2
from benchmarks import report, rig

APPENDS = 2000


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Append an ordinary event, many times."""
    writer = spool.create(place.folder("spool"))
    event = events_pb2.Event(message="a message of an ordinary length, as user code logs it")
    taken = timeit.repeat(
        lambda: writer.append(event),
        timer=time.process_time,
        number=APPENDS,
        repeat=place.count(10),
    )
    samples = [seconds / APPENDS * 1e6 for seconds in taken]
    return [report.Measured("spool_append", samples, "processor time")]
