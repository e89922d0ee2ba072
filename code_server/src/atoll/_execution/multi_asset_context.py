"""The context of sensors that watch several assets.

It knows which materializations they have consumed, and which wait.

Called by the evaluation of ticks, and by tests through `build_multi_asset_sensor_context`. The
cursor is a JSON object that holds, for each asset, `[partition, event id, {partition: event id,
...}]`: the newest consumed materialization, and older ones that were passed over and still wait.
Only materializations with a partition can be passed over.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import definitions as all_definitions
from atoll._definitions import events, keys
from atoll._execution import sensor_contexts, watched_partitions
from atoll._instance import instance as instances

UNCONSUMED_MAX = 25
_PAGE_SIZE = 1000
_CURSOR_PARTS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class AssetCursor:
    """How far one asset was consumed.

    Attributes:
        partition: The partition of the newest consumed materialization.
        event_id: Its position in the log; None where nothing was consumed.
        unconsumed: Positions of older materializations that were passed over, by partition.
    """

    partition: str | None = None
    event_id: int | None = None
    unconsumed: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])


class MultiAssetSensorEvaluationContext(sensor_contexts.SensorEvaluationContext):
    """What a function that watches several assets knows of its tick.

    Args:
        surroundings: The tick.
        monitored_assets: The assets that it watches.
    """

    def __init__(
        self,
        surroundings: sensor_contexts.TickSurroundings,
        monitored_assets: Sequence[keys.AssetKey],
    ) -> None:
        super().__init__(surroundings)
        self._monitored = tuple(monitored_assets)
        self._cursors = read_cursor(surroundings.cursor, self._monitored)
        # What was there before the sensor began counts as consumed.
        self._at_start = AssetCursor(event_id=surroundings.start_event_id or None)
        self._partitions = watched_partitions.WatchedPartitions(
            surroundings.sensor_name, surroundings.definitions, surroundings.instance
        )

    @property
    def asset_keys(self) -> Sequence[keys.AssetKey]:
        """The watched assets."""
        return self._monitored

    @property
    def assets_defs_by_key(
        self,
    ) -> Mapping[keys.AssetKey, watched_partitions.Defined | None]:
        """What defines each watched asset: of other locations the spec; None where nobody does."""
        return self._partitions.definitions_of(self._monitored)

    def update_cursor(self, cursor: str | None) -> None:
        """Refuse to set the cursor as a whole.

        Raises:
            InvariantViolationError: Always.
        """
        del cursor
        raise errors.InvariantViolationError(
            "The cursor of a multi-asset sensor is not set as a whole. Call advance_cursor or "
            "advance_all_cursors."
        )

    def latest_materialization_records_by_key(
        self, asset_keys: Sequence[keys.AssetKey] | None = None
    ) -> dict[keys.AssetKey, events.EventLogRecord | None]:
        """Return the newest materialization of each asset that is newer than what was consumed.

        Args:
            asset_keys: The assets; all watched ones where not given.

        Returns:
            The record of each asset, None where there is nothing new.
        """
        chosen = (
            self._monitored if asset_keys is None else [self._watched(key) for key in asset_keys]
        )
        newest = self.instance.get_latest_materialization_records(chosen)
        return {key: self._if_new(key, record) for key, record in newest.items()}

    def materialization_records_for_key(
        self, asset_key: keys.AssetKey, limit: int | None = None
    ) -> list[events.EventLogRecord]:
        """Return the materializations of an asset that were not consumed, oldest first.

        Args:
            asset_key: The asset.
            limit: How many at the most; all where not given.

        Returns:
            The records.
        """
        key = self._watched(asset_key)
        return self._records_after(key, self._consumed(key).event_id or 0, limit)

    def latest_materialization_records_by_partition(
        self,
        asset_key: keys.AssetKey,
        after_cursor_partition: bool | None = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> Mapping[str, events.EventLogRecord]:
        """Return the newest materialization of each partition that has one that was not consumed.

        Args:
            asset_key: The asset.
            after_cursor_partition: Only partitions that come after that of the newest consumed
                materialization, in the order of the asset's partitions.

        Returns:
            The records by partition, in the order of the asset's partitions.

        Raises:
            InvariantViolationError: The asset has no partitions.
        """
        key = self._watched(asset_key)
        consumed = self._consumed(key)
        order = {name: place for place, name in enumerate(self._partitions.keys_of(key))}
        waiting = {
            record.partition_key: record
            for record in self.get_trailing_unconsumed_events(key)
            if record.partition_key is not None
        }
        new = self.instance.get_materialized_partitions(key, after_cursor=consumed.event_id or 0)
        found = {
            **waiting,
            **self.instance.get_latest_partition_materialization_records(key, sorted(new)),
        }
        first = 0
        if after_cursor_partition and consumed.partition in order:
            first = order[consumed.partition] + 1
        chosen = sorted(
            (name for name in found if order.get(name, -1) >= first), key=order.__getitem__
        )
        return {name: found[name] for name in chosen}

    def latest_materialization_records_by_partition_and_asset(
        self,
    ) -> Mapping[str, Mapping[keys.AssetKey, events.EventLogRecord]]:
        """Return the newest materializations that were not consumed, by partition and asset.

        Raises:
            InvariantViolationError: The watched assets do not all have the same partitions.
        """
        first, *others = self._monitored
        partitions_def = self._partitions.partitions_def_of(first)
        for key in others:
            if self._partitions.partitions_def_of(key) != partitions_def:
                raise errors.InvariantViolationError(
                    f"The sensor {self.sensor_name!r} asks for the partitions of all assets that "
                    f"it watches, but those of {key.to_user_string()!r} are not those of "
                    f"{first.to_user_string()!r}. Ask for one asset at a time."
                )
        found: dict[str, dict[keys.AssetKey, events.EventLogRecord]] = {}
        for key in self._monitored:
            for name, record in self.latest_materialization_records_by_partition(key).items():
                found.setdefault(name, {})[key] = record
        return found

    def all_partitions_materialized(
        self, asset_key: keys.AssetKey, partitions: Sequence[str] | None = None
    ) -> bool:
        """Tell whether partitions of an asset were ever materialized, consumed or not.

        Args:
            asset_key: The asset.
            partitions: The partitions; all of the asset where not given.

        Raises:
            InvariantViolationError: The asset has no partitions, or an empty list was given.
        """
        key = self._watched(asset_key)
        if partitions is not None and (isinstance(partitions, str) or not partitions):
            raise errors.InvariantViolationError(
                f"The partitions are {partitions!r}. Give a list of at least one, or leave it out "
                "for all."
            )
        wanted = self._partitions.keys_of(key) if partitions is None else partitions
        return set(wanted) <= self.instance.get_materialized_partitions(key)

    def get_downstream_partition_keys(
        self, partition_key: str, from_asset_key: keys.AssetKey, to_asset_key: keys.AssetKey
    ) -> Sequence[str]:
        """Return the partitions of an asset that need a partition of another.

        Both may be of any location. How their partitions belong together is told by the dependency
        of the second on the first; without one, by what partitions they are.

        Args:
            partition_key: The partition.
            from_asset_key: The asset that it is of.
            to_asset_key: The asset whose partitions are wanted.

        Raises:
            InvariantViolationError: One of the assets has no partitions.
            UnknownPartitionError: There is no such partition.
        """
        return self._partitions.downstream_keys(
            partition_key,
            keys.AssetKey.from_coercible(from_asset_key),
            keys.AssetKey.from_coercible(to_asset_key),
        )

    def get_trailing_unconsumed_events(
        self, asset_key: keys.AssetKey
    ) -> list[events.EventLogRecord]:
        """Return materializations of an asset that were passed over, oldest first."""
        key = self._watched(asset_key)
        waiting = sorted(self._consumed(key).unconsumed.values())
        if not waiting:
            return []
        chosen = events.AssetRecordsFilter(
            key,
            after_storage_id=waiting[0] - 1,
            before_storage_id=waiting[-1] + 1,
            storage_ids=waiting,
        )
        found = self.instance.fetch_materializations(chosen, limit=len(waiting), ascending=True)
        return list(found.records)

    def get_cursor_partition(self, asset_key: keys.AssetKey | None) -> str | None:
        """Return the partition of the newest consumed materialization of an asset."""
        key = self._monitored[0] if asset_key is None else self._watched(asset_key)
        return self._consumed(key).partition

    def advance_cursor(
        self, materialization_records_by_key: Mapping[keys.AssetKey, events.EventLogRecord | None]
    ) -> None:
        """Note materializations as consumed.

        Args:
            materialization_records_by_key: The record of each asset; None leaves that asset alone.
        """
        for asset_key, record in materialization_records_by_key.items():
            key = self._watched(asset_key)
            if record is not None:
                self._cursors[key] = self._advanced(key, record)
        self._cursor_updated = True

    def advance_all_cursors(self) -> None:
        """Note everything that has been materialized so far as consumed."""
        newest = self.instance.get_latest_materialization_records(self._monitored)
        for key, record in newest.items():
            if self._if_new(key, record) is not None and record is not None:
                self._cursors[key] = AssetCursor(record.partition_key, record.storage_id)
            elif self._consumed(key).unconsumed:
                self._cursors[key] = dataclasses.replace(self._cursors[key], unconsumed={})
        self._cursor_updated = True

    def update_cursor_after_evaluation(self) -> None:
        """Make what was noted the cursor; during the evaluation it stays the old one."""
        if self._cursor_updated:
            self._cursor = write_cursor(self._cursors)

    def _watched(self, asset_key: keys.CoercibleToAssetKey) -> keys.AssetKey:
        key = keys.AssetKey.from_coercible(asset_key)
        if key not in self._monitored:
            raise errors.InvariantViolationError(
                f"The sensor {self.sensor_name!r} does not watch {key.to_user_string()!r}; "
                f"it watches {keys.in_words(self._monitored)}."
            )
        return key

    def _consumed(self, key: keys.AssetKey) -> AssetCursor:
        return self._cursors.get(key, self._at_start)

    def _if_new(
        self, key: keys.AssetKey, record: events.EventLogRecord | None
    ) -> events.EventLogRecord | None:
        if record is None or record.storage_id <= (self._consumed(key).event_id or 0):
            return None
        return record

    def _records_after(
        self, key: keys.AssetKey, after_id: int, limit: int | None
    ) -> list[events.EventLogRecord]:
        found: list[events.EventLogRecord] = []
        chosen = events.AssetRecordsFilter(key, after_storage_id=after_id)
        cursor: str | None = None
        while True:
            wanted = _PAGE_SIZE if limit is None else min(_PAGE_SIZE, limit - len(found))
            page = self.instance.fetch_materializations(chosen, wanted, cursor, ascending=True)
            found += page.records
            cursor = page.cursor
            if not page.has_more or (limit is not None and len(found) >= limit):
                return found

    def _advanced(self, key: keys.AssetKey, record: events.EventLogRecord) -> AssetCursor:
        """Return how far an asset is consumed once this record is."""
        before = self._consumed(key)
        waiting = dict(before.unconsumed)
        if before.event_id is not None and record.storage_id <= before.event_id:
            # An older one that had been passed over is consumed now.
            if waiting.get(record.partition_key or "") == record.storage_id:
                del waiting[record.partition_key or ""]
            return dataclasses.replace(before, unconsumed=waiting)
        if record.partition_key is not None:
            for passed in self._records_after(key, before.event_id or 0, None):
                if passed.storage_id < record.storage_id and passed.partition_key is not None:
                    waiting[passed.partition_key] = passed.storage_id
            waiting.pop(record.partition_key, None)
        if len(waiting) > UNCONSUMED_MAX:
            raise errors.InvariantViolationError(
                f"{len(waiting)} materializations of {key.to_user_string()!r} were passed over; at "
                f"most {UNCONSUMED_MAX} "
                "can wait. Advance the cursor over older ones first, or call advance_all_cursors."
            )
        return AssetCursor(record.partition_key, record.storage_id, waiting)


def read_cursor(
    cursor: str | None, monitored: Sequence[keys.AssetKey]
) -> dict[keys.AssetKey, AssetCursor]:
    """Read a cursor.

    Args:
        cursor: The cursor, or nothing.
        monitored: The watched assets. What the cursor says of others is left out.

    Returns:
        How far each asset was consumed.

    Raises:
        InvariantViolationError: It is no cursor of a multi-asset sensor.
    """
    if not cursor:
        return {}
    by_name = {str(key): key for key in monitored}
    try:
        entries: dict[str, Any] = json.loads(cursor)
        return {
            by_name[name]: AssetCursor(*entry)
            for name, entry in entries.items()
            if name in by_name and len(entry) == _CURSOR_PARTS
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise errors.InvariantViolationError(
            f"The cursor {cursor!r} is none of a multi-asset sensor: {error}. Reset it."
        ) from error


def write_cursor(cursors: Mapping[keys.AssetKey, AssetCursor]) -> str:
    """Write a cursor.

    Args:
        cursors: How far each asset was consumed.

    Returns:
        The cursor.
    """
    return json.dumps(
        {
            str(key): [one.partition, one.event_id, dict(one.unconsumed)]
            for key, one in sorted(cursors.items())
        }
    )


def build_multi_asset_sensor_context(  # noqa: PLR0913 - the field's signature
    *,
    monitored_assets: Sequence[keys.CoercibleToAssetKey],
    instance: instances.Instance | None = None,
    cursor: str | None = None,
    cursor_from_latest_materializations: bool = False,
    sensor_name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    definitions: all_definitions.Definitions | None = None,
    last_sensor_start_time: float | None = None,
) -> MultiAssetSensorEvaluationContext:
    """Make a context with which a test calls or evaluates a sensor that watches several assets.

    Args:
        monitored_assets: The watched assets.
        instance: The instance; an ephemeral one where not given.
        cursor: The cursor that the last evaluation left.
        cursor_from_latest_materializations: Whether everything materialized so far counts as
            consumed.
        sensor_name: The name of the sensor.
        resources: Objects by resource key.
        definitions: The definitions, for their resources.
        last_sensor_start_time: When the sensor was last started.

    Returns:
        The context.
    """
    watched = [keys.AssetKey.from_coercible(key) for key in monitored_assets]
    surroundings = sensor_contexts.surroundings_for_test(
        instance, cursor, sensor_name, resources, definitions, last_sensor_start_time
    )
    if cursor_from_latest_materializations:
        if cursor is not None:
            raise errors.InvalidInvocationError(
                "Give either cursor or cursor_from_latest_materializations, got both (cursor "
                f"{cursor!r})."
            )
        newest = surroundings.instance.get_latest_materialization_records(watched)
        consumed = {
            key: AssetCursor(record.partition_key, record.storage_id)
            for key, record in newest.items()
            if record is not None
        }
        surroundings = dataclasses.replace(surroundings, cursor=write_cursor(consumed))
    return MultiAssetSensorEvaluationContext(surroundings, watched)
