"""What an instance needs from whoever stores the log.

Implemented in memory by `_instance.ephemeral` and over a socket by the processes of a location.
Typed Python data only: no protobuf, no connection, no user code.
"""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Protocol

from atoll._definitions import events, keys, runs


class AssetEventKind(str, enum.Enum):
    """Chooses between the events of an asset."""

    MATERIALIZATION = "MATERIALIZATION"
    OBSERVATION = "OBSERVATION"


@dataclasses.dataclass(frozen=True, slots=True)
class AssetEventsQuery:
    """A question for events of one asset.

    Attributes:
        key: The asset.
        kind: Which events.
        after_id: Only events after this position; 0 means no bound.
        before_id: Only events before this position; 0 means no bound.
        ascending: Whether the oldest comes first.
        limit: How many at the most.
        partitions: Only these partitions; empty means all.
    """

    key: keys.AssetKey
    kind: AssetEventKind = AssetEventKind.MATERIALIZATION
    after_id: int = 0
    before_id: int = 0
    ascending: bool = False
    limit: int = 100
    partitions: Sequence[str] = ()


class Backend(Protocol):
    """Answers what user code asks of the instance.

    Every method may raise `errors.InstanceUnavailableError`.
    """

    def latest_materializations(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, events.EventLogRecord]:
        """Return the newest materialization of each asset that has one."""
        ...

    def asset_events(self, query: AssetEventsQuery) -> tuple[Sequence[events.EventLogRecord], bool]:
        """Return events of one asset, and whether there are more in the same direction."""
        ...

    def run(self, run_id: str) -> runs.Run | None:
        """Return a run, None where there is none of that id."""
        ...


class RecordingBackend(Backend, Protocol):
    """A backend that also stores: what runs in this process is recorded in it."""

    def record_event(self, event: events.Event) -> events.EventLogRecord:
        """Store an event and return it at its position."""
        ...

    def record_run(self, run: runs.Run) -> None:
        """Store a run or its new status."""
        ...
