"""The connection to a host, for programs that do not await."""

import contextlib
import dataclasses
from collections.abc import Generator

from atoll._rpc import options
from atoll._rpc import tls as rpc_tls
from atoll.client import connection as original
from atoll.client.sync import (
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
    jobs,
    limits,
    locations,
    partitions,
    policy,
    pools,
    reports,
    retention,
    runs,
    schedules,
    sensors,
    subscriptions,
)
from atoll.client.sync import portal as portals
from atoll.rpc.v1 import server_info_pb2


@dataclasses.dataclass(frozen=True)
class Client:
    """A connection to a host that answered the handshake.

    Attributes:
        address: Where the host is.
        server: What it said of itself.
        locations: Code locations.
        assets: The asset graph.
        checks: The checks of assets.
        sensors: Sensors and their ticks.
        schedules: Schedules and their ticks.
        runs: Runs.
        events: The event log.
        partitions: Dynamic partitions.
        conditions: Automation conditions and their evaluations.
        backfills: Backfills.
        freshness: How fresh assets are.
        retention: For how long things are kept.
        alerts: Alerts and who was told.
        pools: Pools and their limits.
        access: Tokens, and who the caller is.
        audit: Who changed what.
        subscriptions: Events that are sent to other services.
        graph: Slices of the asset graph.
        reports: Reports on assets that no run made.
        jobs: Jobs.
        builds: Builds of locations.
        limits: The limits of the host.
        impact: What new definitions of a location would break.
        policy: Who may do what with what other locations make.
    """

    address: str
    server: server_info_pb2.GetServerInfoResponse
    locations: locations.Locations
    assets: assets.Assets
    checks: checks.Checks
    sensors: sensors.Sensors
    schedules: schedules.Schedules
    runs: runs.Runs
    events: events.Events
    partitions: partitions.Partitions
    conditions: conditions.Conditions
    backfills: backfills.Backfills
    freshness: freshness.Freshness
    retention: retention.Retention
    alerts: alerts.Alerts
    pools: pools.Pools
    access: access.Access
    audit: audit.Audit
    subscriptions: subscriptions.Subscriptions
    graph: graph.Graph
    reports: reports.Reports
    jobs: jobs.Jobs
    builds: builds.Builds
    limits: limits.Limits
    impact: impact.Impact
    policy: policy.Policy


@contextlib.contextmanager
def connect(
    address: str,
    *,
    token: str = "",
    tls: rpc_tls.ClientFiles | None = None,
    timeout_s: float = original.CONNECT_TIMEOUT_S,
    deadline_s: float = options.DEFAULT_DEADLINE_S,
) -> Generator[Client, None, None]:
    """Connect to a host, and disconnect at the end.

    Args:
        address: Where it listens, ``host:port``.
        token: What says who calls, sent with each call; empty where the host asks nobody.
        tls: Whom to trust and what to show; None speaks no TLS.
        timeout_s: How long the handshake may take.
        deadline_s: How long a call may take that has no reason for another bound.

    Raises:
        errors.InvalidArgumentError: If the address is none.
        errors.FailedPreconditionError: If a file for TLS cannot be used, or if the token would go
            to another machine without TLS.
        errors.ConnectError: If nothing there is a host that this client can talk to.
    """
    portal = portals.Portal()
    try:
        connecting = original.connect(
            address, token=token, tls=tls, timeout_s=timeout_s, deadline_s=deadline_s
        )
        inner = portal.run(connecting.__aenter__())
        try:
            yield Client(
                address=inner.address,
                server=inner.server,
                locations=locations.Locations(portal, inner.locations),
                assets=assets.Assets(portal, inner.assets),
                checks=checks.Checks(portal, inner.checks),
                sensors=sensors.Sensors(portal, inner.sensors),
                schedules=schedules.Schedules(portal, inner.schedules),
                runs=runs.Runs(portal, inner.runs),
                events=events.Events(portal, inner.events),
                partitions=partitions.Partitions(portal, inner.partitions),
                conditions=conditions.Conditions(portal, inner.conditions),
                backfills=backfills.Backfills(portal, inner.backfills),
                freshness=freshness.Freshness(portal, inner.freshness),
                retention=retention.Retention(portal, inner.retention),
                alerts=alerts.Alerts(portal, inner.alerts),
                pools=pools.Pools(portal, inner.pools),
                access=access.Access(portal, inner.access),
                audit=audit.Audit(portal, inner.audit),
                subscriptions=subscriptions.Subscriptions(portal, inner.subscriptions),
                graph=graph.Graph(portal, inner.graph),
                reports=reports.Reports(portal, inner.reports),
                jobs=jobs.Jobs(portal, inner.jobs),
                builds=builds.Builds(portal, inner.builds),
                limits=limits.Limits(portal, inner.limits),
                impact=impact.Impact(portal, inner.impact),
                policy=policy.Policy(portal, inner.policy),
            )
        finally:
            portal.run(connecting.__aexit__(None, None, None))
    finally:
        portal.close()
