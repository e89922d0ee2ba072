"""Storage as a whole: connecting, migrating, and the stores.

The host makes one `Database` for its life. It owns the bounded pool of connections; listeners and
leaderships take a connection of their own beside it. What must not come in: statements; they live
in the stores.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Self

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import (
    access_store,
    alert_store,
    announcing,
    asset_store,
    audit_store,
    backfill_store,
    check_store,
    condition_facts,
    condition_store,
    connections,
    errors,
    event_log,
    freshness_store,
    leadership,
    load_store,
    location_store,
    migrating,
    notifications,
    output_store,
    partition_store,
    pool_store,
    records,
    retention_store,
    retry_store,
    run_deletion,
    run_lookups,
    run_store,
    schedule_store,
    sensor_store,
    subscription_delivery_store,
    subscription_store,
    webhook_store,
)


class Database:
    """A Postgres database that holds the state of one mesh.

    Attributes:
        events: The event log.
        runs: Runs and their queue.
        sensors: Sensor states and ticks.
        schedules: Schedule states and ticks.
        locations: Code servers, snapshots and owners of assets.
        loads: Which builds code servers loaded when.
        outputs: Captured output of steps.
        run_deletion: Deletes runs that somebody asks to be gone.
        run_lookups: Tells which runs there are already.
        checks: Evaluations of asset checks.
        assets: What the log says of assets and their partitions.
        partitions: Dynamic partitions.
        conditions: What is remembered of automation conditions.
        condition_facts: What automation conditions ask of the log.
        backfills: Backfills and their progress.
        freshness: How fresh assets are.
        retention: Takes out what may go.
        alerts: What the rules for alerts found.
        webhooks: Secrets of webhook sensors, and deliveries that wait for them.
        subscriptions: Receivers of events.
        subscription_deliveries: Events on their way to them.
        retries: What was decided about runs that failed.
        pools: Pools and their slots.
        access: Tokens of callers.
        audit: Who changed what.
    """

    def __init__(self, url: sa.URL, engine: sa_asyncio.AsyncEngine) -> None:
        self._announcer = announcing.Announcer()
        self.events = event_log.EventLog(engine, self._announcer)
        self.runs = run_store.RunStore(engine, self._announcer)
        self.sensors = sensor_store.SensorStore(engine, self._announcer)
        self.schedules = schedule_store.ScheduleStore(engine, self._announcer)
        self.locations = location_store.LocationStore(engine, self._announcer)
        self.loads = load_store.LoadStore(engine)
        self.outputs = output_store.OutputStore(engine)
        self.run_deletion = run_deletion.RunDeletion(engine)
        self.run_lookups = run_lookups.RunLookups(engine)
        self.checks = check_store.CheckStore(engine)
        self.assets = asset_store.AssetStore(engine)
        self.partitions = partition_store.PartitionStore(engine, self._announcer)
        self.conditions = condition_store.ConditionStore(engine, self._announcer)
        self.condition_facts = condition_facts.ConditionFacts(engine)
        self.backfills = backfill_store.BackfillStore(engine, self._announcer)
        self.alerts = alert_store.AlertStore(engine)
        self.retention = retention_store.RetentionStore(engine)
        self.freshness = freshness_store.FreshnessStore(engine, self._announcer)
        self.webhooks = webhook_store.WebhookStore(engine, self._announcer)
        self.subscriptions = subscription_store.SubscriptionStore(engine, self._announcer)
        self.subscription_deliveries = subscription_delivery_store.SubscriptionDeliveryStore(
            engine, self._announcer
        )
        self.retries = retry_store.RetryStore(engine, self._announcer)
        self.pools = pool_store.PoolStore(engine)
        self.access = access_store.AccessStore(engine, self._announcer)
        self.audit = audit_store.AuditStore(engine)
        self._url = url
        self._engine = engine

    @classmethod
    async def connect(cls, url: str, *, pool_size: int = 8) -> Self:
        """Connect, and refuse a database that cannot serve.

        A database with an older schema (or none) is accepted, since `migrate` is what brings it up
        to date.

        Args:
            url: Where Postgres is, such as `postgresql://user:password@host:5432/name`.
            pool_size: How many connections the pool may hold.

        Raises:
            StorageUnavailable: Nothing answers there.
            DatabaseRefused: The URL, the credentials, the version of the server or a newer schema.
        """
        parsed = connections.parse_url(url)
        engine = connections.make_engine(parsed, pool_size)
        try:
            try:
                connection = await engine.connect()
            except (psycopg.Error, sa_exc.SQLAlchemyError, OSError) as error:
                raise connections.refused_at_connect(error, parsed) from error
            with connections.translating("looking at the schema"):
                async with contextlib.aclosing(connection):
                    raw = await connections.raw_of(connection)
                    _refuse_old_server(raw.info.server_version, parsed)
                    await migrating.refuse_newer(connection)
        except BaseException:
            await engine.dispose()
            raise
        return cls(parsed, engine)

    async def close(self) -> None:
        """Let the appends under way end, then close all connections."""
        await self.events.close()
        await self._engine.dispose()

    async def migrate(self) -> None:
        """Bring the schema up to date. Two hosts may call it at once.

        Raises:
            DatabaseRefused: The schema is newer than this release.
        """
        async with connections.transaction(self._engine, "migrating the schema") as connection:
            await migrating.upgrade(connection)
        await self.events.ensure_partitions()

    async def ping(self) -> None:
        """Have the database answer.

        Raises:
            StorageUnavailable: It does not.
        """
        async with connections.transaction(self._engine, "asking for an answer") as connection:
            await connection.execute(sa.select(1))

    def on_stored(self, told: announcing.Told) -> None:
        """Have `told` called right after each transaction of this process that wrote to the log."""
        self._announcer.subscribe(told)

    def notifications(
        self, *channels: str
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[records.Notification]]:
        """Listen to channels on a connection of their own, from the moment the context is entered.

        The connection is renewed by itself; a notification of the channel "reconnected" follows
        then. What this very `Database` did is marked as its own.
        """
        return notifications.listening(self._url, channels, self._announcer)

    def leadership(
        self, name: str
    ) -> contextlib.AbstractAsyncContextManager[leadership.Leadership]:
        """Take part in the election of the leader called `name` while the context lasts."""
        return leadership.candidacy(self._url, name)


def _refuse_old_server(version: int, url: sa.URL) -> None:
    oldest = connections.OLDEST_SERVER_VERSION
    if version < oldest:
        raise errors.DatabaseRefused(
            f"The server at {connections.shown(url)} is Postgres {version // 10000}; "
            f"at least {oldest // 10000} is needed. Upgrade it."
        )
