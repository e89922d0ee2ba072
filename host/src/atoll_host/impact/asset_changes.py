"""What becomes of those who use assets and checks that are removed, given up or taken. Pure."""

from collections.abc import Iterator

from atoll_host.impact import findings, renames, uses, world

_Rule, _Severity = findings.Rule, findings.Severity
_SEVERITIES = {
    uses.How.WATCHES: _Severity.BREAKING,
    uses.How.DEPENDS: _Severity.BREAKING,
    uses.How.CONDITION: _Severity.BREAKING,
    uses.How.CHECKS: _Severity.RISKY,
}


def find(known: world.World, used: uses.Uses) -> Iterator[findings.Finding]:
    """Yield what changes of assets and checks bring about."""
    before, after = known.owned_by(known.old), known.owned_by(known.new)
    renamed = renames.guesses(
        {path: known.old.assets[path] for path in before},
        {path: known.new.assets[path] for path in after},
        renames.shape_of,
        lambda path: path[-1:],
    )
    for path in sorted(before - after):
        yield from _gone(known, used, path, "/".join(renamed.get(path, ())))
    for path in sorted(known.new.executable - known.old.executable):
        yield from _come(known, path)
    yield from _checks(known, used)


def _gone(
    known: world.World, used: uses.Uses, path: world.Path, renamed_to: str
) -> Iterator[findings.Finding]:
    name = "/".join(path)
    given_up = path in known.new.assets
    rule = _Rule.ASSET_GIVEN_UP if given_up else _Rule.ASSET_REMOVED
    taker = known.owner_after(path)
    happens = "would no longer be made here" if given_up else "would be gone"
    if taker:
        happens += f", and location {taker!r}, which claims it, would make it"
    hint = f" It may be called {renamed_to} now (a guess)." if renamed_to else ""
    for use in used.of_assets.get(path, ()):
        yield findings.Finding(
            severity=_Severity.RISKY if taker else _SEVERITIES[use.how],
            rule=rule,
            subject=f"asset {name}",
            location_name=use.location_name,
            affected=use.what,
            message=f"Asset {name} {happens}; {use.what} {use.how.value}.{hint} Tell the team of "
            f"{use.location_name}, or keep the asset until it changed.",
            renamed_to=renamed_to,
        )
    for alert in known.alerts:
        if name in alert.assets:
            yield _alert(known, f"asset {name}", rule, alert.name, renamed_to)
    if not used.of_assets.get(path):
        yield findings.Finding(
            severity=_Severity.NOTE,
            rule=rule,
            subject=f"asset {name}",
            location_name=known.location_name,
            affected="",
            message=f"Asset {name} {happens}; no other location uses it. What is stored of it "
            f"stays.{hint}",
            renamed_to=renamed_to,
        )


def _come(known: world.World, path: world.Path) -> Iterator[findings.Finding]:
    owner, name = known.owners.get(path, known.location_name), "/".join(path)
    if owner != known.location_name:
        yield findings.Finding(
            severity=_Severity.BREAKING,
            rule=_Rule.ASSET_TAKEN,
            subject=f"asset {name}",
            location_name=known.location_name,
            affected=f"asset {name}",
            message=f"Asset {name} belongs to location {owner!r}, so this location would not make "
            "it. Give it another key, or have the other team give it up first.",
        )
        return
    for location_name, defined in sorted(known.others.items()):
        if path in defined.assets:
            yield findings.Finding(
                severity=_Severity.NOTE,
                rule=_Rule.ASSET_TAKEN,
                subject=f"asset {name}",
                location_name=location_name,
                affected=f"asset {name}",
                message=f"Asset {name}, which location {location_name!r} knows as made elsewhere, "
                "would be made here.",
            )


def _checks(known: world.World, used: uses.Uses) -> Iterator[findings.Finding]:
    for key in sorted(known.old.checks.keys() - known.new.checks.keys()):
        name = f"{'/'.join(key[0])}:{key[1]}"
        for use in used.of_checks.get(key, ()):
            yield findings.Finding(
                severity=_Severity.BREAKING,
                rule=_Rule.CHECK_REMOVED,
                subject=f"check {name}",
                location_name=use.location_name,
                affected=use.what,
                message=f"Check {name} would be gone; {use.what} {use.how.value}.",
            )
        owner = known.owners.get(key[0], known.location_name)
        if known.old.checks[key].blocking and not used.of_checks.get(key):
            yield findings.Finding(
                severity=_Severity.RISKY,
                rule=_Rule.CHECK_REMOVED,
                subject=f"check {name}",
                location_name=owner,
                affected=f"asset {'/'.join(key[0])}",
                message=f"Check {name} would be gone. It blocks: what it kept from being made from "
                "bad data would be made.",
            )


def _alert(
    known: world.World, subject: str, rule: findings.Rule, alert_name: str, renamed_to: str
) -> findings.Finding:
    return findings.Finding(
        severity=_Severity.RISKY,
        rule=rule,
        subject=subject,
        location_name="",
        affected=f"alert rule {alert_name}",
        message=f"The host's alert rule {alert_name!r} looks for {subject} of "
        f"{known.location_name}, which would be gone.",
        renamed_to=renamed_to,
    )
