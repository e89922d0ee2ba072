"""Composes a host out of its services, starts them in order and stops them in reverse.

Called by `commands` and by tests. Nothing here decides anything: this is the one module that knows
all parts.

    Postgres (embedded or the user's) <- Database <- changes <- registry <- intake, sessions
                                                             <- launcher, run watcher, dispatcher
                                                             <- gRPC server, last in, first out
"""

import asyncio
import contextlib
import dataclasses
import importlib.metadata
import logging
import secrets
import socket
import uuid
from collections.abc import Callable

from atoll._rpc import addresses, reasons
from atoll._rpc import errors as rpc_errors
from atoll._rpc import serving as rpc_serving
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import postgres, services
from atoll_host import settings as host_settings
from atoll_host.access import (
    engine,
    first_token,
    gate,
    granting,
    people,
    provider_keys,
    run_credentials,
    runs_at_work,
    subjects,
    verifying,
)
from atoll_host.alerts import leading as alert_terms
from atoll_host.alerts import secret_values
from atoll_host.api import backfilling, dry_runs, feeds, run_streams, slices, watching
from atoll_host.api import reporting as outside_reporting
from atoll_host.audit import recording
from atoll_host.automation import dispatching, terms
from atoll_host.automation.backfills import leading as backfill_terms
from atoll_host.automation.conditions import leading as condition_terms
from atoll_host.automation.freshness import leading as freshness_terms
from atoll_host.automation.schedules import leading as schedule_terms
from atoll_host.automation.sensors import leading as sensor_terms
from atoll_host.http import application as http_application
from atoll_host.http import listening as http_listening
from atoll_host.http import pages, passing, readiness
from atoll_host.impact import collecting
from atoll_host.instance import asset_definitions, dynamic_partitions, queries, reporting
from atoll_host.instance import backfills as instance_backfills
from atoll_host.instance import freshness as instance_freshness
from atoll_host.instance import runs as instance_runs
from atoll_host.intake import appending
from atoll_host.locations import registry as registries
from atoll_host.locations import sessions as location_sessions
from atoll_host.policy import reading
from atoll_host.retention import leading as retention_terms
from atoll_host.retention import sweeping
from atoll_host.runs import known_assets, launching, retrying
from atoll_host.runs import pools as run_pools
from atoll_host.runs import watching as run_watching
from atoll_host.servicers import (
    access,
    alerts,
    assets,
    audit,
    backfills,
    builds,
    checks,
    conditions,
    events,
    freshness,
    graph,
    impact,
    instance,
    jobs,
    locations,
    mesh,
    partitions,
    policy,
    pools,
    reports,
    retention,
    runs,
    schedules,
    sensors,
    server_limits,
    serving,
    subscriptions,
)
from atoll_host.subscriptions import leading as subscription_terms
from atoll_host.subscriptions import subscribing
from atoll_host.tls import securing
from atoll_host.webhooks import listening, receiving
from atoll_storage import database

_log = logging.getLogger(__name__)

POSTGRES_DIR_NAME = "postgres"
_SERVER_GRACE_S = 0.3


class Host:
    """One host. Start it once, stop it once.

    Attributes:
        host_id: Identifies this process; made anew at every start.
        version: The version of the distribution.
    """

    def __init__(self, settings: host_settings.Settings, clock: clocks.Clock | None = None) -> None:
        """Make a host that does nothing yet.

        Args:
            settings: What it is told.
            clock: Where its services get the time from.
        """
        self._settings = settings
        self._clock = clock or clocks.SystemClock()
        self._parts: Parts | None = None
        self._exits = contextlib.AsyncExitStack()
        self.host_id = str(uuid.uuid4())
        self.version = importlib.metadata.version("atoll-host")

    @property
    def address(self) -> str:
        """Where the host listens, as host:port. Known once it is started."""
        return self.parts.server.address

    @property
    def parts(self) -> "Parts":
        """The services of a started host."""
        if self._parts is None:
            raise RuntimeError("the host was not started yet")
        return self._parts

    async def start(self) -> None:
        """Bring up Postgres if need be, migrate it, start every service, and listen.

        Raises:
            atoll._rpc.errors.RpcError: The address cannot be listened on.
            errors.SettingsError: A secret that rules for alerts name is not there.
            atoll_storage.errors.StorageError: Postgres cannot be used.
        """
        tls = securing.Tls(self._settings.tls)
        _check_port_free(self._settings.listen)
        secret_values.check(self._settings.alerts)
        try:
            store = await self._open_store()
            if self._settings.access.required and self._settings.access.first_token:
                await first_token.ensure(store.access, self._settings.data_dir)
            run_key = await store.access.signing_key(
                run_credentials.KEY_NAME, secrets.token_bytes(run_credentials.KEY_BYTES)
            )
            known = Identity(self.host_id, self.version, run_key, tls)
            parts = Parts(self._settings, store, self._clock, known)
            group = services.ServiceGroup("host", parts.services)
            await group.start()
            self._exits.push_async_callback(group.stop)
            self._parts = parts
        except BaseException:
            await self._exits.aclose()
            raise
        _log.info(
            "host started",
            extra={"action": "host_started", "address": self.address, "host_id": self.host_id},
        )

    async def stop(self) -> None:
        """Stop every service, the database and an embedded Postgres. Repeating does nothing."""
        await self._exits.aclose()

    async def _open_store(self) -> database.Database:
        url = self._settings.database_url
        if not url:
            folder = self._settings.data_dir / POSTGRES_DIR_NAME
            keeper = postgres.Keeper(folder, self._clock)
            await keeper.start()
            self._exits.push_async_callback(keeper.stop)
            url = keeper.url
        store = await database.Database.connect(url, pool_size=self._settings.database_pool_size)
        self._exits.push_async_callback(store.close)
        await store.migrate()
        return store


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who a host is to others.

    Attributes:
        host_id: Identifies its process.
        version: The version of the distribution.
        run_key: What it signs credentials of runs with, as all hosts of the mesh do.
        tls: Its certificates.
    """

    host_id: str
    version: str
    run_key: bytes = dataclasses.field(repr=False)
    tls: securing.Tls = securing.NO_TLS


class Parts:
    """The services of one host, made and wired but not started.

    Attributes:
        version: The version of the distribution.
        servicers: What answers calls, over gRPC and over HTTP.
        gate: What stands round every call, over gRPC or HTTP.
    """

    def __init__(
        self,
        settings: host_settings.Settings,
        store: database.Database,
        clock: clocks.Clock,
        known: Identity,
    ) -> None:
        """Make and wire the services."""
        self.store = store
        self.version = known.version
        self.changes = host_changes.Changes(store)
        self.feed = feeds.Feed(store.events, self.changes)
        self.registry = registries.Registry(
            store.locations,
            self.changes,
            clock,
            lease_ttl_s=settings.lease_ttl_s,
            secured=known.tls.locations,
            policy=settings.policy,
        )
        self.intake = appending.Intake(store.events)
        self.sessions = location_sessions.Sessions(
            store,
            self.registry,
            self.changes,
            clock,
            host_id=known.host_id,
            lease_ttl_s=settings.lease_ttl_s,
        )
        self._at_work = runs_at_work.RunsAtWork(known.run_key, store.runs, store.locations, clock)
        self.launcher = launching.Launcher(
            store.runs,
            self.registry,
            self.changes,
            clock,
            launching.Limits(settings.claim_limits()),
            launching.Baggage(
                known_assets.KnownAssets(self.registry, store.events), self._at_work.credential
            ),
        )
        self.run_watcher = run_watching.Watcher(
            store,
            self.registry,
            self.launcher,
            self.changes,
            clock,
            run_watching.Patience(settings.run_orphan_timeout_s, settings.runs.max_runtime_s),
        )
        self.pools = run_pools.Pools(store.pools, self.changes, settings.pools)
        self.retrier = retrying.Retrier(store.retries, self.changes, settings.runs)
        self.sweeper = sweeping.Sweeper(store, self.registry, clock, settings.retention)
        self.dispatcher = dispatching.Dispatcher(store, clock, self._terms(settings, clock))
        self.registry.on_registered(self.run_watcher.registered)
        self.servicers = self._servicers(settings, clock)
        self.gate, self.provider_keys = self._gate(settings, clock)
        self.webhooks = self._webhook_listener(settings, clock, known.tls)
        self.server = serving.server(
            settings.listen,
            version=known.version,
            instance_id=known.host_id,
            servicers=self.servicers,
            through=self.gate,
            security=known.tls.grpc_security(),
        )
        self.http = self._http_listener(settings, clock, known.tls)

    @property
    def services(self) -> tuple[services.Service, ...]:
        """All of them, in the order of their start."""
        return (
            self.changes,
            self.feed,
            self.registry,
            self.intake,
            self.sessions,
            self.launcher,
            self.run_watcher,
            self.pools,
            self.retrier,
            self.dispatcher,
            self.webhooks,
            self.http,
            *self.provider_keys,
            _Serving(self.server),
        )

    def _terms(
        self, settings: host_settings.Settings, clock: clocks.Clock
    ) -> dict[str, Callable[[], terms.Term]]:
        """Return what makes the term of each kind of automation, once each hears of locations."""
        around = (self.store, self.registry, self.changes, clock)
        sensors_around = sensor_terms.Surroundings(*around)
        schedules_around = schedule_terms.Surroundings(*around)
        backfills_around = backfill_terms.Surroundings(*around)
        conditions_around = condition_terms.Surroundings(*around)
        self.registry.on_registered(sensors_around.enroll)
        self.registry.on_registered(schedules_around.enroll)
        freshness_around = freshness_terms.Surroundings(*around)
        alerts_around = alert_terms.Surroundings(*around, settings.alerts)
        return {
            "alerts": lambda: alert_terms.Term(alerts_around),
            "freshness": lambda: freshness_terms.Term(freshness_around),
            "retention": lambda: retention_terms.Term(
                self.sweeper, clock, every_s=settings.retention.sweep_every_s
            ),
            "sensors": lambda: sensor_terms.Term(
                sensors_around,
                tick_timeout_s=settings.tick_timeout_s,
                policy=settings.policy,
            ),
            "schedules": lambda: schedule_terms.Term(
                schedules_around,
                tick_timeout_s=settings.tick_timeout_s,
                settings=settings.schedules,
            ),
            "conditions": lambda: condition_terms.Term(
                conditions_around, tick_timeout_s=settings.tick_timeout_s
            ),
            "subscriptions": lambda: subscription_terms.Term(
                self.store, self.changes, clock, settings.subscriptions
            ),
            "backfills": lambda: backfill_terms.Term(backfills_around, settings.backfills),
        }

    def _gate(
        self, settings: host_settings.Settings, clock: clocks.Clock
    ) -> tuple[gate.Gate, tuple[provider_keys.ProviderKeys, ...]]:
        store, oidc = self.store, settings.access.oidc
        keys = provider_keys.of(oidc, clock)
        known = None if oidc is None else people.People(oidc, keys[0], clock)
        checks = engine.Engine(
            settings.access,
            verifying.Verifier(store.access, self.changes, clock),
            subjects.Subjects(self.registry.graph, store.runs, store.backfills),
            self._at_work,
            known,
        )
        return gate.Gate(checks, recording.Recorder(store.audit, clock, serving.reason_of)), keys

    def _webhook_listener(
        self, settings: host_settings.Settings, clock: clocks.Clock, tls: securing.Tls
    ) -> listening.Listener:
        receiver = receiving.Receiver(
            self.store.webhooks, self.registry, self.changes, clock, settings.webhooks
        )
        return listening.Listener(receiver, settings.webhooks, tls)

    def _http_listener(
        self, settings: host_settings.Settings, clock: clocks.Clock, tls: securing.Tls
    ) -> http_listening.Listener:
        services = serving.of_api(self.servicers)
        served = http_application.Served(
            services,
            passing.Through(self.gate),
            serving.ERROR_TABLE,
            readiness.Readiness(self.store, clock),
            pages.routes(
                services,
                version=self.version,
                credentials_required=settings.access.required,
            ),
        )
        grpc_is_default = settings.listen == host_settings.DEFAULT_LISTEN
        return http_listening.Listener(
            settings.http.address(grpc_is_default=grpc_is_default), served, settings.http, tls
        )

    def _servicers(
        self, settings: host_settings.Settings, clock: clocks.Clock
    ) -> serving.Servicers:
        store = self.store
        watches = watching.Watching(store.events, self.feed, clock)
        rules = dry_runs.Rules(settings.tick_timeout_s, settings.schedules, settings.policy)
        dry = dry_runs.DryRuns(store, self.registry, clock, rules)
        dynamic = dynamic_partitions.DynamicPartitions(store.partitions)
        known = slices.Slices(self.registry)
        may_read = reading.Reading(self.registry)
        return serving.Servicers(
            mesh=mesh.MeshServicer(
                self.sessions, self.intake, store.outputs, self._at_work, self.changes
            ),
            instance=self._instance_servicer(dynamic, may_read),
            locations=locations.LocationsServicer(self.registry),
            assets=assets.AssetsServicer(store, self.registry, known, clock),
            checks=checks.ChecksServicer(self.registry, store.checks),
            runs=runs.RunsServicer(
                store,
                self.registry,
                settings,
                run_streams.RunStreams(store, watches, self.changes, clock),
            ),
            sensors=sensors.SensorsServicer(
                store, self.registry, self.changes, lambda: self.webhooks.address, dry
            ),
            schedules=schedules.SchedulesServicer(
                store.schedules, self.registry, self.changes, clock, dry
            ),
            events=events.EventsServicer(store.events, watches),
            partitions=partitions.PartitionsServicer(
                dynamic, self.registry, store.condition_facts, clock
            ),
            conditions=conditions.ConditionsServicer(
                store.conditions, store.sensors, self.registry
            ),
            backfills=backfills.BackfillsServicer(
                backfilling.Backfilling(store, self.registry, self.changes, clock), store.backfills
            ),
            freshness=freshness.FreshnessServicer(store, self.registry, clock),
            retention=retention.RetentionServicer(
                store.retention, self.sweeper, settings.retention
            ),
            alerts=alerts.AlertsServicer(store.alerts, settings.alerts, clock),
            subscriptions=subscriptions.SubscriptionsServicer(
                subscribing.Subscribing(store, self.changes, clock, settings.subscriptions),
                store.subscription_deliveries,
            ),
            pools=pools.PoolsServicer(store.pools, self.registry, settings.pools),
            access=access.AccessServicer(
                granting.Granting(store.access, self.changes, settings.access),
                settings.access.oidc,
            ),
            audit=audit.AuditServicer(store.audit),
            graph=graph.GraphServicer(self.registry, known),
            reports=reports.ReportsServicer(
                outside_reporting.Reporting(store, self.registry, clock)
            ),
            jobs=jobs.JobsServicer(self.registry),
            builds=builds.BuildsServicer(store, self.registry),
            server=server_limits.ServerServicer(
                server_limits.Facts(self.version, serving.FEATURES, settings.active_max)
            ),
            policy=policy.PolicyServicer(self.registry, may_read),
            impact=impact.ImpactServicer(
                collecting.Impact(store, self.registry, settings.policy, settings.alerts)
            ),
        )

    def _instance_servicer(
        self, dynamic: dynamic_partitions.DynamicPartitions, may_read: reading.Reading
    ) -> instance.InstanceServicer:
        """Return what answers user code."""
        store = self.store
        return instance.InstanceServicer(
            instance.Parts(
                queries=queries.InstanceQueries(store),
                runs=instance_runs.RunQueries(store.runs, may_read),
                partitions=dynamic,
                reporting=reporting.Reporting(
                    store,
                    lambda path: self.registry.graph().owner(path),
                    lambda key: self.registry.graph().check_owner(key),
                ),
                backfills=instance_backfills.BackfillQueries(store.backfills),
                freshness=instance_freshness.FreshnessQueries(store.freshness),
                definitions=asset_definitions.AssetDefinitions(self.registry.graph),
                pools=self.pools,
                reading=may_read,
            )
        )


class _Serving:
    """The gRPC server as a service. It starts last: whoever can reach the host finds it ready."""

    name = "grpc server"

    def __init__(self, server: rpc_serving.GrpcServer) -> None:
        self._server = server
        self.started = asyncio.Event()

    async def start(self) -> None:
        await self._server.start()
        self.started.set()

    async def stop(self) -> None:
        await self._server.stop(_SERVER_GRACE_S)


def _check_port_free(listen: str) -> None:
    """Refuse a taken port before anything is started for nothing."""
    address = addresses.parse(listen)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen(1)
        except OSError as error:
            raise rpc_errors.FailedPreconditionError(
                f"{address} cannot be listened on: {error.strerror}. Stop what listens there, or "
                "choose another port with --listen.",
                reason=reasons.PORT_IN_USE,
                metadata={"address": str(address)},
            ) from error
