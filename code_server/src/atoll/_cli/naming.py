"""Names that a host knows, by what they are of: for shells that complete, and for what was meant.

Used by `completion` and `connection`.
"""

import asyncio
import difflib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from atoll.client import connection, documents, errors

NAMES_MAX: Final = 500
RECENT_MAX: Final = 50
_WITHIN_S: Final = 1.0

Names = Callable[[connection.Client], AsyncIterator[str]]


async def known(client: connection.Client, kind: str) -> set[str]:
    """Return names of a kind, a key of `KINDS`; of what there is much of, the newest only."""
    found: set[str] = set()
    async for name in KINDS[kind](client):
        found.add(name)
        if len(found) >= NAMES_MAX:
            break
    return found


async def meant(client: connection.Client, error: errors.NotFoundError) -> str:
    """Return the name that was probably meant where one is not there; empty for none.

    Args:
        client: A connection to the host.
        error: What the host says is not there.
    """
    kind, field = _NAMED.get(error.reason, ("", ""))
    wrong = error.metadata.get(field, "")
    if not wrong:
        return ""
    try:
        names = await asyncio.wait_for(known(client, kind), _WITHIN_S)
    except (errors.RpcError, asyncio.TimeoutError):
        return ""
    return next(iter(difflib.get_close_matches(wrong, sorted(names), 1)), "")


async def _locations(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.locations.list():
        yield each.name


async def _jobs(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.locations.list():
        for name in (await client.locations.get(each.name)).job_names:
            yield name


async def _assets(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.assets.list():
        yield documents.format_asset_key(each.definition.key)


async def _sensors(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.sensors.list():
        yield each.definition.name


async def _schedules(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.schedules.list():
        yield each.definition.name


async def _runs(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.runs.list(limit=RECENT_MAX):
        yield each.run_id


async def _backfills(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.backfills.list(limit=RECENT_MAX):
        yield each.backfill_id


async def _pools(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.pools.list():
        yield each.name


async def _subscriptions(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.subscriptions.list():
        yield each.name


async def _tokens(client: connection.Client) -> AsyncIterator[str]:
    async for each in client.access.tokens(limit=RECENT_MAX):
        yield each.token_id


KINDS: Final[Mapping[str, Names]] = {
    "locations": _locations,
    "jobs": _jobs,
    "assets": _assets,
    "sensors": _sensors,
    "schedules": _schedules,
    "runs": _runs,
    "backfills": _backfills,
    "pools": _pools,
    "subscriptions": _subscriptions,
    "tokens": _tokens,
}
"""The kinds, each called as the noun of its commands."""

# What of an error holds the name that is not there.
_NAMED: Final[Mapping[str, tuple[str, str]]] = {
    errors.reasons.UNKNOWN_LOCATION: ("locations", "location_name"),
    errors.reasons.UNKNOWN_JOB: ("jobs", "job_name"),
    errors.reasons.UNKNOWN_ASSET: ("assets", "asset_key"),
    errors.reasons.UNKNOWN_SENSOR: ("sensors", "sensor_name"),
    errors.reasons.UNKNOWN_SCHEDULE: ("schedules", "schedule_name"),
    errors.reasons.UNKNOWN_POOL: ("pools", "pool"),
    errors.reasons.UNKNOWN_SUBSCRIPTION: ("subscriptions", "name"),
}
