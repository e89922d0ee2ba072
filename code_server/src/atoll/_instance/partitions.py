"""The part of an instance that keeps dynamic partitions.

Called by users through `Instance`. What a partitions definition makes of the keys stands elsewhere.
"""

from collections.abc import Sequence

from atoll import _records as records
from atoll import errors
from atoll._instance import asking
from atoll._partitions import dynamic_requests

_PAGE_SIZE = 10_000
_CHANGED_AT_ONCE_MAX = 10_000


class PaginatedResults(records.Record):
    """A page of partition keys.

    Attributes:
        results: The keys.
        cursor: Where the next page begins.
        has_more: Whether there is a next page.
    """

    results: Sequence[str]
    cursor: str
    has_more: bool


class PartitionQuestions(asking.Asker):
    """Questions about dynamic partitions, and changes of them."""

    def add_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> None:
        """Add keys to a dynamic partitions definition; those that are there stay where they are.

        Args:
            partitions_def_name: The name of the definition.
            partition_keys: The keys.

        Raises:
            InvalidInvocationError: The name or a key cannot be one.
        """
        name = dynamic_requests.checked_name(partitions_def_name)
        added = dynamic_requests.checked_keys(name, partition_keys)
        for start in range(0, len(added), _CHANGED_AT_ONCE_MAX):
            chunk = added[start : start + _CHANGED_AT_ONCE_MAX]
            self._backend.add_dynamic_partitions(name, chunk)

    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        """Take a key out of a dynamic partitions definition; one that is not there is left alone.

        Args:
            partitions_def_name: The name of the definition.
            partition_key: The key.

        Raises:
            InvalidInvocationError: The name or the key cannot be one.
        """
        name = dynamic_requests.checked_name(partitions_def_name)
        deleted = dynamic_requests.checked_keys(name, [partition_key])
        self._backend.delete_dynamic_partitions(name, deleted)

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Return the keys of a definition in the order in which they were added.

        Args:
            partitions_def_name: The name of the definition.
        """
        name = dynamic_requests.checked_name(partitions_def_name)
        found: list[str] = []
        position, has_more = 0, True
        while has_more:
            page, position, has_more = self._backend.dynamic_partitions(name, position, _PAGE_SIZE)
            found += page
        return found

    def get_paginated_dynamic_partitions(
        self,
        partitions_def_name: str,
        limit: int,
        ascending: bool,  # noqa: FBT001 - the field's signature
        cursor: str | None = None,
    ) -> PaginatedResults:
        """Return keys of a definition in the order in which they were added, page by page.

        Args:
            partitions_def_name: The name of the definition.
            limit: How many at the most.
            ascending: Whether the oldest comes first.
            cursor: The cursor of the page before.
        """
        asking.check_limit(limit)
        name = dynamic_requests.checked_name(partitions_def_name)
        page, position, has_more = self._backend.dynamic_partitions(
            name, asking.position_of(cursor), limit, descending=not ascending
        )
        return PaginatedResults(page, str(position), has_more)

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Tell whether a definition has a key.

        Args:
            partitions_def_name: The name of the definition.
            partition_key: The key.
        """
        return bool(self.get_existing_dynamic_partitions(partitions_def_name, [partition_key]))

    def get_existing_dynamic_partitions(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> set[str]:
        """Return those of the keys that a definition has.

        Args:
            partitions_def_name: The name of the definition.
            partition_keys: The keys.
        """
        name = dynamic_requests.checked_name(partitions_def_name)
        if isinstance(partition_keys, str):
            raise errors.InvalidInvocationError(
                f"partition_keys is a list of strings, got the string {partition_keys!r}. Give "
                f"[{partition_keys!r}]."
            )
        return set(self._backend.existing_dynamic_partitions(name, list(partition_keys)))
