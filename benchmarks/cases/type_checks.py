"""What the check of one input or output against its annotation costs."""

import time
import timeit
from typing import Any

from atoll._definitions import types
from benchmarks import report, rig

CALLS = 20_000


class Point:
    """A class of the user's."""


ANNOTATIONS: dict[str, Any] = {
    "Any": Any,
    "int": int,
    "None": None,
    "a class": Point,
    "int | None": int | None,
}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Check a value against each of the annotations, many times."""
    costs = {
        title: min(
            timeit.repeat(
                lambda annotation=annotation: types.resolve(annotation).type_check(None, None),
                timer=time.process_time,
                number=CALLS,
                repeat=place.count(5),
            )
        )
        / CALLS
        * 1e6
        for title, annotation in ANNOTATIONS.items()
    }
    each = ", ".join(f"{title} {cost:.2g}" for title, cost in costs.items())
    note = f"processor time, the least of several: {each}"
    return [report.Measured("type_check", list(costs.values()), note)]
