"""What becomes of those who launch or watch jobs that are gone or want other config. Pure."""

import json
from collections.abc import Iterator
from typing import Any, cast

from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.impact import findings, renames, uses, world
from atoll_host.runs import config_schemas

_Rule, _Severity = findings.Rule, findings.Severity


def find(known: world.World, used: uses.Uses) -> Iterator[findings.Finding]:
    """Yield what changes of jobs bring about."""
    old, new = known.old.jobs, known.new.jobs
    renamed = renames.guesses(old, new, renames.shape_of)
    for name in sorted(old.keys() - new.keys()):
        yield from _gone(known, used, name, renamed.get(name, ""))
    for name in sorted(old.keys() & new.keys()):
        launching = [
            use
            for use in used.of_jobs.get((known.location_name, name), ())
            if use.how is uses.How.LAUNCHES
        ]
        for use in launching:
            yield from _config(old[name], new[name], use)
            if old[name].partitions != new[name].partitions:
                yield findings.Finding(
                    severity=_Severity.RISKY,
                    rule=_Rule.JOB_PARTITIONS_CHANGED,
                    subject=f"job {name}",
                    location_name=use.location_name,
                    affected=use.what,
                    message=f"Job {name} would have other partitions; {use.what} asks for runs of "
                    "it. Check that it names partitions that there are.",
                )


def _gone(
    known: world.World, used: uses.Uses, name: str, renamed_to: str
) -> Iterator[findings.Finding]:
    hint = f" It may be called {renamed_to} now (a guess)." if renamed_to else ""
    for use in used.of_jobs.get((known.location_name, name), ()):
        yield findings.Finding(
            severity=_Severity.BREAKING,
            rule=_Rule.JOB_REMOVED,
            subject=f"job {name}",
            location_name=use.location_name,
            affected=use.what,
            message=f"Job {name} would be gone; {use.what} {use.how.value}.{hint} Tell the team of "
            f"{use.location_name}, or keep the job until it changed.",
            renamed_to=renamed_to,
        )
    for alert in known.alerts:
        if name in alert.jobs and (not alert.locations or known.location_name in alert.locations):
            yield findings.Finding(
                severity=_Severity.RISKY,
                rule=_Rule.JOB_REMOVED,
                subject=f"job {name}",
                location_name="",
                affected=f"alert rule {alert.name}",
                message=f"The host's alert rule {alert.name!r} looks for job {name}, which would "
                f"be gone.{hint}",
                renamed_to=renamed_to,
            )


def _config(
    old: snapshot_pb2.JobDefinition, new: snapshot_pb2.JobDefinition, use: uses.Use
) -> Iterator[findings.Finding]:
    before, after = _schema(old), _schema(new)
    if before == after:
        return
    differences = _differences(before, after)
    problem = _why_none_refused(new)
    broken = bool(problem) and not _why_none_refused(old)
    told = "; ".join(differences) or "its schema is another"
    yield findings.Finding(
        severity=_Severity.BREAKING if broken else _Severity.RISKY,
        rule=_Rule.JOB_CONFIG_CHANGED,
        subject=f"job {old.name}",
        location_name=use.location_name,
        affected=use.what,
        message=f"Job {old.name} would take other config ({told}); {use.what} asks for runs of it."
        + (f" Runs that name no config would be refused: {problem}" if broken else ""),
    )


def _why_none_refused(job: snapshot_pb2.JobDefinition) -> str:
    """Return why a run without config is refused; empty where it is not."""
    try:
        default = job.default_config.data
        config_schemas.check(job, config_schemas.parse(default, job.name) if default else {})
    except errors.InvalidRunConfig as error:
        return str(error)
    return ""


def _schema(job: snapshot_pb2.JobDefinition) -> Any:
    try:
        return json.loads(job.config_schema.data or b"{}")
    except (ValueError, RecursionError):
        return job.config_schema.data


_DIFFERENCES_MAX = 8
_DEPTH_MAX = 12


def _differences(before: Any, after: Any) -> list[str]:
    """Return in words what fields of a schema are gone, new and required, or of another type."""
    found: list[str] = []
    _compare(before, after, "", found, 0)
    more = len(found) - _DIFFERENCES_MAX
    return found[:_DIFFERENCES_MAX] + ([f"and {more} more"] if more > 0 else [])


def _compare(before: Any, after: Any, path: str, found: list[str], depth: int) -> None:
    if before == after or depth > _DEPTH_MAX:
        return
    old, new = _object(before), _object(after)
    if old is None or new is None:
        found.append(f"{path or 'its top'} is another")
        return
    prefix = f"{path}." if path else ""
    had, has = _object(old.get("properties")) or {}, _object(new.get("properties")) or {}
    found.extend(f"{prefix}{name} is gone" for name in sorted(had.keys() - has.keys()))
    for name in sorted(had.keys() & has.keys()):
        _compare(had[name], has[name], f"{prefix}{name}", found, depth + 1)
    classes, others = _object(old.get("$defs")) or {}, _object(new.get("$defs")) or {}
    for name in sorted(classes.keys() & others.keys()):
        _compare(classes[name], others[name], name, found, depth + 1)
    found.extend(
        f"{prefix}{name} is required now" for name in sorted(_required(new) - _required(old))
    )
    if old.get("type") != new.get("type"):
        found.append(f"{path or 'its top'} is {new.get('type')} instead of {old.get('type')}")


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _required(schema: dict[str, Any]) -> set[str]:
    names: Any = schema.get("required")
    if not isinstance(names, list):
        return set()
    listed: list[Any] = names  # pyright: ignore[reportUnknownVariableType]
    return {name for name in listed if isinstance(name, str)}
