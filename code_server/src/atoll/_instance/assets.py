"""The part of an instance that knows assets, their partitions, versions and checks.

Called by users through `Instance`.
"""

import json
from collections.abc import Mapping, Sequence

from atoll import errors
from atoll._definitions import asset_events, asset_records, events, freshness_states, keys, specs
from atoll._instance import asking
from atoll._instance import backend as backends

# Up to so many partitions are asked for by name; for more, all of the asset are looked through.
_NAMED_PARTITIONS_MAX = 1000
_PARTITIONS_PAGE_SIZE = 10_000


class AssetQuestions(asking.Asker):
    """Questions about assets."""

    def get_latest_materialization_event(
        self, asset_key: keys.CoercibleToAssetKey
    ) -> events.EventLogEntry | None:
        """Return the newest materialization of an asset, None where it has none."""
        key = keys.AssetKey.from_coercible(asset_key)
        record = self._backend.latest_materializations([key]).get(key)
        return record.event_log_entry if record is not None else None

    def get_latest_materialization_events(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> dict[keys.AssetKey, events.EventLogEntry | None]:
        """Return the newest materialization of each asset, None for those that have none."""
        records = self.get_latest_materialization_records(asset_keys)
        return {
            key: record.event_log_entry if record is not None else None
            for key, record in records.items()
        }

    def get_latest_materialization_records(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> dict[keys.AssetKey, events.EventLogRecord | None]:
        """Return the newest materialization of each asset with its position, if it has one."""
        found = self._backend.latest_materializations(list(asset_keys))
        return {key: found.get(key) for key in asset_keys}

    def get_latest_materialization_code_versions(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, str | None]:
        """Return the code version of the newest materialization of each asset that has one."""
        found = self._backend.latest_materializations(list(asset_keys))
        return {
            key: told.tags.get(asset_events.CODE_VERSION_TAG)
            for key, record in found.items()
            if (told := record.asset_materialization) is not None
        }

    def get_latest_data_version_record(
        self,
        key: keys.CoercibleToAssetKey,
        is_source: bool | None = None,  # noqa: FBT001 - the field's signature
        partition_key: str | None = None,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> events.EventLogRecord | None:
        """Return the record that tells the newest data version of an asset, None for none.

        Args:
            key: The asset.
            is_source: Whether observations tell it, as for sources, or materializations; where not
                given, materializations do if there are any.
            partition_key: Look at this partition only.
            before_cursor: Only what stands before this position in the log.
            after_cursor: Only what stands after this position in the log.
        """
        asset_key = keys.AssetKey.from_coercible(key)
        kinds: list[events.EventType] = []
        if not is_source:
            kinds.append(events.EventType.ASSET_MATERIALIZATION)
        if is_source or is_source is None:
            kinds.append(events.EventType.ASSET_OBSERVATION)
        for kind in kinds:
            query = backends.EventsQuery(
                event_types=(kind,),
                asset_key=asset_key,
                partitions=() if partition_key is None else (partition_key,),
                before_id=before_cursor or 0,
                after_id=after_cursor or 0,
                limit=1,
            )
            found = self._newest_of(query)
            if found is not None:
                return found
        return None

    def latest_data_version(
        self, key: keys.CoercibleToAssetKey, partition_key: str | None = None
    ) -> str | None:
        """Return the newest data version of an asset or of a partition, None where none is known.

        Args:
            key: The asset.
            partition_key: The partition.
        """
        record = self.get_latest_data_version_record(key, partition_key=partition_key)
        if record is None:
            return None
        told = record.asset_materialization or record.asset_observation
        return told.data_version if told is not None else None

    def get_asset_keys(
        self,
        prefix: Sequence[str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Sequence[keys.AssetKey]:
        """Return the keys of the assets that the log ever spoke of.

        Args:
            prefix: Only keys that begin with these parts.
            limit: How many at the most; None means all.
            cursor: Only keys after this one: a JSON list of its parts.
        """
        asking.check_limit(limit)
        begins = _key_of(cursor) if cursor else None

        def page(last: keys.AssetKey | None, size: int) -> tuple[Sequence[keys.AssetKey], bool]:
            return self._backend.asset_keys(tuple(prefix or ()), last or begins, size)

        return asking.all_pages(page, limit)[0]

    def all_asset_keys(self) -> Sequence[keys.AssetKey]:
        """Return the keys of all assets that the log ever spoke of."""
        return self.get_asset_keys()

    def has_asset_key(self, asset_key: keys.CoercibleToAssetKey) -> bool:
        """Tell whether the log ever spoke of an asset."""
        return bool(self._backend.asset_entries([keys.AssetKey.from_coercible(asset_key)]))

    def get_asset_records(
        self, asset_keys: Sequence[keys.AssetKey] | None = None
    ) -> Sequence[asset_records.AssetRecord]:
        """Return what is known of assets; those that the log never spoke of are left out.

        Args:
            asset_keys: The assets; None means all.
        """
        wanted = list(self.get_asset_keys() if asset_keys is None else dict.fromkeys(asset_keys))
        found: list[asset_records.AssetRecord] = []
        for start in range(0, len(wanted), asking.PAGE_SIZE):
            chunk = wanted[start : start + asking.PAGE_SIZE]
            entries = self._backend.asset_entries(chunk)
            found += [
                asset_records.AssetRecord(entry.last_event_storage_id or 0, entry)
                for key in chunk
                if (entry := entries.get(key)) is not None
            ]
        return found

    def get_materialized_partitions(
        self,
        asset_key: keys.CoercibleToAssetKey,
        before_cursor: int | None = None,
        after_cursor: int | None = None,
    ) -> set[str]:
        """Return the partitions of an asset that were materialized.

        Args:
            asset_key: The asset.
            before_cursor: Look only at what stands before this position in the log.
            after_cursor: Only partitions that were materialized after this position.
        """
        found = self._partitions(
            backends.AssetPartitionsQuery(
                keys.AssetKey.from_coercible(asset_key),
                materialized=True,
                before_id=before_cursor or 0,
                after_id=after_cursor or 0,
            )
        )
        return {one.partition for one in found}

    def get_latest_partition_materialization_records(
        self, asset_key: keys.CoercibleToAssetKey, partitions: Sequence[str]
    ) -> dict[str, events.EventLogRecord]:
        """Return the newest materialization of each of the partitions that has one.

        Args:
            asset_key: The asset.
            partitions: The partitions.
        """
        key = keys.AssetKey.from_coercible(asset_key)
        found: dict[str, events.EventLogRecord] = {}
        for start in range(0, len(partitions), _NAMED_PARTITIONS_MAX):
            chunk = partitions[start : start + _NAMED_PARTITIONS_MAX]
            found.update(self._backend.latest_partition_materializations(key, chunk))
        return found

    def get_asset_specs(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, specs.AssetSpec]:
        """Return what locations define of assets: partitions, dependencies, metadata.

        Args:
            asset_keys: The assets. Those that no location defines are left out.
        """
        return self._backend.asset_specs(asset_keys) if asset_keys else {}

    def get_materialization_count_by_partition(
        self, asset_keys: Sequence[keys.AssetKey], after_cursor: int | None = None
    ) -> Mapping[keys.AssetKey, Mapping[str, int]]:
        """Return how often each partition of each asset was materialized.

        Args:
            asset_keys: The assets.
            after_cursor: Only partitions that were materialized after this position in the log.
        """
        return {
            key: {
                one.partition: one.materialization_count
                for one in self._partitions(
                    backends.AssetPartitionsQuery(
                        key, materialized=True, after_id=after_cursor or 0
                    )
                )
            }
            for key in asset_keys
        }

    def get_latest_storage_id_by_partition(
        self,
        asset_key: keys.CoercibleToAssetKey,
        event_type: events.EventType,
        partitions: set[str] | None = None,
        after_cursor: int | None = None,
    ) -> Mapping[str, int]:
        """Return the position of the newest event of a kind, by partition.

        Args:
            asset_key: The asset.
            event_type: Materializations, observations or plans.
            partitions: Only these partitions; None means all.
            after_cursor: Only what stands after this position in the log.

        Raises:
            InvalidInvocationError: The kind is another.
        """
        name = _ID_FIELDS.get(event_type)
        if name is None:
            raise errors.InvalidInvocationError(
                f"The newest {event_type.value} of a partition is not kept. Ask for "
                f"{', '.join(one.value for one in _ID_FIELDS)}."
            )
        found = self._partitions_named(
            keys.AssetKey.from_coercible(asset_key),
            None if partitions is None else sorted(partitions),
        )
        positions = {one.partition: getattr(one, name) for one in found}
        return {key: number for key, number in positions.items() if number > (after_cursor or 0)}

    def get_status_by_partition(
        self,
        asset_key: keys.CoercibleToAssetKey,
        partition_keys: Sequence[str],
        partitions_def: object = None,
    ) -> Mapping[str, asset_records.AssetPartitionStatus | None]:
        """Return how partitions of an asset are doing; None for those that were never made.

        Args:
            asset_key: The asset.
            partition_keys: The partitions.
            partitions_def: The definition of the partitions, which it does without.
        """
        del partitions_def
        found = self._partitions_named(keys.AssetKey.from_coercible(asset_key), partition_keys)
        statuses = {one.partition: one.status for one in found}
        return {key: statuses.get(key) for key in partition_keys}

    def get_latest_asset_check_evaluation_record(
        self, asset_check_key: keys.AssetCheckKey
    ) -> events.EventLogRecord | None:
        """Return the newest evaluation of a check, None where it was never evaluated."""
        return self._backend.latest_check_evaluations([asset_check_key]).get(asset_check_key)

    def get_latest_asset_check_evaluation_records(
        self, asset_check_keys: Sequence[keys.AssetCheckKey]
    ) -> Mapping[keys.AssetCheckKey, events.EventLogRecord]:
        """Return the newest evaluation of each check that was ever evaluated."""
        return self._backend.latest_check_evaluations(list(asset_check_keys))

    def get_freshness_state_records(
        self, keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, freshness_states.FreshnessStateRecord]:
        """Return the freshness state of each asset for which one was decided.

        Args:
            keys: The assets, of any location.
        """
        return self._backend.freshness_states(list(keys))

    def _newest_of(self, query: backends.EventsQuery) -> events.EventLogRecord | None:
        """Return the newest record; what is known without the log survives its pruning."""
        key, bounded = query.asset_key, query.before_id or query.after_id
        is_made = query.event_types == (events.EventType.ASSET_MATERIALIZATION,)
        if key is not None and is_made and not bounded:
            if not query.partitions:
                return self._backend.latest_materializations([key]).get(key)
            partition = query.partitions[0]
            found = self._backend.latest_partition_materializations(key, [partition])
            return found.get(partition)
        records, _ = self._backend.log_records(query)
        return records[0] if records else None

    def _partitions_named(
        self, key: keys.AssetKey, partition_keys: Sequence[str] | None
    ) -> Sequence[asset_records.AssetPartition]:
        if partition_keys is None or len(partition_keys) > _NAMED_PARTITIONS_MAX:
            return self._partitions(backends.AssetPartitionsQuery(key))
        if not partition_keys:
            return []
        query = backends.AssetPartitionsQuery(key, partitions=tuple(partition_keys))
        return self._backend.asset_partitions(query)[0]

    def _partitions(
        self, query: backends.AssetPartitionsQuery
    ) -> Sequence[asset_records.AssetPartition]:
        found: list[asset_records.AssetPartition] = []
        has_more = True
        while has_more:
            page, has_more = self._backend.asset_partitions(
                backends.AssetPartitionsQuery(
                    query.asset_key,
                    after_partition=found[-1].partition if found else "",
                    materialized=query.materialized,
                    after_id=query.after_id,
                    before_id=query.before_id,
                    limit=_PARTITIONS_PAGE_SIZE,
                )
            )
            found += page
            has_more = has_more and bool(page)
        return found


_ID_FIELDS = {
    events.EventType.ASSET_MATERIALIZATION: "materialization_id",
    events.EventType.ASSET_OBSERVATION: "observation_id",
    events.EventType.ASSET_MATERIALIZATION_PLANNED: "planned_id",
}


def _key_of(cursor: str) -> keys.AssetKey:
    try:
        path = json.loads(cursor)
    except ValueError:
        path = None
    if not isinstance(path, list):
        raise errors.InvalidInvocationError(
            f"The cursor {cursor!r} is no asset key. Give the last key of the page before as a "
            "JSON list of its parts."
        )
    return keys.AssetKey([str(part) for part in path])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
