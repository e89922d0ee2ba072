"""The partitions of what one build of a location defines, read when they are first asked for.

Part of `definitions`; asked by `runs.partitions`. A definition may have a million keys and be
shared by thousands of assets: it is read once, in the thread that asks. Nothing here does I/O.
"""

from collections.abc import Iterable

from atoll._partition_messages import definitions as messages
from atoll._partitions import definitions as partition_definitions
from atoll._partitions import dynamic_partitions, multi_partitions
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2

PartitionsDefinition = partition_definitions.PartitionsDefinition
Path = tuple[str, ...]


class Partitioned:
    """Reads definitions of partitions, each once.

    Args:
        message: The snapshot.
    """

    def __init__(self, message: snapshot_pb2.LocationSnapshot) -> None:
        self._of_assets = {
            tuple(asset.key.path): asset.partitions
            for asset in message.assets
            if asset.HasField("partitions")
        }
        self._of_checks = {
            (tuple(check.key.asset_key.path), check.key.name): check.partitions
            for check in message.checks
            if check.HasField("partitions")
        }
        self._of_jobs = {
            job.name: job.partitions for job in message.jobs if job.HasField("partitions")
        }
        everything = (*self._of_assets.values(), *self._of_checks.values(), *self._of_jobs.values())
        self.dynamic_names = frozenset(name for one in everything for name in _dynamic_names(one))
        """The names of the dynamic partitions definitions in use."""
        self._read: dict[object, PartitionsDefinition] = {}
        self._by_content: dict[bytes, PartitionsDefinition] = {}

    def of_asset(self, path: Path) -> PartitionsDefinition | None:
        """Return the partitions of an asset, None where it has none."""
        return self._get(path, self._of_assets.get(path))

    def of_check(self, key: tuple[Path, str]) -> PartitionsDefinition | None:
        """Return the partitions of a check, None where it has none."""
        return self._get(key, self._of_checks.get(key))

    def of_job(self, name: str) -> PartitionsDefinition | None:
        """Return the partitions of a job, None where it has none."""
        return self._get(name, self._of_jobs.get(name))

    def _get(
        self, whose: object, message: partitions_pb2.PartitionsDefinition | None
    ) -> PartitionsDefinition | None:
        if message is None:
            return None
        found = self._read.get(whose)
        if found is None:
            content = message.SerializeToString(deterministic=True)
            found = self._by_content.get(content)
            if found is None:
                found = self._by_content.setdefault(content, messages.from_message(message))
            self._read[whose] = found
        return found


def dynamic_parts(
    partitions_def: PartitionsDefinition,
) -> Iterable[dynamic_partitions.DynamicPartitionsDefinition]:
    """Yield the definitions of dynamic partitions that partitions are made of."""
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        yield partitions_def
    elif isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        for each in partitions_def.partitions_defs:
            yield from dynamic_parts(each.partitions_def)


def _dynamic_names(message: partitions_pb2.PartitionsDefinition) -> Iterable[str]:
    kind = message.WhichOneof("kind")
    if kind == "dynamic" and message.dynamic.name:
        yield message.dynamic.name
    elif kind == "multi":
        for each in message.multi.dimensions:
            yield from _dynamic_names(each.partitions_definition)
