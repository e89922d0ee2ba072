"""Collects what new definitions are compared with, from the registry and from storage.

Called by the impact servicer. Reads bounded amounts; nothing changes.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from atoll_host.alerts import rules as alert_rules
from atoll_host.impact import comparing, findings, partition_changes, world
from atoll_host.locations import definitions
from atoll_host.locations import registry as registries
from atoll_host.policy import policy_settings
from atoll_storage import database, records

KEYS_MAX = 10_000
"""So many materialized partitions of an asset are looked at, the first by key."""


_NOTHING = definitions.decode("", b"")


class Registry(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def owners(self) -> Mapping[world.Path, str]:
        """Return the owner of each asset."""
        ...


class Impact:
    """Tells what new definitions would bring about."""

    def __init__(
        self,
        store: database.Database,
        registry: Registry,
        policy: policy_settings.PolicySettings,
        alerts: alert_rules.AlertSettings,
    ) -> None:
        self._store = store
        self._registry = registry
        self._policy = policy
        self._alerts = alerts

    async def of(
        self, location_name: str, new: definitions.Definitions
    ) -> tuple[str, list[findings.Finding]]:
        """Return the build that they were compared with, empty for none, and what they bring about.

        Args:
            location_name: The location.
            new: What it would define.
        """
        views = dict(self._registry.locations())
        view = views.get(location_name)
        # Of a location that is new, whatever it defines is new.
        old = _NOTHING if view is None or view.sent is None else view.sent
        build_id = (
            "" if view is None or view.sent is None or not view.build else view.build.build_id
        )
        known = world.World(
            location_name=location_name,
            old=old,
            new=new,
            others={
                name: each.definitions
                for name, each in views.items()
                if name != location_name and each.definitions is not None
            },
            sent={
                name: each.sent
                for name, each in views.items()
                if name != location_name and each.sent is not None
            },
            owners=self._registry.owners(),
            settings=self._policy,
            alerts=self._alerts.rules,
            kept_sensors=await self._kept_sensors(location_name),
            kept_schedules=await self._kept_schedules(location_name),
            dynamic_keys=await self._dynamic_keys(old, new),
        )
        known = await self._with_lost_keys(known)
        return build_id, await asyncio.to_thread(comparing.compare, known)

    async def _kept_sensors(self, location_name: str) -> frozenset[str]:
        return frozenset(
            state.key.sensor_name
            for state in await self._store.sensors.states()
            if state.key.location_name == location_name
        )

    async def _kept_schedules(self, location_name: str) -> frozenset[str]:
        return frozenset(
            state.key.schedule_name
            for state in await self._store.schedules.states()
            if state.key.location_name == location_name
        )

    async def _dynamic_keys(
        self, old: definitions.Definitions, new: definitions.Definitions
    ) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in sorted(old.partitions.dynamic_names - new.partitions.dynamic_names):
            keys, _ = await self._store.partitions.page(name, limit=KEYS_MAX)
            found[name] = len(keys)
        return found

    async def _with_lost_keys(self, known: world.World) -> world.World:
        lost: dict[world.Path, tuple[str, ...]] = {}
        for path in await asyncio.to_thread(partition_changes.changed, known):
            query = records.AssetPartitionQuery(path=path, materialized=True)
            stored, _ = await self._store.assets.partitions(query, limit=KEYS_MAX)
            keys = [each.partition for each in stored if each.partition]
            lost[path] = await asyncio.to_thread(partition_changes.lost, known, path, keys)
        return world.with_lost_keys(known, lost)
