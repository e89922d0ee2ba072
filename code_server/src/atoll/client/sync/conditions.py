"""Automation conditions and their evaluations, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import conditions_pb2
from atoll.client import conditions as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import conditions_pb2 as definition_pb2


class Conditions:
    """Lists what has a condition and shows what it came to."""

    def __init__(self, portal: portals.Portal, inner: original.Conditions) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, *, location_name: str = "", sensor_name: str = "", limit: int | None = None
    ) -> Iterator[conditions_pb2.ConditionTarget]:
        """Yield what has a condition, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            sensor_name: Only those that this sensor evaluates; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(
                location_name=location_name, sensor_name=sensor_name, limit=limit
            )
        )

    def get(self, entity: definition_pb2.ConditionEntity) -> conditions_pb2.ConditionTarget:
        """Return one asset, check or job with a condition."""
        return self._portal.run(self._inner.get(entity))

    def evaluations(
        self,
        entity: definition_pb2.ConditionEntity,
        *,
        requested_only: bool = False,
        limit: int | None = None,
    ) -> Iterator[conditions_pb2.ConditionEvaluation]:
        """Yield the kept evaluations of one, newest first, without their explanations.

        Args:
            entity: The asset, check or job.
            requested_only: Only those that requested something.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.evaluations(entity, requested_only=requested_only, limit=limit)
        )

    def evaluation(
        self, entity: definition_pb2.ConditionEntity, evaluation_id: int = 0
    ) -> conditions_pb2.ConditionEvaluation:
        """Return one evaluation with its explanation.

        Args:
            entity: The asset, check or job.
            evaluation_id: Its number; zero means the newest.
        """
        return self._portal.run(self._inner.evaluation(entity, evaluation_id))
