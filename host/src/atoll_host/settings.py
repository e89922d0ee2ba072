"""The settings of a host, checked before anything starts.

Made by the commands and by tests; read by `host` and the services. The database URL can hold a
password: it comes from the environment, never from a command line, and is left out of the
representation.
"""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping

from atoll._rpc import addresses
from atoll._rpc import errors as rpc_errors
from atoll_host import errors
from atoll_host.access import access_settings
from atoll_host.alerts import rules
from atoll_host.automation.backfills import settings as backfill_settings
from atoll_host.automation.schedules import settings as schedule_settings
from atoll_host.http import http_settings
from atoll_host.policy import policy_settings
from atoll_host.retention import ages
from atoll_host.runs import pool_settings, queue_settings, run_settings
from atoll_host.subscriptions import subscription_settings
from atoll_host.tls import tls_settings
from atoll_host.webhooks import webhook_settings
from atoll_storage import queue_records

DATABASE_URL_VARIABLE = "ATOLL_DATABASE_URL"
DEFAULT_LISTEN = "127.0.0.1:4700"

_RANGES: Mapping[str, tuple[float, float]] = {
    "database_pool_size": (2, 100),
    "active_max": (1, 100_000),
    "active_per_location_max": (1, 100_000),
    "lease_ttl_s": (0.2, 3600),
    "run_orphan_timeout_s": (1, 7 * 86_400),
    "tick_timeout_s": (0.1, 600),
    "stop_deadline_s": (0.1, 600),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a host may be told.

    Attributes:
        listen: Where to listen, as host:port; port 0 takes any free one.
        data_dir: Where the embedded Postgres keeps its data; unused with `database_url`.
        database_url: A Postgres server of the user's; empty means the embedded one.
        database_pool_size: How many connections the host holds at the most, besides those it
            listens on.
        active_max: How many runs may be active at once.
        active_per_location_max: How many of them in one location.
        lease_ttl_s: How long a code server counts as there after its last ping.
        run_orphan_timeout_s: How long a run outlives its code server before it fails.
        tick_timeout_s: How long user code may take for one tick.
        schedules: How schedules are evaluated.
        stop_deadline_s: How long the host may take to stop before what is left is abandoned.
        backfills: The bounds of backfills.
        retention: For how long each kind of thing is kept.
        alerts: What to tell people, and how.
        policy: What locations may do with what others make.
        webhooks: Where and how webhooks are taken.
        subscriptions: Where events may be sent, and how hard to try.
        queue: Limits of the queue besides the two above.
        pools: How pools work.
        runs: How runs that fail or go on for too long are looked after.
        http: Where and how the API is served over HTTP.
        access: Who may call.
        tls: The certificates of the host, and those that it asks for.
    """

    listen: str = DEFAULT_LISTEN
    data_dir: pathlib.Path = pathlib.Path(".atoll")
    database_url: str = dataclasses.field(default="", repr=False)
    database_pool_size: int = 8
    active_max: int = 25
    active_per_location_max: int = 10
    lease_ttl_s: float = 10.0
    run_orphan_timeout_s: float = 300.0
    tick_timeout_s: float = 60.0
    schedules: schedule_settings.ScheduleSettings = dataclasses.field(
        default_factory=schedule_settings.ScheduleSettings
    )
    stop_deadline_s: float = 15.0
    backfills: backfill_settings.BackfillSettings = dataclasses.field(
        default_factory=backfill_settings.BackfillSettings
    )
    retention: ages.RetentionSettings = dataclasses.field(default_factory=ages.RetentionSettings)
    alerts: rules.AlertSettings = dataclasses.field(default_factory=rules.AlertSettings)
    policy: policy_settings.PolicySettings = policy_settings.DEFAULT
    webhooks: webhook_settings.WebhookSettings = webhook_settings.DEFAULT
    subscriptions: subscription_settings.SubscriptionSettings = subscription_settings.DEFAULT
    queue: queue_settings.QueueSettings = queue_settings.DEFAULT
    pools: pool_settings.PoolSettings = pool_settings.DEFAULT
    runs: run_settings.RunSettings = run_settings.DEFAULT
    http: http_settings.HttpSettings = http_settings.DEFAULT
    access: access_settings.AccessSettings = access_settings.DEFAULT
    tls: tls_settings.TlsSettings = tls_settings.DEFAULT

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            errors.SettingsError: One is malformed or out of bounds.
        """
        for field in dataclasses.fields(self):
            check(field.name, getattr(self, field.name))
        if not self.access.required and not addresses.parse(self.listen).is_loopback:
            raise errors.SettingsError(
                f"access: required is false, and {self.listen} can be reached from other machines. "
                "Ask for credentials there, or listen on loopback.",
                setting="access",
            )
        listening = addresses_of(self.listen, self.webhooks, self.http)
        for setting, problem in listening_problems(listening, self.tls):
            raise errors.SettingsError(f"{setting}: {problem}", setting=setting)

    def claim_limits(self) -> queue_records.ClaimLimits:
        """Return the limits of the queue, as storage knows them."""
        of_runs = self.pools.granularity == "run"
        return queue_records.ClaimLimits(
            active_max=self.active_max,
            active_per_location_max=self.active_per_location_max,
            locations=self.queue.locations,
            jobs=self.queue.jobs,
            tags=tuple(
                queue_records.TagLimit(rule.key, rule.value, rule.limit, rule.per_unique_value)
                for rule in self.queue.tags
            ),
            pools=queue_records.PoolLimits(self.pools.default_limit) if of_runs else None,
        )


def check(setting: str, value: object) -> None:
    """Check one value, of the type that it should have.

    Raises:
        errors.SettingsError: It is malformed or out of bounds.
    """
    if setting == "listen":
        try:
            addresses.parse(str(value))
        except rpc_errors.InvalidArgumentError as error:
            raise errors.SettingsError(f"listen: {error.message}", setting=setting) from error
    if setting == "database_url" and value:
        _check_database_url(str(value))
    if setting in _RANGES and isinstance(value, int | float):
        low, high = _RANGES[setting]
        if not low <= value <= high:
            raise errors.SettingsError(
                f"{setting} is {value}; it must be from {low} to {high}.", setting=setting
            )


def addresses_of(
    listen: str, webhooks: webhook_settings.WebhookSettings, http: http_settings.HttpSettings
) -> dict[str, str]:
    """Return where a host listens, by setting; empty means nowhere."""
    return {
        "listen": listen,
        "webhooks.listen": webhooks.listen,
        "http.listen": http.address(grpc_is_default=False),
    }


def listening_problems(
    listening: Mapping[str, str], tls: tls_settings.TlsSettings
) -> Iterator[tuple[str, str]]:
    """Yield which addresses cannot be listened on without TLS, and what to do.

    Args:
        listening: Where the host listens, by setting; empty means nowhere.
        tls: Whether there is TLS.
    """
    for setting, address in listening.items():
        problem = tls_settings.check_listening(address, tls) if address else None
        if problem is not None:
            yield setting, f"{problem} The certificate of a host is named in [tls]."


def database_url_of(environment: Mapping[str, str] | None = None) -> str:
    """Return the database URL of the environment, empty when there is none."""
    values = os.environ if environment is None else environment
    return values.get(DATABASE_URL_VARIABLE, "").strip()


def _check_database_url(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise errors.SettingsError(
            f"{DATABASE_URL_VARIABLE} does not begin with postgresql://. Write "
            "postgresql://user:password@server:5432/database, or unset it for the embedded "
            "Postgres.",
            setting="database_url",
        )
