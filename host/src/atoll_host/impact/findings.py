"""One thing that new definitions would bring about, and how bad it is. Pure."""

import dataclasses
import enum


class Severity(enum.IntEnum):
    """How bad something is; the values are those of `api.v1.ImpactSeverity`."""

    NOTE = 1
    RISKY = 2
    BREAKING = 3


class Rule(enum.StrEnum):
    """How something was found. `atoll check --allow` takes the values, so they stay."""

    ASSET_REMOVED = "asset-removed"
    ASSET_GIVEN_UP = "asset-given-up"
    ASSET_TAKEN = "asset-taken"
    PARTITIONS_CHANGED = "partitions-changed"
    MAPPING_MISFIT = "mapping-misfit"
    KEYS_FALL_OUT = "keys-fall-out"
    DYNAMIC_PARTITIONS_RENAMED = "dynamic-partitions-renamed"
    JOB_REMOVED = "job-removed"
    JOB_CONFIG_CHANGED = "job-config-changed"
    JOB_PARTITIONS_CHANGED = "job-partitions-changed"
    CHECK_REMOVED = "check-removed"
    SENSOR_REMOVED = "sensor-removed"
    SCHEDULE_REMOVED = "schedule-removed"
    POLICY_DENIES = "policy-denies"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that new definitions would bring about.

    Attributes:
        severity: How bad it is.
        rule: How it was found.
        subject: What changes, such as "asset sales/orders".
        location_name: Whom it concerns; empty for the host.
        affected: What of theirs, such as "sensor on_orders"; empty for the location as a whole.
        message: What happens, and what to do.
        renamed_to: What the subject is probably called now. A guess.
    """

    severity: Severity
    rule: Rule
    subject: str
    location_name: str
    affected: str
    message: str
    renamed_to: str = ""

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts the worst first, and what belongs together side by side."""
        return (-self.severity, self.rule, self.subject, self.location_name, self.affected)
