"""The connection to a host: a channel, the handshake, and the parts of the API on it."""

import contextlib
import dataclasses
from collections.abc import AsyncGenerator
from typing import Final

import grpc.aio

from atoll._rpc import addresses, info, options
from atoll.client import (
    alerts,
    assets,
    backfills,
    calls,
    checks,
    conditions,
    errors,
    events,
    freshness,
    locations,
    partitions,
    pools,
    retention,
    runs,
    schedules,
    sensors,
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


@contextlib.asynccontextmanager
async def connect(
    address: str,
    *,
    timeout_s: float = CONNECT_TIMEOUT_S,
    deadline_s: float = options.DEFAULT_DEADLINE_S,
) -> AsyncGenerator[Client, None]:
    """Connect to a host, and disconnect at the end.

    Args:
        address: Where it listens, ``host:port``.
        timeout_s: How long the handshake may take.
        deadline_s: How long a call may take that has no reason for another bound.

    Raises:
        errors.InvalidArgumentError: If the address is none.
        errors.ConnectError: If nothing there is a host that this client can talk to.
    """
    target = str(addresses.parse(address))
    async with grpc.aio.insecure_channel(target, options=options.CHANNEL) as channel:
        try:
            server = await info.check_server(
                channel, kind=server_info_pb2.SERVER_KIND_HOST, peer=target, timeout_s=timeout_s
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
        )


def _connect_error(error: errors.RpcError, target: str, timeout_s: float) -> errors.ConnectError:
    if isinstance(error, errors.UnavailableError):
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
