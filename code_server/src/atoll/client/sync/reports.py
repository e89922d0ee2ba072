"""Reports on assets that no run of the host made.

For programs that do not await.
"""

from atoll.client import reports as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Reports:
    """Reports what happened outside."""

    def __init__(self, portal: portals.Portal, inner: original.Reports) -> None:
        self._portal = portal
        self._inner = inner

    def materialization(
        self, key: values_pb2.AssetKey, told: original.Told = original.NOTHING_MORE
    ) -> int:
        """Tell that an asset was materialized; return the id of the event.

        Args:
            key: The asset.
            told: What is known of it.
        """
        return self._portal.run(self._inner.materialization(key, told))

    def observation(
        self, key: values_pb2.AssetKey, told: original.Told = original.NOTHING_MORE
    ) -> int:
        """Tell something about an asset; return the id of the event.

        Args:
            key: The asset.
            told: What was observed.
        """
        return self._portal.run(self._inner.observation(key, told))

    def check_evaluation(
        self,
        key: values_pb2.AssetCheckKey,
        told: original.Told = original.NOTHING_MORE,
        *,
        passed: bool,
        severity: events_pb2.AssetCheckSeverity.ValueType = events_pb2.ASSET_CHECK_SEVERITY_ERROR,
    ) -> int:
        """Tell what a check found; return the id of the event.

        Args:
            key: The check.
            told: What was found.
            passed: Whether the asset is as it should be.
            severity: How bad it is if not.
        """
        return self._portal.run(
            self._inner.check_evaluation(key, told, passed=passed, severity=severity)
        )

    def started(self, key: values_pb2.AssetKey, told: original.Told = original.NOTHING_MORE) -> int:
        """Tell that an asset is being materialized; return the id of the event.

        Args:
            key: The asset.
            told: The partition and the time; the rest is not told.
        """
        return self._portal.run(self._inner.started(key, told))

    def failure(self, key: values_pb2.AssetKey, told: original.Told = original.NOTHING_MORE) -> int:
        """Tell that an asset could not be materialized; return the id of the event.

        Args:
            key: The asset.
            told: The partition, the time, and why, as description; the rest is not told.
        """
        return self._portal.run(self._inner.failure(key, told))
