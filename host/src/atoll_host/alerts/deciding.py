"""What becomes an alert: which rules an occurrence fits, and whether it was told just now.

Called by `leading` and by the API. Pure; the ids of alerts follow from what they tell, so that two
hosts that decide the same make the same alert.

    cause --(fits no rule)--> nothing
      |
      +--(the same rule told the same subject less than `repeat_after` ago)--> counted
      |
      +--> alert, with the count since the one before; one delivery for each target
"""

import dataclasses
import datetime as dt
import fnmatch
import uuid
from collections.abc import Iterable, Mapping, Sequence

from atoll.api.v1 import alerts_pb2
from atoll_host.alerts import occurring, rules, templates
from atoll_storage import alert_records

_NAMESPACE = uuid.UUID("5a1f5f7a-6c1b-4f6e-9c0b-6a3d1f5f0c11")
_RANKS = {"warn": 0, "error": 1}

Memories = dict[alert_records.AlertKey, alert_records.AlertMemory]


@dataclasses.dataclass(frozen=True, slots=True)
class Decided:
    """What a row of occurrences led to: the alerts, and what to remember from now on."""

    alerts: Sequence[alerts_pb2.Alert]
    memories: Memories


def fits(rule: rules.Rule, occurrence: occurring.Occurrence) -> bool:
    """Say whether a rule looks for what happened."""
    if rule.on is not occurrence.trigger:
        return False
    if not _has_rank(rule, occurrence):
        return False
    values = occurrence.values
    chosen = (
        (rule.locations, values.get("location", "")),
        (rule.jobs, values.get("job", "")),
        (rule.assets, values.get("asset", "")),
        (rule.groups, occurrence.group),
    )
    if not all(_matches(patterns, value) for patterns, value in chosen):
        return False
    return all(occurrence.tags.get(name) == value for name, value in rule.tags.items())


def keys_of(
    found: Iterable[occurring.Occurrence], all_rules: Sequence[rules.Rule]
) -> set[alert_records.AlertKey]:
    """Return what has to be remembered to decide about occurrences."""
    return {
        alert_records.AlertKey(rule.name, occurrence.subject)
        for occurrence in found
        for rule in all_rules
        if fits(rule, occurrence)
    }


def decide(
    found: Iterable[occurring.Occurrence],
    all_rules: Sequence[rules.Rule],
    memories: Mapping[alert_records.AlertKey, alert_records.AlertMemory],
) -> Decided:
    """Decide about occurrences, in order.

    Args:
        found: What happened.
        all_rules: The rules.
        memories: What is remembered of the keys that `keys_of` gave.
    """
    known, changed = dict(memories), Memories()
    alerts: list[alerts_pb2.Alert] = []
    for occurrence in found:
        for rule in all_rules:
            if not fits(rule, occurrence):
                continue
            key = alert_records.AlertKey(rule.name, occurrence.subject)
            memory = known.get(key)
            if occurrence.once and memory is not None and occurrence.at <= memory.update_time:
                continue
            held_back = memory.suppressed_count if memory is not None else 0
            after = remember(memory, occurrence.at, rule.repeat_after)
            known[key] = changed[key] = after
            if after.suppressed_count == 0:
                alerts.append(compose(rule, occurrence, held_back))
    return Decided(alerts, changed)


def remember(
    memory: alert_records.AlertMemory | None, at: dt.datetime, repeat_after: dt.timedelta
) -> alert_records.AlertMemory:
    """Return what to remember after one more cause; no count means that it makes an alert."""
    if memory is None or memory.alert_time is None or at - memory.alert_time >= repeat_after:
        return alert_records.AlertMemory(at, 0, at)
    newest = max(at, memory.update_time)
    return alert_records.AlertMemory(memory.alert_time, memory.suppressed_count + 1, newest)


def compose(rule: rules.Rule, occurrence: occurring.Occurrence, held_back: int) -> alerts_pb2.Alert:
    """Make an alert and its deliveries."""
    values = {
        **occurrence.values,
        "rule": rule.name,
        "trigger": str(occurrence.trigger),
        "subject": occurrence.subject,
        "time": occurrence.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "count": str(held_back),
    }
    cause = f"{rule.name}\n{occurrence.subject}\n{occurrence.at.isoformat()}\n{occurrence.event_id}"
    alert_id = uuid.uuid5(_NAMESPACE, cause)
    body = templates.body(rule.body_template, values)
    if held_back and "count" not in rule.body:
        body += f"\n\n({held_back} more since the alert before.)"
    alert = alerts_pb2.Alert(
        alert_id=str(alert_id),
        rule=rule.name,
        subject=templates.bounded(occurrence.subject, templates.BODY_MAX),
        title=templates.title(rule.title_template, values),
        body=body,
        suppressed_count=held_back,
        event_id=occurrence.event_id,
    )
    alert.create_time.FromDatetime(occurrence.at)
    for place, target in enumerate(rule.notify):
        alert.deliveries.add(
            delivery_id=str(uuid.uuid5(alert_id, str(place))),
            alert_id=alert.alert_id,
            rule=rule.name,
            target=name_of(target),
            status=alerts_pb2.DELIVERY_STATUS_WAITING,
        )
    return alert


def name_of(target: rules.Target) -> str:
    """Return what people call a target. No address of a webhook: its path may be a secret."""
    if isinstance(target, rules.Email):
        return f"email {', '.join(target.to)}"
    return f"webhook {target.url_env or target.url_file or rules.host_of(target.url)}"


def _has_rank(rule: rules.Rule, occurrence: occurring.Occurrence) -> bool:
    match rule.on:
        case rules.Trigger.CHECK_FAILED:
            return _RANKS[occurrence.rank] >= _RANKS[rule.severity]
        case rules.Trigger.FRESHNESS:
            return occurrence.rank in rule.states
        case rules.Trigger.LOCATION_AWAY:
            return occurrence.lasts >= rule.longer_than
        case rules.Trigger.SENSOR_FAILING | rules.Trigger.SCHEDULE_FAILING:
            return occurrence.count >= rule.in_a_row
        case _:
            return True


def _matches(patterns: Sequence[str], value: str) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)
