"""What has to be known of everything that runs, to compare new definitions with it. Pure data.

Made by `collecting`; read by everything else in this package.
"""

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from atoll_host.alerts import rules as alert_rules
from atoll_host.locations import definitions
from atoll_host.policy import policy_settings

Path: TypeAlias = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """Everything that runs, and the new definitions.

    Attributes:
        location_name: The location.
        old: What it defines now.
        new: What it would define.
        others: What the other locations define, as far as the policy allows it.
        sent: What they define whatever the policy says.
        owners: The location that owns each asset now.
        settings: The host's side of the policy.
        alerts: The rules for alerts.
        kept_sensors: Its sensors that remember something.
        kept_schedules: Its schedules that remember something.
        lost_keys: Materialized partitions that the new definitions have no more, by asset.
        dynamic_keys: How many keys there are, by the name of a dynamic partitions definition.
    """

    location_name: str
    old: definitions.Definitions
    new: definitions.Definitions
    others: Mapping[str, definitions.Definitions]
    sent: Mapping[str, definitions.Definitions]
    owners: Mapping[Path, str]
    settings: policy_settings.PolicySettings = policy_settings.DEFAULT
    alerts: tuple[alert_rules.Rule, ...] = ()
    kept_sensors: frozenset[str] = frozenset()
    kept_schedules: frozenset[str] = frozenset()
    lost_keys: Mapping[Path, tuple[str, ...]] = dataclasses.field(
        default_factory=dict[Path, tuple[str, ...]]
    )
    dynamic_keys: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])

    def owned_by(self, defined: definitions.Definitions) -> frozenset[Path]:
        """Return the assets that the location makes with some definitions of it."""
        mine = self.location_name
        return frozenset(path for path in defined.executable if self.owners.get(path, mine) == mine)

    def owner_after(self, path: Path) -> str:
        """Return the location that would own an asset; empty for none."""
        owner = self.owners.get(path, "")
        if owner in {"", self.location_name}:
            if path in self.new.executable:
                return self.location_name
            takers = (name for name, each in sorted(self.others.items()) if path in each.executable)
            return next(takers, "")
        return owner


def with_lost_keys(known: World, lost: Mapping[Path, tuple[str, ...]]) -> World:
    """Return the same with the materialized partitions that would be none any more."""
    return dataclasses.replace(known, lost_keys=lost)
