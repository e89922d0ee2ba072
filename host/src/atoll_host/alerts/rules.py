"""The rules for alerts: the section `alerts` of the host's settings, checked before all else.

Read by everything else in this package. No secret stands in it: where one is needed, the name of an
environment variable or of a file does.
"""

import datetime as dt
import enum
import re
import urllib.parse
from typing import Annotated, Any, Literal, Self

import pydantic

from atoll_host.alerts import templates

_LENGTH = re.compile(r"\s*(\d{1,6})\s*(s|m|h|d)\s*")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _read_length(value: Any) -> Any:
    found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if found is not None:
        return dt.timedelta(seconds=int(found[1]) * _UNITS_S[found[2]])
    if isinstance(value, dt.timedelta):
        return value
    raise ValueError('is no length of time. Write such as "90s", "5m", "1h" or "2d".')


Length = Annotated[dt.timedelta, pydantic.BeforeValidator(_read_length)]
_Text = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=200)]
_Variable = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Trigger(enum.StrEnum):
    """What a rule looks for."""

    RUN_FAILURE = "run_failure"
    CHECK_FAILED = "check_failed"
    FRESHNESS = "freshness"
    LOCATION_AWAY = "location_away"
    SENSOR_FAILING = "sensor_failing"
    SCHEDULE_FAILING = "schedule_failing"
    BACKFILL_FAILED = "backfill_failed"
    SUBSCRIPTION_PAUSED = "subscription_paused"


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Webhook(_Part):
    """Tells by a POST of JSON."""

    type: Literal["webhook"]
    url: str = pydantic.Field(default="", description="The address, where it is no secret.")
    url_env: _Variable | None = pydantic.Field(
        default=None, description="The environment variable that holds the address."
    )
    url_file: _Text | None = pydantic.Field(
        default=None, description="The file that holds the address."
    )
    secret_env: _Variable | None = pydantic.Field(
        default=None,
        description="The environment variable that holds the secret which signs messages.",
    )
    secret_file: _Text | None = pydantic.Field(
        default=None, description="The file that holds the secret which signs messages."
    )

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if sum(map(bool, (self.url, self.url_env, self.url_file))) != 1:
            raise ValueError("needs exactly one of url, url_env and url_file.")
        if self.secret_env and self.secret_file:
            raise ValueError("takes secret_env or secret_file, not both.")
        if self.url:
            check_url(self.url)
        return self


class Email(_Part):
    """Tells by e-mail."""

    type: Literal["email"]
    host: _Text = pydantic.Field(description="The SMTP server.")
    port: int = pydantic.Field(default=587, ge=1, le=65_535, description="Its port.")
    tls: Literal["starttls", "tls", "none"] = pydantic.Field(
        default="starttls", description="How the connection is encrypted."
    )
    ca_file: _Text | None = pydantic.Field(
        default=None, description="Certificates to trust; those of the system where none are given."
    )
    user: str = pydantic.Field(default="", description="Who logs in; empty for nobody.")
    password_env: _Variable | None = pydantic.Field(
        default=None, description="The environment variable that holds the password."
    )
    password_file: _Text | None = pydantic.Field(
        default=None, description="The file that holds the password."
    )
    sender: _Text = pydantic.Field(alias="from", description="The address that it comes from.")
    to: tuple[_Text, ...] = pydantic.Field(min_length=1, max_length=50, description="Who gets it.")

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        for address in (self.sender, *self.to):
            if "@" not in address or any(character in address for character in "\r\n,;<>"):
                raise ValueError(f"{address!r} is no e-mail address. Write one such as a@b.org.")
        if self.user and sum(map(bool, (self.password_env, self.password_file))) != 1:
            raise ValueError("has a user: it needs exactly one of password_env and password_file.")
        if self.user and self.tls == "none":
            raise ValueError('would send a password in the clear. Set tls to "starttls" or "tls".')
        return self


Target = Annotated[Webhook | Email, pydantic.Field(discriminator="type")]

_DEFAULTS: dict[Trigger, tuple[str, str]] = {
    Trigger.RUN_FAILURE: (
        "$job failed in $location",
        "Run $run_id of job $job in location $location failed:\n\n$message",
    ),
    Trigger.CHECK_FAILED: (
        "Check $check of $asset did not pass",
        "Check $check of asset $asset did not pass ($severity).\n\n$message",
    ),
    Trigger.FRESHNESS: ("$asset is not fresh: $state", "Freshness of asset $asset: $message"),
    Trigger.LOCATION_AWAY: ("Location $location is away", "Location $location: $message"),
    Trigger.SENSOR_FAILING: (
        "Sensor $sensor of $location fails",
        "Sensor $sensor of location $location: $message",
    ),
    Trigger.SCHEDULE_FAILING: (
        "Schedule $sensor of $location fails",
        "Schedule $sensor of location $location: $message",
    ),
    Trigger.BACKFILL_FAILED: (
        "Backfill $backfill failed",
        "Backfill $backfill ($backfill_id) ended as $state.\n\n$message",
    ),
    Trigger.SUBSCRIPTION_PAUSED: (
        "Subscription $subscription was paused",
        "Nothing is sent to subscription $subscription any more: $message",
    ),
}
_ASSETS = frozenset({Trigger.CHECK_FAILED, Trigger.FRESHNESS})
_TICKS = frozenset({Trigger.SENSOR_FAILING, Trigger.SCHEDULE_FAILING})
_ONLY_FOR: dict[str, frozenset[Trigger]] = {
    "jobs": frozenset({Trigger.RUN_FAILURE}),
    "assets": _ASSETS,
    "groups": _ASSETS,
    "tags": _ASSETS | {Trigger.RUN_FAILURE},
    "severity": frozenset({Trigger.CHECK_FAILED}),
    "states": frozenset({Trigger.FRESHNESS}),
    "longer_than": frozenset({Trigger.LOCATION_AWAY}),
    "in_a_row": _TICKS,
}


class Rule(_Part):
    """What to look for, and whom to tell. Patterns may hold `*` and `?`."""

    name: _Text = pydantic.Field(description="What the rule is called; each has its own.")
    on: Trigger = pydantic.Field(description="What it looks for.")
    locations: tuple[_Text, ...] = pydantic.Field(
        default=(), description="Only these; empty means all."
    )
    jobs: tuple[_Text, ...] = pydantic.Field(default=(), description="Only these; empty means all.")
    assets: tuple[_Text, ...] = pydantic.Field(
        default=(), description="Only assets with such keys, written a/b/c; empty means all."
    )
    groups: tuple[_Text, ...] = pydantic.Field(
        default=(), description="Only assets of these groups; empty means all."
    )
    tags: dict[str, str] = pydantic.Field(
        default_factory=dict[str, str],
        description="Only assets, or runs, that have all of these tags.",
    )
    severity: Literal["warn", "error"] = pydantic.Field(
        default="warn", description="Only checks that are at least so bad."
    )
    states: tuple[Literal["warn", "fail"], ...] = pydantic.Field(
        default=("fail",), min_length=1, description="The states of freshness that are told."
    )
    longer_than: Length = pydantic.Field(
        default=dt.timedelta(minutes=5), description="How long a location has to be away."
    )
    in_a_row: int = pydantic.Field(
        default=3, ge=1, le=50, description="How many ticks in a row have to fail."
    )
    repeat_after: Length = pydantic.Field(
        default=dt.timedelta(hours=1),
        description="The same is told again only after so long; how often it happened meanwhile "
        "is told then.",
    )
    title: str = pydantic.Field(
        default="", max_length=1000, description="The template of the title."
    )
    body: str = pydantic.Field(
        default="", max_length=10_000, description="The template of the text."
    )
    notify: tuple[Target, ...] = pydantic.Field(
        min_length=1, max_length=10, description="Whom to tell."
    )

    @pydantic.field_validator("title", "body")
    @classmethod
    def _check_template(cls, template: str) -> str:
        problem = templates.problem_of(template)
        if problem is not None:
            raise ValueError(problem)
        return template

    @pydantic.model_validator(mode="after")
    def _check_fields(self) -> Self:
        for name, triggers in _ONLY_FOR.items():
            if name in self.model_fields_set and self.on not in triggers:
                meant = ", ".join(sorted(triggers))
                raise ValueError(f"{name} means nothing for {self.on}; it is for {meant}.")
        return self

    @property
    def title_template(self) -> str:
        """The template of the title, that of the trigger where the rule has none."""
        return self.title or _DEFAULTS[self.on][0]

    @property
    def body_template(self) -> str:
        """The template of the text, that of the trigger where the rule has none."""
        return self.body or _DEFAULTS[self.on][1]


class AlertSettings(_Part):
    """The rules, and how hard to try."""

    rules: tuple[Rule, ...] = pydantic.Field(default=(), max_length=200, description="The rules.")
    attempts_max: int = pydantic.Field(
        default=8, ge=1, le=50, description="How often a message is tried before it is given up."
    )
    timeout_s: float = pydantic.Field(
        default=10.0, ge=0.1, le=60.0, description="How long one try may take."
    )
    first_retry_s: float = pydantic.Field(
        default=5.0, ge=0.01, le=3600.0, description="How long to wait after the first failed try."
    )
    longest_retry_s: float = pydantic.Field(
        default=900.0,
        ge=0.01,
        le=86_400.0,
        description="How long to wait between two tries at the most.",
    )

    @pydantic.model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [rule.name for rule in self.rules]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"several rules are called {doubled[0]!r}. Give each its own name.")
        return self

    def rule(self, name: str) -> Rule | None:
        """Return the rule of a name, None where there is none."""
        return next((rule for rule in self.rules if rule.name == name), None)


def check_url(url: str) -> None:
    """Refuse an address that is none for a webhook, without repeating it: it may hold a secret.

    Raises:
        ValueError: It is none.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good or any(character.isspace() for character in url):
        raise ValueError("has an address that is none. Write one such as https://example.org/hook.")


def host_of(url: str) -> str:
    """Return the part of an address that people may see."""
    parts = urllib.parse.urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
