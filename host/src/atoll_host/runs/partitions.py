"""Checks the partitions that a run is asked for, against what its location defines. Pure.

Called by `requests`. Keys of dynamic partitions are data: whoever calls reads those that a request
may mean beforehand (`candidates`, `read_dynamic`) and hands them in.
"""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from atoll import errors as location_errors
from atoll._partitions import contexts, dynamic_partitions, multi_partitions, partition_keys
from atoll_host import errors
from atoll_host.locations import definitions, partitioned
from atoll_storage import records

SHOWN_MAX = 1000
"""So many keys of dynamic partitions are looked through for one that resembles a wrong one."""

_Keys = frozenset[str]
_NO_KEYS: _Keys = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class DynamicKeys:
    """What is known of the keys of dynamic partitions, as far as a request may mean them.

    Attributes:
        existing: By definition, those of the keys asked for that there are, in order.
        some: By definition, the first keys and the last one, for messages.
    """

    existing: Mapping[str, Sequence[str]] = dataclasses.field(
        default_factory=dict[str, Sequence[str]]
    )
    some: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict[str, Sequence[str]])

    def after(self, changes: Iterable[records.DynamicPartitionsChange]) -> "DynamicKeys":
        """Return what there will be once changes are made, in their order."""
        existing = {name: list(keys) for name, keys in self.existing.items()}
        for change in changes:
            kept = existing.get(change.partitions_def_name, [])
            changed = dict.fromkeys(change.partition_keys)
            if change.kind is records.DynamicPartitionsChangeKind.ADD:
                kept = list(dict.fromkeys((*kept, *changed)))
            else:
                kept = [key for key in kept if key not in changed]
            existing[change.partitions_def_name] = kept
        return dataclasses.replace(self, existing=existing)


NO_DYNAMIC = DynamicKeys()


class PartitionStore(Protocol):
    """What is asked of storage."""

    async def existing(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> list[records.DynamicPartition]:
        """Return those of the keys that there are, in order."""
        ...

    async def page(
        self, partitions_def_name: str, *, after: int = 0, limit: int, descending: bool = False
    ) -> tuple[list[records.DynamicPartition], bool]:
        """Return keys in order, and whether there are more."""
        ...


def candidates(texts: Iterable[str]) -> list[str]:
    """Return the keys of dynamic partitions that partition keys of requests may mean.

    Args:
        texts: The keys; one of two dimensions holds two keys.
    """
    found: dict[str, None] = {}
    for text in texts:
        if text and "\x00" not in text:
            found[text] = None
            found.update(dict.fromkeys(text.split(partition_keys.SEPARATOR)))
    return list(found)


async def read_dynamic(
    store: PartitionStore, defined: definitions.Definitions, texts: Iterable[str]
) -> DynamicKeys:
    """Read what is known of the keys of dynamic partitions that requests may mean.

    Args:
        store: Where they are kept.
        defined: What the location defines.
        texts: The partition keys of the requests.
    """
    wanted = candidates(texts)
    if not wanted:
        return NO_DYNAMIC
    existing: dict[str, Sequence[str]] = {}
    some: dict[str, Sequence[str]] = {}
    for name in sorted(defined.partitions.dynamic_names):
        existing[name] = [each.partition_key for each in await store.existing(name, wanted)]
        if len(existing[name]) < len(wanted):
            first, _ = await store.page(name, limit=SHOWN_MAX)
            last, _ = await store.page(name, limit=1, descending=True)
            some[name] = [each.partition_key for each in (*first, *last)]
    return DynamicKeys(existing, some)


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """The partitions that a run is asked for. One of the two, or nothing.

    Attributes:
        key: The partition.
        start: The first partition of a range.
        end: The last one of it.
    """

    key: str
    start: str
    end: str


def check(
    whose: str,
    partitions_defs: Sequence[partitioned.PartitionsDefinition],
    wanted: Wanted,
    dynamic: DynamicKeys,
) -> dict[str, str]:
    """Check that there are the partitions that a run is asked for.

    Args:
        whose: What is to be run, for messages.
        partitions_defs: The partitions of all that is to be run, as far as it has any.
        wanted: What the run is asked for.
        dynamic: What is known of the keys of dynamic partitions.

    Returns:
        The tags of a run for the partition.

    Raises:
        errors.InvalidRequest: There are no such partitions.
    """
    given = {
        "partition_key": wanted.key,
        "partition_range_start": wanted.start,
        "partition_range_end": wanted.end,
    }
    given = {field: key for field, key in given.items() if key}
    if not given:
        return {}
    if not partitions_defs:
        field, key = next(iter(given.items()))
        raise errors.InvalidRequest(
            f"{whose} has no partitions, and the run is asked for partition {key!r}. Leave the "
            "partition out.",
            field=field,
        )
    tags: dict[str, str] = {}
    for partitions_def in partitions_defs:
        for field, key in given.items():
            if not _exists(partitions_def, key, dynamic):
                raise errors.InvalidRequest(
                    f"{whose}: {_unknown(partitions_def, key, dynamic)}", field=field
                )
        if wanted.start:
            _check_order(whose, partitions_def, wanted, dynamic)
        else:
            tags.update(partitions_def.get_tags_for_partition_key(wanted.key))
    return tags


def _exists(
    partitions_def: partitioned.PartitionsDefinition, key: str, dynamic: DynamicKeys
) -> bool:
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        # Those of a function are known to nobody but the location, which looks again.
        return partitions_def.name is None or key in dynamic.existing.get(partitions_def.name, ())
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        parts = partitions_def.parted(key)
        return parts is not None and all(
            _exists(each, part, dynamic)
            for each, part in zip(
                (partitions_def.primary, partitions_def.secondary), parts, strict=True
            )
        )
    return partitions_def.number_in(key, contexts.resolve()) is not None


def _unknown(
    partitions_def: partitioned.PartitionsDefinition, key: str, dynamic: DynamicKeys
) -> str:
    """Return what is wrong with a key, and which there are."""
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        parts = partitions_def.parted(key)
        if parts is None:
            names = partition_keys.SEPARATOR.join(partitions_def.partition_dimension_names)
            return f"{key!r} is no partition of two dimensions. Write it as {names}."
        for each, part in zip(
            (partitions_def.primary_dimension, partitions_def.secondary_dimension),
            parts,
            strict=True,
        ):
            if not _exists(each.partitions_def, part, dynamic):
                told = _unknown(each.partitions_def, part, dynamic)
                return f"in {key!r}, dimension {each.name!r}: {told}"
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        return _unknown_dynamic(partitions_def, key, dynamic)
    try:
        partitions_def.validate_partition_key(key)
    except location_errors.Error as error:
        return str(error)
    return f"There is no partition {key!r}."


def _unknown_dynamic(
    partitions_def: dynamic_partitions.DynamicPartitionsDefinition, key: str, dynamic: DynamicKeys
) -> str:
    name = partitions_def.required_name
    known = dynamic.some.get(name, ())
    told = f"There is no partition {key!r} of {partitions_def}."
    if not known:
        told += " It has no partitions yet."
    else:
        told += f" They go from {known[0]!r} to {known[-1]!r}."
        close = difflib.get_close_matches(key, dict.fromkeys(known), n=3)
        if close:
            told += f" Did you mean {' or '.join(map(repr, close))}?"
    return f"{told} Add it first: atoll partitions add {name} {key}"


def _check_order(
    whose: str,
    partitions_def: partitioned.PartitionsDefinition,
    wanted: Wanted,
    dynamic: DynamicKeys,
) -> None:
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        known = list(dynamic.existing.get(partitions_def.name or "", ()))
        if not known:
            return
        numbers = [known.index(wanted.start), known.index(wanted.end)]
    elif any(True for _ in partitioned.dynamic_parts(partitions_def)):
        return
    else:
        context = contexts.resolve()
        found = [partitions_def.number_in(key, context) for key in (wanted.start, wanted.end)]
        numbers = [number for number in found if number is not None]
    if numbers != sorted(numbers):
        raise errors.InvalidRequest(
            f"{whose}: the range of partitions from {wanted.start!r} to {wanted.end!r} ends "
            "before it begins. Give the earlier one first.",
            field="partition_range_end",
        )
