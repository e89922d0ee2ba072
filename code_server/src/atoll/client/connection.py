"""The connection to a host: a channel, the handshake, and the parts of the API on it."""

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from typing import Final

from atoll._rpc import addresses, authorization, info, options, serving
from atoll._rpc import tls as rpc_tls
from atoll.client import (
    access,
    alerts,
    assets,
    audit,
    backfills,
    builds,
    calls,
    checks,
    conditions,
    errors,
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
from atoll.rpc.v1 import server_info_pb2

CONNECT_TIMEOUT_S: Final = 5.0


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


@contextlib.asynccontextmanager
async def connect(
    address: str,
    *,
    token: str = "",
    tls: rpc_tls.ClientFiles | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    deadline_s: float = options.DEFAULT_DEADLINE_S,
) -> AsyncGenerator[Client, None]:
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
    target = str(addresses.parse(address))
    secured = None if tls is None else rpc_tls.ClientTls(tls)
    if token:
        authorization.check_protected(target, secured=secured is not None)
    bare = serving.channel(target, secured)
    async with authorization.authorized(bare, token) as channel:
        try:
            server = await info.check_server(
                channel,
                kind=server_info_pb2.SERVER_KIND_HOST,
                peer=target,
                timeout_s=timeout_s,
                secured=secured is not None,
            )
        except errors.RpcError as error:
            raise _connect_error(error, target, timeout_s) from error
        caller = calls.Caller(address=target, deadline_s=deadline_s)
        event_log = events.Events(channel, caller)
        yield Client(
            address=target,
            server=server,
            locations=locations.Locations(channel, caller),
            assets=assets.Assets(channel, caller),
            checks=checks.Checks(channel, caller),
            sensors=sensors.Sensors(channel, caller),
            schedules=schedules.Schedules(channel, caller),
            runs=runs.Runs(channel, caller, event_log),
            events=event_log,
            partitions=partitions.Partitions(channel, caller),
            conditions=conditions.Conditions(channel, caller),
            backfills=backfills.Backfills(channel, caller),
            freshness=freshness.Freshness(channel, caller),
            retention=retention.Retention(channel, caller),
            alerts=alerts.Alerts(channel, caller),
            pools=pools.Pools(channel, caller),
            access=access.Access(channel, caller),
            audit=audit.Audit(channel, caller),
            subscriptions=subscriptions.Subscriptions(channel, caller),
            graph=graph.Graph(channel, caller),
            reports=reports.Reports(channel, caller),
            jobs=jobs.Jobs(channel, caller),
            builds=builds.Builds(channel, caller),
            limits=limits.Limits(channel, caller),
            impact=impact.Impact(channel, caller),
            policy=policy.Policy(channel, caller),
        )


def _connect_error(error: errors.RpcError, target: str, timeout_s: float) -> errors.ConnectError:
    if error.reason == errors.reasons.TLS_FAILED:
        text = error.message
    elif isinstance(error, errors.UnavailableError):
        text = (
            f"No host answers at {target}. Start one with 'atoll host' or 'atoll dev', "
            "or name another with --host or ATOLL_HOST."
        )
    elif isinstance(error, errors.DeadlineExceededError):
        text = (
            f"What listens at {target} did not answer within {timeout_s:g} s. "
            "Check that it is an Atoll host and that it is not overloaded."
        )
    elif error.reason == errors.reasons.UNSUPPORTED:
        text = f"What listens at {target} is no Atoll host. Check the address."
    else:
        text = error.message
    return errors.ConnectError(text, address=target, reason=error.reason)
