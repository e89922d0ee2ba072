"""What storage takes and gives of limits of the queue and of slots of pools, as plain frozen data.

Called by the host's runs and by the stores.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class TagLimit:
    """How many runs with a tag may be active at once.

    Attributes:
        key: The key of the tag.
        value: Its value; None means any.
        limit: How many.
        per_unique_value: Whether each value has the limit for itself.
    """

    key: str
    value: str | None
    limit: int
    per_unique_value: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many slots pools have; None means that there is no limit.

    Attributes:
        default: Of each pool that has none of its own.
        own: Of the others, by name.
    """

    default: int | None = None
    own: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])

    def of(self, pool: str) -> int | None:
        """Return how many slots a pool has."""
        return self.own.get(pool, self.default)


@dataclasses.dataclass(frozen=True, slots=True)
class SlotRequest:
    """Slots that steps of a run need.

    Attributes:
        run_id: The run.
        attempt: The attempt at it.
        wanted: The pool of each step, by the key of the step.
        withdrawn: Steps that wait no longer, and give back the slots that they may have.
    """

    run_id: str
    attempt: int
    wanted: Mapping[str, str]
    withdrawn: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class SlotAnswer:
    """Which slots a run has.

    Attributes:
        granted: The steps, of those asked for, that have one.
        waiting: The others, with the limits that they wait for.
    """

    granted: frozenset[str]
    waiting: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class SlotRecord:
    """A slot that is taken or waited for; `step_key` is empty where runs take slots."""

    run_id: str
    step_key: str
    location_name: str
    request_time: dt.datetime
    grant_time: dt.datetime | None
    rank: int


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimLimits:
    """How many runs may be active (STARTING, STARTED or CANCELING) at once.

    Attributes:
        active_max: In all.
        active_per_location_max: In each location that has no limit of its own.
        locations: In the others, by name.
        jobs: By ``location/job``.
        tags: By tag.
        pools: By pool, where a run takes a slot of each of its pools; None where it takes none.
            Storage adds the limits that pools have of their own.
    """

    active_max: int
    active_per_location_max: int
    locations: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    jobs: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    tags: tuple[TagLimit, ...] = ()
    pools: PoolLimits | None = None

    def in_location(self, location_name: str) -> int:
        """Return how many runs may be active in a location."""
        return self.locations.get(location_name, self.active_per_location_max)

    @property
    def may_block(self) -> bool:
        """Whether a run may be held up by more than the limits of host and location."""
        return bool(self.jobs or self.tags or self.pools)
