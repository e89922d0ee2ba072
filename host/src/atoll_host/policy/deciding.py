"""Decides whether a location may do something with what another one makes. Pure.

Called by whoever lets locations touch each other: the registry for watching and depending, the
requests of sensors for launching, the instance queries for reading, and the API for explaining.
The host and the producing location both have to allow. Each side has rules in order, of which the
first that fits decides; where none does, the host's defaults hold and the location has nothing
against it.
"""

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence

from atoll.definitions.v1 import policies_pb2
from atoll_host.policy import policy_settings

HOST = ""
"""Who declares what the settings say."""


class Action(enum.Enum):
    """What a location does with what another makes; the values are the words of the settings."""

    WATCH = "watch"
    DEPEND = "depend"
    LAUNCH = "launch"
    READ = "read"


ACTIONS: Mapping[int, Action] = {
    policies_pb2.POLICY_ACTION_WATCH: Action.WATCH,
    policies_pb2.POLICY_ACTION_DEPEND: Action.DEPEND,
    policies_pb2.POLICY_ACTION_LAUNCH: Action.LAUNCH,
    policies_pb2.POLICY_ACTION_READ: Action.READ,
}
NUMBERS: Mapping[Action, policies_pb2.PolicyAction.ValueType] = {
    Action.WATCH: policies_pb2.POLICY_ACTION_WATCH,
    Action.DEPEND: policies_pb2.POLICY_ACTION_DEPEND,
    Action.LAUNCH: policies_pb2.POLICY_ACTION_LAUNCH,
    Action.READ: policies_pb2.POLICY_ACTION_READ,
}
_VERBS = {
    Action.WATCH: "watch",
    Action.DEPEND: "depend on",
    Action.LAUNCH: "launch",
    Action.READ: "read",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """What something is done with: an asset, a job, or all of a location where both are empty.

    Attributes:
        asset: The path of an asset's key.
        job: The name of a job.
    """

    asset: tuple[str, ...] = ()
    job: str = ""

    @property
    def text(self) -> str:
        """What it is, in words."""
        if self.asset:
            return f"asset {'/'.join(self.asset)!r}"
        return f"job {self.job!r}" if self.job else "anything"


WHOLE = Subject()
"""All of a location: what is asked about where no single thing is meant."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the host or of a location.

    Attributes:
        declared_by: The location that declares it; `HOST` for the host.
        place: Where it stands, such as `[policy] rules[2]`.
        sources: Who it is about.
        targets: Whose things it is about.
        actions: What it is about.
        assets: The assets it is about.
        jobs: The jobs it is about; where neither is given it is about everything.
        allow: Whether it allows.
        reason: Why, for people.
        is_default: Whether it holds where no other fits.
    """

    declared_by: str
    place: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    actions: frozenset[Action]
    assets: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    allow: bool = True
    reason: str = ""
    is_default: bool = False

    def fits(self, source: str, target: str, action: Action, subject: Subject) -> bool:
        """Return whether the rule says something about a case.

        A rule about single assets or jobs says nothing about a location as a whole, unless it names
        all of them.
        """
        return (
            action in self.actions
            and any(matches(source, each) for each in self.sources)
            and any(matches(target, each) for each in self.targets)
            and self._is_about(subject)
        )

    def _is_about(self, subject: Subject) -> bool:
        if not self.assets and not self.jobs:
            return True
        if subject.asset:
            return any(matches("/".join(subject.asset), each) for each in self.assets)
        if subject.job:
            return any(matches(subject.job, each) for each in self.jobs)
        return "*" in self.assets or "*" in self.jobs


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What the policy comes to in a case.

    Attributes:
        allowed: Whether it is allowed.
        declared_by: Who declares what forbids it; `HOST` for the host, and where it is allowed.
        explanation: Why, in words.
    """

    allowed: bool
    declared_by: str
    explanation: str


@dataclasses.dataclass(frozen=True, slots=True)
class Policies:
    """All rules there are.

    Attributes:
        host: Those of the host, in order, its defaults last.
        locations: Those of each location that has any, in order.
        reads_declared: Whether reading what is declared is allowed where no rule of the host fits.
    """

    host: tuple[Rule, ...]
    locations: Mapping[str, tuple[Rule, ...]] = dataclasses.field(
        default_factory=dict[str, tuple[Rule, ...]]
    )
    reads_declared: bool = False

    def may_deny(self, actions: Iterable[Action]) -> bool:
        """Return whether anything at all is denied of some actions."""
        wanted = frozenset(actions)
        return any(not rule.allow and rule.actions & wanted for rule in self)

    def __iter__(self) -> Iterator[Rule]:
        yield from self.host
        for name in sorted(self.locations):
            yield from self.locations[name]


def of(
    settings: policy_settings.PolicySettings,
    declared: Mapping[str, policies_pb2.LocationPolicy],
) -> Policies:
    """Return all rules.

    Args:
        settings: What the host says.
        declared: What locations say of their own things.
    """
    host = [_of_settings(rule, number) for number, rule in enumerate(settings.rules)]
    host += [
        Rule(
            declared_by=HOST,
            place=f"[policy] run_requests[{number}]",
            sources=(rule.source,),
            targets=(rule.target,),
            actions=frozenset({Action.LAUNCH}),
            jobs=tuple(rule.jobs),
        )
        for number, rule in enumerate(settings.run_requests)
    ]
    host += [
        Rule(
            declared_by=HOST,
            place=f"[policy.default] {action.value}",
            sources=("*",),
            targets=("*",),
            actions=frozenset({action}),
            allow=getattr(settings.default, action.value) == "allow",
            is_default=True,
        )
        for action in Action
    ]
    return Policies(
        host=tuple(host),
        locations={
            name: tuple(_of_location(name, policy)) for name, policy in sorted(declared.items())
        },
        reads_declared=settings.default.read == "declared",
    )


def decide(
    policies: Policies,
    source: str,
    target: str,
    action: Action,
    subject: Subject = WHOLE,
    *,
    is_declared: bool = False,
) -> Decision:
    """Return whether a location may do something, and why.

    Args:
        policies: All rules.
        source: The location that would do it.
        target: The location whose thing it is; empty for what belongs to nobody.
        action: What it would do.
        subject: The thing.
        is_declared: Whether its definitions say that it watches or depends on it, for reading.
    """
    if source == target or not target:
        whose = "its own" if target else "what no location makes"
        return _allowed(f"Location {source!r} may do anything with {whose}.")
    case = _Case(source, target, action, subject)
    by_host = _first(policies.host, case)
    if by_host is None or not by_host.allow:
        declared = by_host is not None and by_host.is_default and policies.reads_declared
        if not (declared and action is Action.READ and is_declared):
            return _denied(case, by_host, policies)
    by_location = _first(policies.locations.get(target, ()), case)
    if by_location is not None and not by_location.allow:
        return _denied(case, by_location, policies)
    of_host = "it is declared" if by_host is None or not by_host.allow else f"{by_host.place}"
    of_location = "nothing against it" if by_location is None else f"allowed by {by_location.place}"
    return _allowed(
        f"Location {source!r} may {_VERBS[action]} {subject.text} of location {target!r}: the host "
        f"allows it ({of_host}), and so does {target!r} ({of_location}).",
    )


def matches(text: str, pattern: str) -> bool:
    """Return whether a text fits a pattern, in which `*` stands for any text."""
    if "*" not in pattern:
        return text == pattern
    first, *middle, last = pattern.split("*")
    position, end = len(first), len(text) - len(last)
    if position > end or not text.startswith(first) or not text.endswith(last):
        return False
    # The earliest place is as good as any: no pattern takes longer than the text is long.
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def _allowed(explanation: str) -> Decision:
    return Decision(allowed=True, declared_by=HOST, explanation=explanation)


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    source: str
    target: str
    action: Action
    subject: Subject


def _first(rules: Sequence[Rule], case: _Case) -> Rule | None:
    fitting = (
        rule for rule in rules if rule.fits(case.source, case.target, case.action, case.subject)
    )
    return next(fitting, None)


def _denied(case: _Case, rule: Rule | None, policies: Policies) -> Decision:
    declared_by = HOST if rule is None else rule.declared_by
    who = "the host's policy" if declared_by == HOST else f"the policy of location {declared_by!r}"
    place = "" if rule is None else f" ({rule.place}{f': {rule.reason}' if rule.reason else ''})"
    return Decision(
        allowed=False,
        declared_by=declared_by,
        explanation=f"Location {case.source!r} may not {_VERBS[case.action]} {case.subject.text} "
        f"of location {case.target!r}: {who} does not allow it{place}. "
        f"{_remedy(case, declared_by, policies)}",
    )


def _remedy(case: _Case, declared_by: str, policies: Policies) -> str:
    if declared_by != HOST:
        return (
            f"Ask the team of {declared_by!r} to allow it in the policy of their Definitions, or "
            "do without."
        )
    what = f', assets = ["{"/".join(case.subject.asset)}"]' if case.subject.asset else ""
    what = f', jobs = ["{case.subject.job}"]' if case.subject.job else what
    hint = ""
    if case.action is Action.READ and policies.reads_declared:
        hint = " Or let the location declare it: watch it with a sensor, or depend on it."
    return (
        f"To allow it, write into the host's settings, above the rules that forbid it: [policy] "
        f'rules = [{{ from = "{case.source}", to = "{case.target}", what = ["{case.action.value}"]'
        f"{what}, allow = true }}].{hint}"
    )


def _of_settings(rule: policy_settings.Rule, number: int) -> Rule:
    return Rule(
        declared_by=HOST,
        place=f"[policy] rules[{number}]",
        sources=(rule.source,),
        targets=(rule.target,),
        actions=frozenset(map(Action, rule.what)) or frozenset(Action),
        assets=tuple(rule.assets),
        jobs=tuple(rule.jobs),
        allow=rule.allow,
        reason=rule.reason,
    )


def _of_location(name: str, policy: policies_pb2.LocationPolicy) -> Iterator[Rule]:
    for number, rule in enumerate(policy.rules):
        # An action that this release does not know is nothing that it could let anybody do.
        actions = frozenset(ACTIONS[each] for each in rule.actions if each in ACTIONS)
        if rule.actions and not actions:
            continue
        yield Rule(
            declared_by=name,
            place=f"rule {number + 1} of {name}",
            sources=tuple(rule.from_locations),
            targets=(name,),
            actions=actions or frozenset(Action),
            assets=tuple(rule.assets),
            jobs=tuple(rule.jobs),
            allow=rule.allow,
            reason=rule.reason,
        )


DEFAULT = of(policy_settings.DEFAULT, {})
"""What holds where nobody said anything."""
