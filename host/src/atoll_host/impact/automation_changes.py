"""What is lost with sensors and schedules that are gone. Pure."""

from collections.abc import Iterator

from atoll_host.impact import findings, renames, world


def find(known: world.World) -> Iterator[findings.Finding]:
    """Yield what sensors and schedules that are gone take along."""
    old, new = known.old, known.new
    sensors = renames.guesses(old.sensors, new.sensors, renames.shape_of)
    for name in sorted((old.sensors.keys() - new.sensors.keys()) & known.kept_sensors):
        yield _gone(
            known,
            findings.Rule.SENSOR_REMOVED,
            f"sensor {name}",
            sensors.get(name, ""),
            "its cursor and its place in the log are lost to one of another name",
        )
    schedules = renames.guesses(old.schedules, new.schedules, renames.shape_of)
    for name in sorted((old.schedules.keys() - new.schedules.keys()) & known.kept_schedules):
        yield _gone(
            known,
            findings.Rule.SCHEDULE_REMOVED,
            f"schedule {name}",
            schedules.get(name, ""),
            "ticks that are to be made up for, and whether it was started or stopped, are lost to "
            "one of another name",
        )


def _gone(
    known: world.World, rule: findings.Rule, subject: str, renamed_to: str, lost: str
) -> findings.Finding:
    kind, _, name = subject.partition(" ")
    hint = ""
    if renamed_to:
        hint = (
            f" It may be called {renamed_to} now (a guess): start it, and set where it begins, "
            f"or keep the name {name}."
        )
    return findings.Finding(
        severity=findings.Severity.RISKY if renamed_to else findings.Severity.NOTE,
        rule=rule,
        subject=subject,
        location_name=known.location_name,
        affected=subject,
        message=f"The {kind} {name} would be gone; {lost}.{hint}",
        renamed_to=renamed_to,
    )
