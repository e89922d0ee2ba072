"""Decides whether processes that run user code may be forked from the definitions process.

Called once, after the user's code was imported. Whether a fork is safe is told by
`_execution.fork_hazards`; here stands what the location asked for, and the sentence that people see
on it.
"""

from __future__ import annotations

import dataclasses
import sys

from atoll._execution import fork_hazards
from atoll._location import launch
from atoll.location.v1 import location_pb2

Threads = fork_hazards.Threads
observe = fork_hazards.observe


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """How processes are made, and why.

    Attributes:
        start_method: How.
        reason: Why, in a sentence.
    """

    start_method: location_pb2.StartMethod.ValueType
    reason: str


def decide(option: launch.StartMethodOption) -> Decision:
    """Decide for this process, as it is now.

    Args:
        option: What the location asked for.
    """
    return judge(option, sys.platform, observe())


def judge(option: launch.StartMethodOption, platform: str, threads: Threads) -> Decision:
    """Decide from what was observed.

    Args:
        option: What the location asked for.
        platform: The platform, as `sys.platform` names it.
        threads: The threads of the process.
    """
    if option is launch.StartMethodOption.SPAWN:
        return _spawn("The location asks for it (--start-method spawn).")
    hazard = fork_hazards.hazard(platform, threads)
    if option is launch.StartMethodOption.FORK:
        reason = "The location asks for it (--start-method fork)"
        reason += f", although {hazard}." if hazard else "."
        return Decision(location_pb2.START_METHOD_FORK, reason)
    if hazard:
        return _spawn(f"Forking is unsafe: {hazard}.")
    return Decision(
        location_pb2.START_METHOD_FORK,
        f"Importing the code left {fork_hazards.left_behind(threads)}.",
    )


def _spawn(reason: str) -> Decision:
    return Decision(location_pb2.START_METHOD_SPAWN, reason)
