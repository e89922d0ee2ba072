"""What happened, as rules see it: events, failing ticks and locations that are away.

Called by `leading`. Pure: everything that has to be looked up is handed in. An occurrence has a
subject, which is what deduplication goes by: not the single run or tick, but what keeps going
wrong.
"""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping

from atoll.api.v1 import automation_pb2, subscriptions_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_host.alerts import rules
from atoll_host.locations import registry as registries
from atoll_storage import alert_records, records, subscription_records

KINDS = {
    rules.Trigger.RUN_FAILURE: "run_failed",
    rules.Trigger.CHECK_FAILED: "asset_check_evaluation",
    rules.Trigger.FRESHNESS: "freshness_state_change",
    rules.Trigger.BACKFILL_FAILED: "backfill_ended",
}
"""The event that each trigger looks for; the others look at states."""

_FAILED_BACKFILLS = frozenset({"COMPLETED_FAILED", "FAILED"})
_PAUSES = {
    subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE: "the receiver says that it is gone",
    subscriptions_pb2.SUBSCRIPTION_PAUSE_FAILING: "no request arrived for too long",
    subscriptions_pb2.SUBSCRIPTION_PAUSE_DEAD_LETTERS: "too many deliveries were given up",
}
_STATES = {events_pb2.FRESHNESS_STATE_WARN: "warn", events_pb2.FRESHNESS_STATE_FAIL: "fail"}


@dataclasses.dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that a rule may look for.

    Attributes:
        trigger: What kind of thing.
        subject: What it is about.
        at: When it happened.
        values: What templates may name.
        tags: Those of the run or the asset.
        group: The group of the asset.
        rank: How bad it is: a severity or a state, in the words of the rules.
        count: How many in a row.
        lasts: For how long it has been so.
        event_id: The event that tells of it; 0 where none does.
        once: Whether it is a state that lasts: one that began no later than what is remembered was
            seen before.
    """

    trigger: rules.Trigger
    subject: str
    at: dt.datetime
    values: Mapping[str, str]
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    group: str = ""
    rank: str = ""
    count: int = 0
    lasts: dt.timedelta = dt.timedelta(0)
    event_id: int = 0
    once: bool = False


def of_run(stored: events_pb2.StoredEvent, run: records.RunRecord | None) -> Occurrence:
    """Return what a failed run is to rules. `run` is None where it is gone already."""
    event = stored.event
    location = stored.location_name if run is None else run.location_name
    job = event.job_name if run is None else run.job_name
    return Occurrence(
        trigger=rules.Trigger.RUN_FAILURE,
        subject=f"job:{location}/{job}",
        at=_moment(stored),
        values={
            "location": location,
            "job": job,
            "run_id": event.run_id,
            "message": _told(event.run_failed.failure) or event.message,
        },
        tags={} if run is None else run.tags,
        event_id=stored.id,
    )


def of_check(
    stored: events_pb2.StoredEvent, asset: snapshot_pb2.AssetDefinition | None
) -> Occurrence | None:
    """Return what an evaluation of a check is to rules, None where the check passed."""
    told = stored.event.asset_check_evaluation
    if told.passed:
        return None
    warns = told.severity == events_pb2.ASSET_CHECK_SEVERITY_WARN
    severity = "warn" if warns else "error"
    key = "/".join(told.asset_key.path)
    return Occurrence(
        trigger=rules.Trigger.CHECK_FAILED,
        subject=f"check:{key}/{told.check_name}/{severity}",
        at=_moment(stored),
        values={
            "location": stored.location_name,
            "asset": key,
            "check": told.check_name,
            "severity": severity,
            "run_id": stored.event.run_id,
            "message": told.description,
        },
        tags={} if asset is None else dict(asset.tags),
        group="" if asset is None else asset.group_name,
        rank=severity,
        event_id=stored.id,
    )


def of_freshness(
    stored: events_pb2.StoredEvent,
    asset: snapshot_pb2.AssetDefinition | None,
    location_name: str,
) -> Occurrence | None:
    """Return what a change of freshness is to rules, None where it is for the better."""
    told = stored.event.freshness_state_change
    state = _STATES.get(told.new_state)
    if state is None:
        return None
    key = "/".join(told.asset_key.path)
    latest = "never"
    if told.HasField("latest_materialization_time"):
        latest = _shown(told.latest_materialization_time.ToDatetime(dt.UTC))
    return Occurrence(
        trigger=rules.Trigger.FRESHNESS,
        subject=f"freshness:{key}/{state}",
        at=_moment(stored),
        values={
            "location": location_name,
            "asset": key,
            "state": state.upper(),
            "message": f"{state.upper()}. It was last materialized at {latest}.",
        },
        tags={} if asset is None else dict(asset.tags),
        group="" if asset is None else asset.group_name,
        rank=state,
        event_id=stored.id,
    )


def of_backfill(stored: events_pb2.StoredEvent) -> Occurrence | None:
    """Return what the end of a backfill is to rules, None for one that did well or was canceled."""
    told = stored.event.backfill_ended
    if told.status not in _FAILED_BACKFILLS:
        return None
    return Occurrence(
        trigger=rules.Trigger.BACKFILL_FAILED,
        subject=f"backfill:{told.backfill_id}",
        at=_moment(stored),
        values={
            "backfill": told.title,
            "backfill_id": told.backfill_id,
            "state": told.status,
            "message": _told(told.failure) or stored.event.message,
        },
        event_id=stored.id,
    )


def of_location(
    view: registries.LocationView, now: dt.datetime, watched_since: dt.datetime
) -> Occurrence | None:
    """Return what a location is to rules, None where it is not away.

    Only the time since somebody watches counts: after a pause of the host itself, locations that
    are about to come back are not away.
    """
    if view.state != events_pb2.LOCATION_STATE_UNREACHABLE:
        return None
    since = view.server.lease_expire_time
    return Occurrence(
        trigger=rules.Trigger.LOCATION_AWAY,
        subject=f"location:{view.name}",
        at=since,
        values={
            "location": view.name,
            "state": "UNREACHABLE",
            "message": f"Its code server has not been connected since {_shown(since)}.",
        },
        lasts=now - max(since, watched_since),
        once=True,
    )


def of_ticks(ticks: alert_records.FailingTicks) -> Occurrence:
    """Return what the newest ticks of a sensor or schedule are to rules."""
    failed = automation_pb2.TICK_STATUS_FAILURE
    count = sum(1 for _ in itertools.takewhile(lambda status: status == failed, ticks.statuses))
    trigger = rules.Trigger.SENSOR_FAILING if ticks.is_sensor else rules.Trigger.SCHEDULE_FAILING
    word = "sensor" if ticks.is_sensor else "schedule"
    return Occurrence(
        trigger=trigger,
        subject=f"{word}:{ticks.location_name}/{ticks.name}",
        at=ticks.newest_time,
        values={
            "location": ticks.location_name,
            "sensor": ticks.name,
            "message": f"{count} ticks in a row failed. {_told(ticks.newest.failure)}".strip(),
        },
        count=count,
        once=True,
    )


def of_subscription(paused: subscription_records.PausedSubscription) -> Occurrence:
    """Return what a subscription that the host paused is to rules."""
    why = _PAUSES.get(paused.pause, "the host paused it")
    return Occurrence(
        trigger=rules.Trigger.SUBSCRIPTION_PAUSED,
        subject=f"subscription:{paused.name}",
        at=paused.since,
        values={"subscription": paused.name, "message": f"{why}. Newest error: {paused.error}"},
        once=True,
    )


def _told(failure: values_pb2.Failure) -> str:
    name = failure.type.rpartition(".")[2]
    told = f"{name}: {failure.message}" if name else failure.message
    if failure.HasField("cause"):
        told = f"{told}\n{_told(failure.cause)}"
    return told


def _moment(stored: events_pb2.StoredEvent) -> dt.datetime:
    return stored.stored_time.ToDatetime(dt.UTC)


def _shown(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def example(trigger: rules.Trigger, now: dt.datetime) -> Occurrence:
    """Return something that did not happen, to try a rule with."""
    values = {
        "location": "example_location",
        "job": "example_job",
        "run_id": "00000000-0000-0000-0000-000000000000",
        "asset": "example/asset",
        "check": "example_check",
        "sensor": "example_sensor",
        "backfill": "example_backfill",
        "backfill_id": "00000000-0000-0000-0000-000000000000",
        "state": "FAIL",
        "severity": "error",
        "message": "This is a test: nothing happened.",
    }
    return Occurrence(trigger=trigger, subject="test", at=now, values=values)
