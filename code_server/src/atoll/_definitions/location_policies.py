"""What other locations may do with what a location makes, as its team says it in code.

Called by users, for `Definitions(policy=...)`, and by the snapshot. Who may what is decided by the
host, which also has rules of its own: both have to allow.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

from atoll import _records as records
from atoll import errors
from atoll._definitions import kinds

Action: TypeAlias = Literal["watch", "depend", "launch", "read"]
ACTIONS: tuple[Action, ...] = get_args(Action)

RULES_MAX = 1000
PATTERNS_MAX = 1000


class PolicyRule(records.Record):
    """One rule about what other locations may do. Names are patterns: `*` stands for any text.

    Attributes:
        locations: Whom it is about.
        allow: Whether it allows, or forbids.
        actions: What it is about, of "watch", "depend", "launch" and "read"; empty for all.
        assets: The assets it is about, by key with slashes.
        jobs: The jobs it is about. Where neither assets nor jobs are given, it is about all.
        reason: Why; shown to those that it stops.
    """

    locations: Sequence[str]
    allow: bool
    actions: Sequence[Action] = ()
    assets: Sequence[str] = ()
    jobs: Sequence[str] = ()
    reason: str = ""

    def __init__(
        self,
        locations: Sequence[str],
        *,
        allow: bool,
        actions: Sequence[Action] = (),
        assets: Sequence[str] = (),
        jobs: Sequence[str] = (),
        reason: str = "",
    ) -> None:
        """Check what is given.

        Raises:
            InvalidDefinitionError: Something cannot be.
        """
        kinds.check(allow, bool, "allow of a policy rule", "True or False")
        kinds.check(reason, str, "The reason of a policy rule", "a text")
        chosen = _patterns("locations", locations)
        if not chosen:
            raise errors.InvalidDefinitionError(
                "A policy rule is about no location. Name at least one, or '*' for all."
            )
        unknown = [one for one in _patterns("actions", actions) if one not in ACTIONS]
        if unknown:
            raise errors.InvalidDefinitionError(
                f"A policy rule is about the action {unknown[0]!r}. Give some of "
                f"{', '.join(map(repr, ACTIONS))}, or none for all."
            )
        super().__init__(
            chosen,
            allow,
            tuple(actions),
            _patterns("assets", assets),
            _patterns("jobs", jobs),
            reason,
        )


class LocationPolicy(records.Record):
    """What other locations may do with what this one makes.

    The rules are looked at first, in order: the first that fits decides. Then the lists: a list
    lets the locations that it names, and nobody else. None leaves it to the host.

    Attributes:
        watch: Who may have sensors and conditions hear of what it makes, and of its runs.
        depend: Who may make assets from its assets.
        launch: Whose sensors may ask for runs of its jobs; the host has to allow that as well.
        read: Whose code may ask the instance about its assets and runs.
        rules: Exceptions, for single assets and jobs.

    Example:
        `Definitions(assets=[orders], policy=LocationPolicy(watch=["reports"], launch=[]))`
    """

    watch: Sequence[str] | None = None
    depend: Sequence[str] | None = None
    launch: Sequence[str] | None = None
    read: Sequence[str] | None = None
    rules: Sequence[PolicyRule] = ()

    def __init__(
        self,
        watch: Sequence[str] | None = None,
        depend: Sequence[str] | None = None,
        launch: Sequence[str] | None = None,
        read: Sequence[str] | None = None,
        rules: Sequence[PolicyRule] = (),
    ) -> None:
        """Check what is given.

        Raises:
            InvalidDefinitionError: Something cannot be.
        """
        lists = {"watch": watch, "depend": depend, "launch": launch, "read": read}
        checked = {
            name: None if given is None else _patterns(name, given) for name, given in lists.items()
        }
        kinds.check_each(rules, PolicyRule, "The rules of a policy", "a list of PolicyRule objects")
        if len(rules) > RULES_MAX:
            raise errors.InvalidDefinitionError(
                f"A location policy has {len(rules)} rules; {RULES_MAX} is the most. Use patterns."
            )
        super().__init__(*checked.values(), tuple(rules))

    def in_order(self) -> Sequence[PolicyRule]:
        """Return all that it says as rules, in the order in which they are looked at."""
        found = list(self.rules)
        for action in ACTIONS:
            named = getattr(self, action)
            if named is None:
                continue
            if named:
                found.append(PolicyRule(named, allow=True, actions=[action]))
            told = f"only {', '.join(map(repr, named))} may" if named else "nobody may"
            found.append(PolicyRule(["*"], allow=False, actions=[action], reason=told))
        return found


def _patterns(name: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise errors.InvalidDefinitionError(
            f"The {name} of a policy are a list of texts, got {given!r}. Put it into brackets."
        )
    listed: Sequence[Any] = given  # pyright: ignore[reportUnknownVariableType]
    for one in listed:
        if not isinstance(one, str) or not one:
            raise errors.InvalidDefinitionError(
                f"The {name} of a policy hold {one!r}. Give texts that are not empty."
            )
    if len(listed) > PATTERNS_MAX:
        raise errors.InvalidDefinitionError(
            f"The {name} of a policy are {len(listed)}; {PATTERNS_MAX} is the most. Use patterns."
        )
    return tuple(listed)
