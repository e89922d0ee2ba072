"""How a backfill puts partitions into runs.

Called by users, for an asset, and by the host, which launches the runs.
"""

from __future__ import annotations

import enum

from atoll import _records as records
from atoll import errors


class BackfillPolicyType(enum.Enum):
    """Whether a backfill makes one run of all partitions."""

    SINGLE_RUN = "SINGLE_RUN"
    MULTI_RUN = "MULTI_RUN"


class BackfillPolicy(records.Record):
    """How a backfill puts partitions into runs.

    Attributes:
        max_partitions_per_run: How many partitions a run has at most; None puts all into one.
    """

    max_partitions_per_run: int | None

    def __init__(self, max_partitions_per_run: int | None = 1) -> None:
        """Say how a backfill puts partitions into runs.

        Args:
            max_partitions_per_run: How many partitions a run has at most; None puts all into one.

        Raises:
            InvalidDefinitionError: The number is less than one.
        """
        if max_partitions_per_run is not None and max_partitions_per_run < 1:
            raise errors.InvalidDefinitionError(
                f"A run has at least one partition; max_partitions_per_run is"
                f" {max_partitions_per_run!r}. Use BackfillPolicy.single_run() for one run of all."
            )
        object.__setattr__(self, "max_partitions_per_run", max_partitions_per_run)

    @staticmethod
    def single_run() -> BackfillPolicy:
        """Return the policy of one run for all partitions."""
        return BackfillPolicy(None)

    @staticmethod
    def multi_run(max_partitions_per_run: int = 1) -> BackfillPolicy:
        """Return the policy of several runs.

        Args:
            max_partitions_per_run: How many partitions a run has at most.
        """
        return BackfillPolicy(max_partitions_per_run)

    @property
    def policy_type(self) -> BackfillPolicyType:
        """Whether a backfill makes one run of all partitions."""
        if self.max_partitions_per_run is None:
            return BackfillPolicyType.SINGLE_RUN
        return BackfillPolicyType.MULTI_RUN
