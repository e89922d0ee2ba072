"""Kinds of events in groups, for which the log can be kept for different times.

Called by `retention_store`, which takes events of a group out of the log, and by `event_log`, which
tells readers what may be gone. Every kind belongs to one group; what no other group names belongs
to `OTHER_EVENTS`, so that kinds of later releases are kept for long.
"""

from collections.abc import Sequence

LOG_MESSAGES = "log_messages"
STEP_EVENTS = "step_events"
RUN_EVENTS = "run_events"
ASSET_EVENTS = "asset_events"
OTHER_EVENTS = "other_events"

KINDS = {
    # What user code logged.
    LOG_MESSAGES: frozenset({50}),
    # What steps, resources, hooks and IO managers did, and how Atoll ran them.
    STEP_EVENTS: frozenset({*range(30, 40), 51, *range(70, 80)}),
    # What runs as a whole did, what they planned, and what they did not do.
    RUN_EVENTS: frozenset({*range(20, 27), 40, 43, 44}),
    # Materializations, observations and evaluations of checks.
    ASSET_EVENTS: frozenset({41, 42, 45}),
}
NAMED_KINDS = sorted(frozenset[int]().union(*KINDS.values()))
NAMES = (*KINDS, OTHER_EVENTS)


def group_of(kind: int) -> str:
    """Return the group that a kind, the number of an event's body, belongs to."""
    return next((name for name, kinds in KINDS.items() if kind in kinds), OTHER_EVENTS)


def groups_of(kinds: Sequence[int]) -> list[str]:
    """Return the groups that kinds belong to; all of them where no kind is given."""
    return sorted({group_of(kind) for kind in kinds}) if kinds else list(NAMES)
