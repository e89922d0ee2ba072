"""Whom policies that changed would deny what they do now, and what the new definitions may not do.

Pure: both the rules of now and the rules of then are asked about everything that is defined.
"""

from collections.abc import Iterator, Mapping

from atoll.definitions.v1 import policies_pb2
from atoll_host.impact import findings, world
from atoll_host.locations import cutting, definitions
from atoll_host.policy import deciding

_Told = dict[tuple[str, str, str], tuple[str, str]]


def find(known: world.World) -> Iterator[findings.Finding]:
    """Yield what would be denied that is not denied now."""
    before = {known.location_name: known.old, **known.sent}
    after = {known.location_name: known.new, **known.sent}
    denied_before = _denied(known, before, dict(known.owners))
    paths = {*known.owners, *known.old.executable, *known.new.executable}
    denied_after = _denied(known, after, {path: known.owner_after(path) for path in paths})
    for key, (declared_by, explanation) in sorted(denied_after.items()):
        if key in denied_before:
            continue
        location_name, what, subject = key
        who = declared_by or "the host"
        yield findings.Finding(
            severity=findings.Severity.BREAKING,
            rule=findings.Rule.POLICY_DENIES,
            subject=f"policy of {who}",
            location_name=location_name,
            affected=what,
            message=f"{what} would be denied {subject}. {explanation}",
        )


def _denied(
    known: world.World,
    defined: Mapping[str, definitions.Definitions],
    owners: Mapping[world.Path, str],
) -> _Told:
    """Return what is denied: by whom and why, by the location, its definition and the thing."""
    declared = {
        name: each.message.policy
        for name, each in defined.items()
        if each.message.HasField("policy")
    }
    policies = deciding.of(known.settings, declared)
    mesh = cutting.Mesh(
        policies,
        lambda path: owners.get(path, ""),
        {name: tuple(each.jobs) for name, each in defined.items()},
    )
    found: _Told = {}
    for name, each in sorted(defined.items()):
        for denial in cutting.cut(name, each, mesh).denials:
            what = f"{denial.definition_kind} {denial.definition_name}"
            found[name, what, _subject(denial)] = (denial.declared_by, denial.explanation)
        for what, target, job_name in _launches(each):
            decision = deciding.decide(
                policies, name, target, deciding.Action.LAUNCH, deciding.Subject(job=job_name)
            )
            if not decision.allowed:
                key = (name, what, f"to launch {target}/{job_name}")
                found[key] = (decision.declared_by, decision.explanation)
    return found


def _subject(denial: policies_pb2.PolicyDenial) -> str:
    thing = "/".join(denial.asset_key.path) or f"runs of {denial.job_name or 'any job'}"
    verb = "to depend on" if denial.action == policies_pb2.POLICY_ACTION_DEPEND else "to watch"
    return f"{verb} {thing} of {denial.to_location}"


def _launches(defined: definitions.Definitions) -> Iterator[tuple[str, str, str]]:
    for name, sensor in sorted(defined.sensors.items()):
        for target in sensor.job_names:
            location_name, slash, job_name = target.partition("/")
            if slash:
                yield f"sensor {name}", location_name, job_name
