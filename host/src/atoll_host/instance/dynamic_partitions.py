"""Dynamic partitions: checked, changed and listed.

Called by the servicers for user code and for people, and by `automation.sensors.deciding` for what
sensors ask for (`checked`). The keys themselves are kept by storage.
"""

from collections.abc import Sequence

from atoll.mesh.v1 import instance_pb2
from atoll_host import errors
from atoll_host.instance import queries
from atoll_storage import partition_store, records

NAME_LENGTH_MAX = 256
KEY_BYTES_MAX = 1024
KEYS_MAX = 100_000
PAGE_SIZE_MAX = 10_000
_REQUEST_ID_LENGTH_MAX = 200

Kind = records.DynamicPartitionsChangeKind


class DynamicPartitions:
    """Keys of dynamic partitions definitions."""

    def __init__(self, store: partition_store.PartitionStore) -> None:
        self._store = store

    async def change(
        self, kind: Kind, partitions_def_name: str, partition_keys: Sequence[str], request_id: str
    ) -> int:
        """Add keys or take them out; return how many were not, or were, there.

        Raises:
            errors.InvalidRequest: The name, a key or the request id cannot be one.
        """
        check_request_id(request_id)
        change = checked(kind, partitions_def_name, partition_keys)
        return await self._store.change(change, request_id=request_id)

    async def page(
        self, request: instance_pb2.ListDynamicPartitionsRequest
    ) -> instance_pb2.ListDynamicPartitionsResponse:
        """Return keys in the order in which they were added, for user code.

        Raises:
            errors.InvalidRequest: The name, the size or the number of keys is wrong.
        """
        check_name(request.partitions_def_name)
        name, has_more = request.partitions_def_name, False
        if request.partition_keys:
            queries.check_count("partition_keys", request.partition_keys, KEYS_MAX)
            wanted = [key for key in request.partition_keys if "\0" not in key]
            found = await self._store.existing(name, wanted)
        else:
            found, has_more = await self._store.page(
                name,
                after=request.after_position,
                limit=queries.page_size(request.page_size, PAGE_SIZE_MAX),
                descending=request.descending,
            )
        return instance_pb2.ListDynamicPartitionsResponse(
            partition_keys=[each.partition_key for each in found],
            last_position=found[-1].position if found else request.after_position,
            has_more=has_more,
        )

    async def list(
        self, partitions_def_name: str, *, after: int, limit: int
    ) -> tuple[Sequence[records.DynamicPartition], bool]:
        """Return keys in the order in which they were added, and whether there are more.

        Raises:
            errors.InvalidRequest: The name cannot be one.
        """
        check_name(partitions_def_name)
        return await self._store.page(partitions_def_name, after=after, limit=limit)


def checked(
    kind: Kind, partitions_def_name: str, partition_keys: Sequence[str]
) -> records.DynamicPartitionsChange:
    """Return a change of which everything can be stored.

    Raises:
        errors.InvalidRequest: The name or a key cannot be one.
    """
    check_name(partitions_def_name)
    queries.check_count("partition_keys", partition_keys, KEYS_MAX)
    for key in partition_keys:
        size = len(key.encode())
        if not 1 <= size <= KEY_BYTES_MAX or "\0" in key:
            raise errors.InvalidRequest(
                f"The partition key {key[:40]!r} of {partitions_def_name!r} has {size} bytes. Give "
                f"keys of 1 to {KEY_BYTES_MAX} bytes without NUL characters.",
                field="partition_keys",
            )
    return records.DynamicPartitionsChange(partitions_def_name, kind, tuple(partition_keys))


def check_name(partitions_def_name: str) -> None:
    """Refuse what cannot be the name of a definition.

    Raises:
        errors.InvalidRequest: It cannot.
    """
    length = len(partitions_def_name)
    if not 1 <= length <= NAME_LENGTH_MAX or "\0" in partitions_def_name:
        raise errors.InvalidRequest(
            f"The dynamic partitions definition {partitions_def_name[:40]!r} has a name of "
            f"{length} characters. Give the name that its code gives, of 1 to {NAME_LENGTH_MAX} "
            "characters without NUL.",
            field="partitions_def_name",
        )


def check_request_id(request_id: str) -> None:
    """Refuse what cannot be a request id.

    Raises:
        errors.InvalidRequest: It cannot.
    """
    if len(request_id) > _REQUEST_ID_LENGTH_MAX or "\0" in request_id:
        raise errors.InvalidRequest(
            f"request_id is {request_id[:40]!r}, {len(request_id)} characters long. Give a UUID, "
            "or nothing.",
            field="request_id",
        )
