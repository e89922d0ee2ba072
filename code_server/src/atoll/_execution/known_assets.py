"""What a run knows of the newest materializations of assets.

Made for each run; asked for data versions, provenance and the targets of checks. A plan of the host
brings it along, so that a run never waits for the host to tell it. Where nothing brought it, the
instance is asked, which in this process is no wait. An instance that does not answer is told of
once, and the run goes on without: none of this is worth failing a run for.
"""

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import events, keys
from atoll._instance import instance as instances


class Materialized(records.Record):
    """The newest materialization of an asset, or where it has none, the newest observation.

    Attributes:
        storage_id: Its position in the log.
        run_id: The run that made it, empty for none.
        timestamp: When, in seconds since 1970.
        tags: Its labels.
    """

    storage_id: int
    run_id: str
    timestamp: float
    tags: Mapping[str, str]

    @staticmethod
    def of(record: events.EventLogRecord) -> "Materialized":
        """Return what counts of an entry of the log.

        Args:
            record: The entry.
        """
        made = record.asset_materialization or record.asset_observation
        tags: Mapping[str, str] = made.tags if made is not None else {}
        return Materialized(record.storage_id, record.run_id, record.timestamp, tags)


class Told(records.Record):
    """What was brought along.

    Attributes:
        newest: The newest materializations; None for an asset that was never materialized.
        instance: Is asked for other assets and has little patience; the run's own where None.
        observed: The newest observations, of assets that were never materialized.
    """

    newest: Mapping[keys.AssetKey, Materialized | None]
    instance: instances.Instance | None = None
    observed: Mapping[keys.AssetKey, Materialized] = types.MappingProxyType({})


NOTHING = Told({})


class KnownAssets:
    """Tells the newest materializations of assets.

    Args:
        told: What was brought along.
        instance: Is asked for other assets.
        tell: Emits an event of the run.
    """

    def __init__(
        self,
        told: Told,
        instance: instances.Instance,
        tell: Callable[..., Any],
    ) -> None:
        self._told = told.newest
        self._observed = told.observed
        self._instance = told.instance or instance
        self._tell = tell
        self._answers = True

    def latest(
        self, asset_keys: Iterable[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, Materialized | None] | None:
        """Return the newest materialization of each of some assets.

        Args:
            asset_keys: The assets.

        Returns:
            None by key where there was none; None for all where the instance does not answer.
        """
        wanted = list(asset_keys)
        found: dict[keys.AssetKey, Materialized | None] = {
            key: self._told[key] for key in wanted if key in self._told
        }
        missing = [key for key in wanted if key not in found]
        if not missing:
            return found
        if not self._answers:
            return None
        try:
            asked = self._instance.get_latest_materialization_records(missing)
        except errors.InstanceUnavailableError as error:
            self._goes_without(missing, error)
            return None
        for key in missing:
            record = asked.get(key)
            found[key] = None if record is None else Materialized.of(record)
        return found

    def observation(self, key: keys.AssetKey) -> Materialized | None:
        """Return the newest observation of an asset that was never materialized, None for none.

        Args:
            key: The asset.
        """
        if key in self._told or not self._answers:
            return self._observed.get(key)
        try:
            record = self._instance.get_latest_data_version_record(key, is_source=True)
        except errors.InstanceUnavailableError as error:
            self._goes_without([key], error)
            return None
        return None if record is None else Materialized.of(record)

    def _goes_without(
        self, missing: Sequence[keys.AssetKey], error: errors.InstanceUnavailableError
    ) -> None:
        self._answers = False
        self._tell(
            events.EventType.ENGINE_EVENT,
            "The run goes on without knowing the newest materializations of "
            f"{keys.in_words(missing)}, so its events tell no data versions: {error}",
            events.EngineEventData(),
        )
