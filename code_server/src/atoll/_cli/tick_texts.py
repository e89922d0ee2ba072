"""Ticks in words: what an evaluation of a sensor or a schedule decided, and what it logged.

Used by the modules of both nouns.
"""

from atoll._cli import connection, rendering
from atoll.api.v1 import automation_pb2
from atoll.client import documents

STATUSES = {
    "success": automation_pb2.TICK_STATUS_SUCCESS,
    "skipped": automation_pb2.TICK_STATUS_SKIPPED,
    "failure": automation_pb2.TICK_STATUS_FAILURE,
}
"""The outcomes by the names that commands take."""


def what(tick: automation_pb2.Tick, terminal: rendering.Terminal) -> str:
    """Return what a tick decided, in one line."""
    if tick.HasField("failure"):
        return documents.failure_line(tick.failure)
    if tick.skip_reason:
        return tick.skip_reason
    known = ", ".join(tick.skipped_run_keys)
    runs = ", ".join(connection.run_id(run_id, terminal) for run_id in tick.run_ids)
    return runs + (f" (had a run already: {known})" if known else "")


def log(tick: automation_pb2.Tick, terminal: rendering.Terminal) -> str:
    """Return all of a tick: what it decided, why it failed, what it logged."""
    lines = "\n".join(
        f"{rendering.clock_time(documents.moment(line, 'timestamp'))}  "
        f"{documents.enum_name(line, 'level')} {line.message}"
        for line in tick.log_lines
    )
    scheduled = documents.moment(tick, "scheduled_time")
    pairs = [
        ("tick", tick.tick_id),
        ("scheduled", rendering.moment_exact(scheduled) if scheduled else ""),
        ("time", rendering.moment_exact(documents.moment(tick, "start_time"))),
        ("outcome", documents.enum_name(tick, "status")),
        ("event", str(tick.event_id) if tick.event_id and not tick.delivery_id else ""),
        ("delivery", tick.delivery_id),
        ("of run", tick.triggering_run_id),
        ("cursor", tick.cursor),
        ("build", tick.build_id),
        ("what", "" if tick.HasField("failure") else what(tick, terminal)),
        ("failure", documents.failure_text(tick.failure) if tick.HasField("failure") else ""),
        ("logged", lines),
    ]
    return rendering.fields(pairs, terminal)
